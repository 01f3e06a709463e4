// SPDX-License-Identifier: MIT OR Apache-2.0
// Drops packets to blocked TCP and UDP ports, at tc ingress. Ports come from two places: the array
// `blocked` in .rodata, which a loader may change before the program is loaded, and the map `rules`,
// which user space may change while it runs. The map wins.

#include "skep_net.h"

#define MAX_BLOCKED 8

struct port {
	__u16 number; /* host byte order; 0: unused */
	__u8 protocol;
	__u8 pad;
};

enum rule { RULE_ALLOW, RULE_DROP };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct port);
	__type(value, enum rule);
} rules SEC(".maps");

// Packets dropped, by port.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct port);
	__type(value, __u64);
} dropped SEC(".maps");

const volatile struct port blocked[MAX_BLOCKED] = {
	{80, IP_TCP, 0},
	{5353, IP_UDP, 0},
};

// Whether packets of other protocols, and fragments without ports, pass.
const volatile _Bool pass_other = 1;

__u64 seen = 0;
struct {
	__u64 tcp;
	__u64 udp;
	__u64 other;
	__u64 later_fragments;
} passed = {};

// Mark that passed packets carry.
__u32 pass_mark = 0x5ee9;

static __noinline int is_blocked(const struct port *port)
{
	enum rule *rule = bpf_map_lookup_elem(&rules, port);

	if (rule)
		return *rule == RULE_DROP;
	for (int i = 0; i < MAX_BLOCKED; i++)
		if (blocked[i].number == port->number && blocked[i].protocol == port->protocol)
			return port->number != 0;
	return 0;
}

static __noinline int count_drop(const struct port *port)
{
	__u64 *count = bpf_map_lookup_elem(&dropped, port);
	__u64 one = 1;

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&dropped, port, &one, BPF_NOEXIST);
	return TC_ACT_SHOT;
}

static __always_inline int other(struct __sk_buff *skb)
{
	passed.other += 1;
	skb->mark = pass_mark;
	return pass_other ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int portfilter(struct __sk_buff *skb)
{
	struct port port = {};
	struct ipv4_hdr ip4;
	struct ipv6_hdr ip6;
	struct vlan_hdr tag;
	__be16 type, dst;
	__u32 off = sizeof(struct eth_hdr);
	__u8 protocol;

	seen += 1;
	if (bpf_skb_load_bytes(skb, 12, &type, sizeof(type)))
		return TC_ACT_SHOT;
	for (int i = 0; i < 2; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, off, &tag, sizeof(tag)))
			return other(skb);
		type = tag.type;
		off += sizeof(tag);
	}

	if (type == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, off, &ip4, sizeof(ip4)))
			return other(skb);
		protocol = ip4.protocol;
		if (ip4.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET)) {
			passed.later_fragments += 1;
			return other(skb);
		}
		off += (ip4.version_ihl & 0xf) * 4;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, off, &ip6, sizeof(ip6)))
			return other(skb);
		protocol = ip6.next;
		off += sizeof(ip6);
	} else {
		return other(skb);
	}

	if (protocol != IP_TCP && protocol != IP_UDP)
		return other(skb);
	if (bpf_skb_load_bytes(skb, off + 2, &dst, sizeof(dst)))
		return other(skb);
	port.number = bpf_ntohs(dst);
	port.protocol = protocol;
	if (is_blocked(&port))
		return count_drop(&port);

	if (protocol == IP_TCP)
		passed.tcp += 1;
	else
		passed.udp += 1;
	skb->mark = pass_mark;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
