// SPDX-License-Identifier: MIT OR Apache-2.0
// An array on the stack is written at an index without bound.

#include "mistake.h"

SEC("tc")
int variable_stack_offset(struct __sk_buff *skb)
{
	__u8 bytes[16] = {};

	bytes[skb->mark] = 1;
	barrier_var(bytes[0]);
	return bytes[3];
}
