/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the mistakes share beside ../include/skep_bpf.h. */
#ifndef MISTAKE_H
#define MISTAKE_H

#include "../include/skep_bpf.h"

struct event {
	__u64 time_ns;
	__u64 numbers[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct event);
} events SEC(".maps");

static __always_inline struct event *find(void)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&events, &key);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#endif
