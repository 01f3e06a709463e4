// SPDX-License-Identifier: MIT OR Apache-2.0
// Where fields of kernel structures lie, found when the object is opened (CO-RE), not when it was compiled:
// nothing here is larger than what it names. Counts packets by the offset of `sk_buff.len`, for something to see.

#include "skep_net.h"

#define CORE __attribute__((preserve_access_index))
#define FIELD_BYTE_OFFSET 0
#define FIELD_EXISTS 2

struct sk_buff {
	__u32 len;
} CORE;

// A flavour: the kernel's type is named without what follows the three underscores.
struct net_device___imagined {
	__u32 no_such_field;
} CORE;

enum fact { SKB_LEN_OFFSET, IMAGINED_EXISTS, PACKETS, FACTS };

// Key: `enum fact`.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FACTS);
	__type(key, __u32);
	__type(value, __u64);
} facts SEC(".maps");

static __always_inline void set(enum fact fact, __u64 value)
{
	__u32 key = fact;

	bpf_map_update_elem(&facts, &key, &value, BPF_ANY);
}

SEC("tc")
int core(struct __sk_buff *skb)
{
	struct net_device___imagined *imagined = 0;
	struct sk_buff *kernel = 0;
	__u32 key = PACKETS;
	__u64 *packets = bpf_map_lookup_elem(&facts, &key);

	if (packets)
		*packets += 1;
	set(SKB_LEN_OFFSET, __builtin_preserve_field_info(kernel->len, FIELD_BYTE_OFFSET));
	set(IMAGINED_EXISTS, __builtin_preserve_field_info(imagined->no_such_field, FIELD_EXISTS));
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
