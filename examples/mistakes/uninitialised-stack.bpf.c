// SPDX-License-Identifier: MIT OR Apache-2.0
// A key has padding that is never written; without privileges that must not reach a map.

#include "mistake.h"

struct wide {
	__u8 kind;
	__u64 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct wide);
	__type(value, __u64);
} wides SEC(".maps");

SEC("socket")
int uninitialised_stack(struct __sk_buff *skb)
{
	struct wide key;
	__u64 *found;

	key.kind = 1;
	key.number = 2;
	found = bpf_map_lookup_elem(&wides, &key);
	return found ? 1 : 0;
}
