// SPDX-License-Identifier: MIT OR Apache-2.0
// A member of the context that is only for reading is written.

#include "mistake.h"

SEC("tc")
int read_only_context(struct __sk_buff *skb)
{
	skb->len = 0;
	return TC_ACT_OK;
}
