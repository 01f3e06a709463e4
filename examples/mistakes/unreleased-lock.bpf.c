// SPDX-License-Identifier: MIT OR Apache-2.0
// A lock is taken and, on one path, not released.

#include "mistake.h"

struct bpf_spin_lock {
	__u32 val;
};

static long (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;

struct counter {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

SEC("tc")
int unreleased_lock(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return TC_ACT_OK;
	bpf_spin_lock(&counter->lock);
	if (counter->count > 100)
		return TC_ACT_SHOT;
	counter->count++;
	bpf_spin_unlock(&counter->lock);
	return TC_ACT_OK;
}
