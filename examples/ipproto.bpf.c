// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets by IP protocol: two totals, and a counter for each protocol, for user space to read.
// The protocol of an IPv6 packet is what follows its extension headers. VLAN tags are skipped.

#include "skep_net.h"

#define MAX_TAGS 2
#define MAX_EXT_HDRS 8

enum total { PACKETS, BYTES };

enum kind { IPV4, IPV6, ARP, OTHER_ETHERTYPE, MALFORMED, KINDS };

struct counter {
	__u64 packets;
	__u64 bytes;
};

// Key: `enum total`.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} totals SEC(".maps");

// Key: `enum kind`.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, __u32);
	__type(value, __u64);
} kinds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, enum ip_protocol);
	__type(value, struct counter);
} protocols SEC(".maps");

static __always_inline void add_total(enum total which, __u64 n)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&totals, &key);

	if (value)
		__sync_fetch_and_add(value, n);
}

static __always_inline void count_kind(enum kind kind)
{
	__u32 key = kind;
	__u64 *value = bpf_map_lookup_elem(&kinds, &key);

	if (value)
		*value += 1;
}

static __noinline int count_protocol(__u32 protocol, __u64 bytes)
{
	enum ip_protocol key = protocol;
	struct counter *counter = bpf_map_lookup_elem(&protocols, &key);
	struct counter first = {1, bytes};

	if (!counter)
		return bpf_map_update_elem(&protocols, &key, &first, BPF_ANY);
	counter->packets += 1;
	counter->bytes += bytes;
	return 0;
}

// Protocol of an IPv6 packet, or -1 if its extension headers are cut off.
static __noinline int ipv6_protocol(void *at, void *end, __u32 next)
{
	for (int i = 0; i < MAX_EXT_HDRS; i++) {
		struct ipv6_ext_hdr *ext = at;

		switch (next) {
		case IP_HOPOPTS:
		case IP_ROUTING:
		case IP_DSTOPTS:
			if (at + sizeof(struct ipv6_frag_hdr) > end)
				return -1;
			next = ext->next;
			at += (ext->len + 1) * 8;
			break;
		case IP_FRAGMENT: {
			struct ipv6_frag_hdr *frag = at;

			if (at + sizeof(*frag) > end)
				return -1;
			// What follows in a later fragment is payload.
			if (frag->off_more & bpf_htons(0xfff8))
				return frag->next;
			next = frag->next;
			at += sizeof(*frag);
			break;
		}
		default:
			return next;
		}
	}
	return next;
}

SEC("xdp")
int ipproto(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 bytes = end - at;
	struct eth_hdr *eth = at;
	__u16 type;
	int protocol;

	add_total(PACKETS, 1);
	add_total(BYTES, bytes);

	if (at + sizeof(*eth) > end) {
		count_kind(MALFORMED);
		return XDP_PASS;
	}
	type = bpf_ntohs(eth->type);
	at += sizeof(*eth);

	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlan_hdr *tag = at;

		if (type != ETH_P_8021Q && type != ETH_P_8021AD)
			break;
		if (at + sizeof(*tag) > end) {
			count_kind(MALFORMED);
			return XDP_PASS;
		}
		type = bpf_ntohs(tag->type);
		at += sizeof(*tag);
	}

	if (type == ETH_P_IP) {
		struct ipv4_hdr *ip = at;

		if (at + sizeof(*ip) > end) {
			count_kind(MALFORMED);
			return XDP_PASS;
		}
		count_kind(IPV4);
		protocol = ip->protocol;
	} else if (type == ETH_P_IPV6) {
		struct ipv6_hdr *ip = at;

		if (at + sizeof(*ip) > end) {
			count_kind(MALFORMED);
			return XDP_PASS;
		}
		count_kind(IPV6);
		protocol = ipv6_protocol(at + sizeof(*ip), end, ip->next);
	} else {
		count_kind(type == ETH_P_ARP ? ARP : OTHER_ETHERTYPE);
		return XDP_PASS;
	}

	if (protocol < 0) {
		count_kind(MALFORMED);
		bpf_printk("IPv6 extension headers cut off after %d bytes", (int)bytes);
		return XDP_PASS;
	}
	count_protocol(protocol, bytes);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
