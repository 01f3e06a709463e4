// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper is told to fill as many bytes as the packet is long.

#include "mistake.h"

SEC("tc")
int helper_size_unbounded(struct __sk_buff *skb)
{
	__u8 bytes[64] = {};

	bpf_skb_load_bytes(skb, 0, bytes, skb->len);
	return bytes[0];
}
