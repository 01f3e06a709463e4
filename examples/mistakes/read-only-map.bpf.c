// SPDX-License-Identifier: MIT OR Apache-2.0
// A constant is written to.

#include "mistake.h"

static const volatile __u32 limit = 10;

SEC("tc")
int read_only_map(struct __sk_buff *skb)
{
	*(volatile __u32 *)&limit = skb->len;
	return TC_ACT_OK;
}
