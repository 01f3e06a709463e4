// SPDX-License-Identifier: MIT OR Apache-2.0
// An index into a map value has no upper bound.

#include "mistake.h"

SEC("tc")
int map_index_unbounded(struct __sk_buff *skb)
{
	struct event *event = find();

	if (!event)
		return TC_ACT_OK;
	event->numbers[skb->mark]++;
	return TC_ACT_OK;
}
