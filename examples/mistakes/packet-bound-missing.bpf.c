// SPDX-License-Identifier: MIT OR Apache-2.0
// A byte of the packet is read without a comparison with its end.

#include "mistake.h"

SEC("xdp")
int packet_bound_missing(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return data[12] == 8 ? XDP_PASS : XDP_DROP;
}
