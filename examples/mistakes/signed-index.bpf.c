// SPDX-License-Identifier: MIT OR Apache-2.0
// An index is compared with its upper bound only, as a signed number.

#include "mistake.h"

SEC("tc")
int signed_index(struct __sk_buff *skb)
{
	struct event *event = find();
	__s64 index = (__s32)skb->mark;

	if (!event)
		return TC_ACT_OK;
	if (index < 8)
		event->numbers[index]++;
	return TC_ACT_OK;
}
