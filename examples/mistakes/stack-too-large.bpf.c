// SPDX-License-Identifier: MIT OR Apache-2.0
// Two functions, one calling the other, need more than 512 bytes of stack together.

#include "mistake.h"

static __noinline int inner(struct __sk_buff *skb)
{
	volatile __u64 numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = i;
	return numbers[skb->len % 8];
}

SEC("tc")
int stack_too_large(struct __sk_buff *skb)
{
	volatile __u64 numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = i;
	return inner(skb) + numbers[skb->mark % 8];
}
