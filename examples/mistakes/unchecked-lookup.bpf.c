// SPDX-License-Identifier: MIT OR Apache-2.0
// The result of a lookup is used without a test for NULL.

#include "mistake.h"

SEC("tc")
int unchecked_lookup(struct __sk_buff *skb)
{
	struct event *event = find();

	event->time_ns = bpf_ktime_get_ns();
	return TC_ACT_OK;
}
