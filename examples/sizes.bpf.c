// SPDX-License-Identifier: MIT OR Apache-2.0
// A socket filter that keeps a histogram of packet sizes by powers of two, accepts at most `snap`
// bytes of each packet, and every `report_every` packets prints the largest bucket. Shows legacy packet loads,
// `bpf_loop`, `bpf_for_each_map_elem` and global data.

#include "skep_net.h"

#define BUCKETS 17

const volatile __u32 snap = 96;
const volatile __u32 report_every = 256;

__u64 packets;
__u64 broadcasts;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} sizes SEC(".maps");

struct log2 {
	__u32 left;
	__u32 result;
};

static long halve(__u32 index, struct log2 *log)
{
	if (log->left <= 1)
		return 1;
	log->left >>= 1;
	log->result = index + 1;
	return 0;
}

struct largest {
	__u64 count;
	__u32 bucket;
};

static long keep_largest(void *map, __u32 *key, __u64 *value, struct largest *largest)
{
	if (*value > largest->count) {
		largest->count = *value;
		largest->bucket = *key;
	}
	return 0;
}

SEC("socket")
int sizes_filter(struct __sk_buff *skb)
{
	struct log2 log = {.left = skb->len};
	struct largest largest = {};
	__u64 *count;

	packets += 1;
	bpf_loop(BUCKETS, halve, &log, 0);
	count = bpf_map_lookup_elem(&sizes, &log.result);
	if (count)
		__sync_fetch_and_add(count, 1);

	if (report_every && packets % report_every == 0) {
		bpf_for_each_map_elem(&sizes, keep_largest, &largest, 0);
		bpf_printk("%llu packets, most (%llu) from %u bytes", packets, largest.count, 1u << (largest.bucket & 31));
	}

	// Group bit of the destination address, if the packet begins with one.
	if (load_byte(skb, 0) & 1)
		broadcasts += 1;
	return snap;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
