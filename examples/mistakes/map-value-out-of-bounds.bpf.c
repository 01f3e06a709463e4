// SPDX-License-Identifier: MIT OR Apache-2.0
// A place behind the end of a map value is written.

#include "mistake.h"

SEC("tc")
int map_value_out_of_bounds(struct __sk_buff *skb)
{
	struct event *event = find();

	if (!event)
		return TC_ACT_OK;
	event[1].time_ns = 0;
	return TC_ACT_OK;
}
