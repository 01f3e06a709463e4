// SPDX-License-Identifier: MIT OR Apache-2.0
// The index that is checked is a narrower copy of the one that is used.

#include "mistake.h"

SEC("tc")
int bound_on_copy(struct __sk_buff *skb)
{
	struct event *event = find();
	__u64 index = skb->mark;
	__u64 low = index & 0xff;

	if (!event)
		return TC_ACT_OK;
	barrier_var(low);
	if (low >= 8)
		return TC_ACT_OK;
	event->numbers[index]++;
	return TC_ACT_OK;
}
