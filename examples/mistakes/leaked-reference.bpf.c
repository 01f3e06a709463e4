// SPDX-License-Identifier: MIT OR Apache-2.0
// A record of a ring buffer is reserved and, on one path, neither submitted nor discarded.

#include "mistake.h"

static void *(*const bpf_ringbuf_reserve)(void *map, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;

struct {
	__uint(type, 27); /* BPF_MAP_TYPE_RINGBUF */
	__uint(max_entries, 4096);
} records SEC(".maps");

SEC("tc")
int leaked_reference(struct __sk_buff *skb)
{
	__u64 *record = bpf_ringbuf_reserve(&records, sizeof(*record), 0);

	if (!record)
		return TC_ACT_OK;
	*record = skb->len;
	if (skb->mark == 7)
		return TC_ACT_SHOT;
	bpf_ringbuf_submit(record, 0);
	return TC_ACT_OK;
}
