// SPDX-License-Identifier: MIT OR Apache-2.0
// Pointers into the packet are used behind a helper that may move it.

#include "mistake.h"

SEC("tc")
int packet_not_reloaded(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	__u8 *end = (void *)(long)skb->data_end;

	if (data + 34 > end) {
		if (bpf_skb_pull_data(skb, 34))
			return TC_ACT_OK;
	}
	return data[23] == 17 ? TC_ACT_SHOT : TC_ACT_OK;
}
