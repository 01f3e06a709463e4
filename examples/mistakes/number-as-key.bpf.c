// SPDX-License-Identifier: MIT OR Apache-2.0
// A lookup is given a number where it needs the address of a key.

#include "mistake.h"

SEC("tc")
int number_as_key(struct __sk_buff *skb)
{
	__u64 key = skb->mark;
	struct event *event = bpf_map_lookup_elem(&events, (void *)key);

	return event ? TC_ACT_SHOT : TC_ACT_OK;
}
