// SPDX-License-Identifier: MIT OR Apache-2.0
// An address is put into a map without the privilege to see addresses.

#include "mistake.h"

SEC("socket")
int secret_leaked(struct __sk_buff *skb)
{
	struct event *event = find();

	if (event)
		event->time_ns = (__u64)skb;
	return 0;
}
