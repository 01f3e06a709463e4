// SPDX-License-Identifier: MIT OR Apache-2.0
// Eight bytes are read from an odd place of the stack.

#include "mistake.h"

SEC("tc")
int misaligned_access(struct __sk_buff *skb)
{
	__u8 bytes[16] = {};
	__u8 *p = bytes + 1;

	barrier_var(p);
	return *(volatile __u64 *)p & 1;
}
