// SPDX-License-Identifier: MIT OR Apache-2.0
// Fewer bytes are compared with the end of the packet than are read.

#include "mistake.h"

SEC("xdp")
int packet_bound_short(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u8 *end = (void *)(long)ctx->data_end;

	if (data + 14 > end)
		return XDP_PASS;
	return data[23] == 17 ? XDP_PASS : XDP_DROP;
}
