// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper for socket buffers is called by an XDP program.

#include "mistake.h"

SEC("xdp")
int wrong_helper(struct xdp_md *ctx)
{
	__u32 word = 0;

	bpf_skb_load_bytes(ctx, 0, &word, sizeof(word));
	return word ? XDP_PASS : XDP_DROP;
}
