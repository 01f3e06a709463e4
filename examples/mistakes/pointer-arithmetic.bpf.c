// SPDX-License-Identifier: MIT OR Apache-2.0
// The end of the packet is moved, which only pointers to its bytes may be.

#include "mistake.h"

SEC("xdp")
int pointer_arithmetic(struct xdp_md *ctx)
{
	__u8 *end = (void *)(long)ctx->data_end;

	end -= 1;
	barrier_var(end);
	return *end == 0 ? XDP_PASS : XDP_DROP;
}
