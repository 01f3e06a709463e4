// SPDX-License-Identifier: MIT OR Apache-2.0
// A callback of bpf_loop returns something other than 0 or 1.

#include "mistake.h"

static long step(__u32 index, void *ctx)
{
	return 2;
}

SEC("tc")
int callback_result(struct __sk_buff *skb)
{
	bpf_loop(4, step, 0, 0);
	return TC_ACT_OK;
}
