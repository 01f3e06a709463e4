// SPDX-License-Identifier: MIT OR Apache-2.0
// A layer-4 load balancer at XDP. Packets to a virtual address (VIP) go to one of its backends, chosen by
// consistent hashing of the flow and remembered in a connection table. A VIP either rewrites the destination
// (NAT, with the way back) or encapsulates (IP in IP). It answers pings to a VIP itself.
//
//   xdplb ── parses the link layer ──┬─ tail call ─▸ xdplb_ipv4 ─┐
//                                    └─ tail call ─▸ xdplb_ipv6 ─┴─▸ lookup, pick, connection, rewrite
//
// Configuration comes from .rodata, which a loader may change before it loads the program; the first packet
// copies it into the maps, which user space may change afterwards.

#include "skep_net.h"

#define MAX_VIPS 8
#define MAX_BACKENDS 16
#define RING_SLOTS 251
#define MAX_TAGS 2
#define MAX_EXT_HDRS 6

enum mode { MODE_NAT = 1, MODE_IPIP = 2 };

enum stage { STAGE_IPV4, STAGE_IPV6, STAGES };

enum stat {
	STAT_PACKETS,
	STAT_NOT_IP,
	STAT_MALFORMED,
	STAT_NOT_FOR_VIP,
	STAT_ECHO_REPLIES,
	STAT_NEW_CONNECTIONS,
	STAT_TO_BACKEND,
	STAT_TO_CLIENT,
	STAT_ENCAPSULATED,
	STAT_FRAGMENTS,
	STAT_NO_BACKEND,
	STAT_TABLE_FULL,
	STAT_NO_ROOM,
	STAT_EXPIRED,
	STATS,
};

// An IPv4 address is the last word of a IPv4-mapped IPv6 address: one table serves both families.
struct addr {
	__be32 word[4];
};

struct vip {
	struct addr addr;
	__be16 port; // 0: any port, fragments included
	__u8 protocol;
	__u8 pad;
};

struct vip_info {
	enum mode mode;
	__u32 index; // of its ring
	__u32 first_backend;
	__u32 backends;
};

struct backend {
	struct addr addr;
	__u32 weight;
	__u8 mac[6];
	__be16 port; // 0: unchanged
};

struct vip_config {
	struct vip vip;
	struct vip_info info;
};

struct flow {
	struct addr src;
	struct addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u8 protocol;
	__u8 pad[3];
};

enum direction { TO_BACKEND = 1, TO_CLIENT = 2 };

struct connection {
	enum direction direction;
	enum mode mode;
	__u32 backend;
	__be16 port; // new destination port, or source port on the way back
	__u8 mac[6]; // next hop
	struct addr addr; // new destination, or source on the way back
	__u64 packets;
	__u64 bytes;
	__u64 last_seen_ns;
};

struct backend_stats {
	__u64 packets;
	__u64 bytes;
	__u64 connections;
};

// What a stage hands to the next one.
struct packet {
	struct flow flow;
	__u32 l3_off;
	__u32 l4_off;
	__u32 bytes;
	__u8 ipv6;
	__u8 fragment; // 1: first, 2: later
	__u8 new_connection;
	__u8 pad;
};

#define V4(a, b, c, d) \
	{.word = {0, 0, bpf_htonl(0xffff), bpf_htonl((__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))}}
#define V6(a, b, c, d) \
	{.word = {bpf_htonl(a), bpf_htonl(b), bpf_htonl(c), bpf_htonl(d)}}

const volatile __u32 vip_count = 6;
const volatile struct vip_config vip_config[MAX_VIPS] = {
	{{V4(192, 0, 2, 80), bpf_htons(80), IP_TCP}, {MODE_NAT, 0, 0, 4}},
	{{V6(0x20010db8, 0, 0, 0x80), bpf_htons(80), IP_TCP}, {MODE_NAT, 1, 4, 3}},
	{{V4(192, 0, 2, 80), bpf_htons(8080), IP_TCP}, {MODE_IPIP, 2, 0, 4}},
	{{V6(0x20010db8, 0, 0, 0x80), bpf_htons(8080), IP_TCP}, {MODE_IPIP, 3, 4, 3}},
	{{V4(192, 0, 2, 80), 0, IP_UDP}, {MODE_NAT, 4, 0, 4}},
	{{V6(0x20010db8, 0, 0, 0x80), 0, IP_UDP}, {MODE_NAT, 5, 4, 3}},
};

const volatile __u32 backend_count = 7;
const volatile struct backend backend_config[MAX_BACKENDS] = {
	{V4(198, 51, 100, 1), 1, {0x02, 0, 0, 0, 1, 1}, 0},
	{V4(198, 51, 100, 2), 2, {0x02, 0, 0, 0, 1, 2}, 0},
	{V4(198, 51, 100, 3), 1, {0x02, 0, 0, 0, 1, 3}, bpf_htons(8000)},
	{V4(198, 51, 100, 4), 4, {0x02, 0, 0, 0, 1, 4}, 0},
	{V6(0x20010db8, 1, 0, 1), 1, {0x02, 0, 0, 0, 6, 1}, 0},
	{V6(0x20010db8, 1, 0, 2), 1, {0x02, 0, 0, 0, 6, 2}, bpf_htons(8000)},
	{V6(0x20010db8, 1, 0, 3), 2, {0x02, 0, 0, 0, 6, 3}, 0},
};

// Source of encapsulated packets.
const volatile struct addr tunnel_v4 = V4(192, 0, 2, 254);
const volatile struct addr tunnel_v6 = V6(0x20010db8, 0, 0, 0xfe);

const volatile __u32 hash_seed = 0x5eed;
const volatile _Bool verbose = 1;
// Connections idle for longer begin anew.
const volatile __u64 idle_ns = 300ULL * 1000 * 1000 * 1000;

__u64 configured = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_VIPS);
	__type(key, struct vip);
	__type(value, struct vip_info);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

// Backend number by VIP index and slot.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_VIPS * RING_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, struct connection);
} connections SEC(".maps");

// Key: `enum stat`.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STATS);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend_stats);
} backend_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} scratch SEC(".maps");

int xdplb_ipv4(struct xdp_md *ctx);
int xdplb_ipv6(struct xdp_md *ctx);

// Key: `enum stage`.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__type(key, __u32);
	__array(values, int(struct xdp_md *));
} stages SEC(".maps") = {
	.values = {
		[STAGE_IPV4] = &xdplb_ipv4,
		[STAGE_IPV6] = &xdplb_ipv6,
	},
};

static __always_inline int count(enum stat stat, int verdict)
{
	__u32 key = stat;
	__u64 *value = bpf_map_lookup_elem(&stats, &key);

	if (value)
		*value += 1;
	return verdict;
}

static __always_inline struct packet *packet_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

// Hashing ------------------------------------------------------------------------------------------

static __always_inline __u32 rol(__u32 x, int by)
{
	return x << by | x >> (32 - by);
}

// Bob Jenkins' lookup3 (public domain), over whole words.
static __noinline __u32 hash_words(const __u32 *word, __u32 words, __u32 seed)
{
	__u32 a = 0xdeadbeef + (words << 2) + seed, b = a, c = a;

	for (int i = 0; i < 12 && i + 3 <= words; i += 3) {
		a += word[i];
		b += word[i + 1];
		c += word[i + 2];
		a -= c; a ^= rol(c, 4); c += b;
		b -= a; b ^= rol(a, 6); a += c;
		c -= b; c ^= rol(b, 8); b += a;
		a -= c; a ^= rol(c, 16); c += b;
		b -= a; b ^= rol(a, 19); a += c;
		c -= b; c ^= rol(b, 4); b += a;
	}
	c ^= b; c -= rol(b, 14);
	a ^= c; a -= rol(c, 11);
	b ^= a; b -= rol(a, 25);
	c ^= b; c -= rol(b, 16);
	a ^= c; a -= rol(c, 4);
	b ^= a; b -= rol(a, 14);
	c ^= b; c -= rol(b, 24);
	return c;
}

static __always_inline __u32 hash_flow(const struct flow *flow, int with_ports)
{
	__u32 word[12] = {
		flow->src.word[0], flow->src.word[1], flow->src.word[2], flow->src.word[3],
		flow->dst.word[0], flow->dst.word[1], flow->dst.word[2], flow->dst.word[3],
		with_ports ? (__u32)flow->src_port << 16 | flow->dst_port : 0, flow->protocol, 0, 0,
	};

	return hash_words(word, 12, hash_seed);
}

// Configuration ------------------------------------------------------------------------------------

struct fill {
	__u32 index;
	__u32 first;
	__u32 count;
};

// Fills one slot: the backend that scores highest for this slot, so that a backend that goes takes only its
// own slots along (rendezvous hashing). A backend of weight w draws w times.
static long fill_slot(__u32 slot, struct fill *fill)
{
	__u32 best = 0, best_score = 0;
	__u32 key = fill->index * RING_SLOTS + slot;

	for (__u32 i = 0; i < MAX_BACKENDS; i++) {
		__u32 number = fill->first + i;
		struct backend *backend;

		if (i >= fill->count)
			break;
		backend = bpf_map_lookup_elem(&backends, &number);
		if (!backend)
			break;
		for (__u32 draw = 0; draw < 4 && draw < backend->weight; draw++) {
			__u32 word[3] = {slot, backend->addr.word[3], draw};
			__u32 score = hash_words(word, 3, hash_seed);

			if (score > best_score) {
				best_score = score;
				best = number;
			}
		}
	}
	bpf_map_update_elem(&ring, &key, &best, BPF_ANY);
	return 0;
}

static long copy_backend(__u32 number, void *unused)
{
	struct backend backend;

	if (number >= MAX_BACKENDS)
		return 1;
	__builtin_memcpy(&backend, (const void *)&backend_config[number], sizeof(backend));
	bpf_map_update_elem(&backends, &number, &backend, BPF_ANY);
	return 0;
}

static long copy_vip(__u32 number, void *unused)
{
	struct vip_config config;
	struct fill fill;

	if (number >= MAX_VIPS)
		return 1;
	__builtin_memcpy(&config, (const void *)&vip_config[number], sizeof(config));
	bpf_map_update_elem(&vips, &config.vip, &config.info, BPF_ANY);
	fill.index = config.info.index;
	fill.first = config.info.first_backend;
	fill.count = config.info.backends;
	bpf_loop(RING_SLOTS, fill_slot, &fill, 0);
	return 0;
}

static __noinline int configure(void)
{
	if (__sync_lock_test_and_set(&configured, 1))
		return 0;
	bpf_loop(backend_count, copy_backend, 0, 0);
	bpf_loop(vip_count, copy_vip, 0, 0);
	if (verbose)
		bpf_printk("configured %u VIPs, %u backends", vip_count, backend_count);
	return 1;
}

// Checksums ----------------------------------------------------------------------------------------

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// RFC 1624: the checksum after `from` was replaced by `to`; `diff` is the sum of ~from and to.
static __always_inline __u16 updated(__u16 csum, __u64 diff)
{
	return ~fold((__u64)(__u16)~csum + diff);
}

static __always_inline __u64 diff32(__be32 from, __be32 to)
{
	return (__u64)(__u32)~from + to;
}

static __always_inline __u64 diff16(__be16 from, __be16 to)
{
	return (__u64)(__u16)~from + to;
}

static __always_inline __u64 diff_addr(const struct addr *from, const struct addr *to, int ipv6)
{
	if (!ipv6)
		return diff32(from->word[3], to->word[3]);
	return bpf_csum_diff(from, sizeof(*from), to, sizeof(*to), 0);
}

static __always_inline __u16 ipv4_csum(const struct ipv4_hdr *ip)
{
	const __u16 *half = (const __u16 *)ip;
	__u64 sum = 0;

	for (int i = 0; i < 10; i++)
		sum += half[i];
	return ~fold(sum);
}

// Choosing a backend -------------------------------------------------------------------------------

static __noinline struct vip_info *find_vip(const struct flow *flow)
{
	struct vip vip = {.addr = flow->dst, .port = flow->dst_port, .protocol = flow->protocol};
	struct vip_info *info = bpf_map_lookup_elem(&vips, &vip);

	if (info || !vip.port)
		return info;
	vip.port = 0;
	return bpf_map_lookup_elem(&vips, &vip);
}

static __always_inline void count_backend(__u32 number, __u32 bytes, __u32 connections)
{
	struct backend_stats first = {1, bytes, connections};
	struct backend_stats *found = bpf_map_lookup_elem(&backend_stats, &number);

	if (!found) {
		bpf_map_update_elem(&backend_stats, &number, &first, BPF_ANY);
		return;
	}
	found->packets += 1;
	found->bytes += bytes;
	found->connections += connections;
}

// Remembers the flow, and for NAT also the way back. Returns 0, or the table's error.
static __noinline int remember(struct xdp_md *ctx, const struct packet *packet, const struct vip_info *info,
			       __u32 number)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	struct connection connection = {.direction = TO_BACKEND, .mode = info->mode, .backend = number};
	struct eth_hdr *eth = data;
	struct flow back = {};
	long err;

	if (!backend || data + sizeof(*eth) > end)
		return -1;
	connection.addr = backend->addr;
	connection.port = backend->port ? backend->port : packet->flow.dst_port;
	connection.last_seen_ns = bpf_ktime_get_ns();
	__builtin_memcpy(connection.mac, backend->mac, sizeof(connection.mac));
	err = bpf_map_update_elem(&connections, &packet->flow, &connection, BPF_ANY);
	if (err || info->mode != MODE_NAT)
		return err;

	back.src = backend->addr;
	back.dst = packet->flow.src;
	back.src_port = connection.port;
	back.dst_port = packet->flow.src_port;
	back.protocol = packet->flow.protocol;
	connection.direction = TO_CLIENT;
	connection.addr = packet->flow.dst;
	connection.port = packet->flow.dst_port;
	__builtin_memcpy(connection.mac, eth->src, sizeof(connection.mac));
	return bpf_map_update_elem(&connections, &back, &connection, BPF_ANY);
}

static __noinline struct connection *connect(struct xdp_md *ctx, struct packet *packet)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &packet->flow);
	__u64 now = bpf_ktime_get_ns();
	struct vip_info *info;
	__u32 slot, *number;

	if (connection && now - connection->last_seen_ns > idle_ns) {
		bpf_map_delete_elem(&connections, &packet->flow);
		count(STAT_EXPIRED, 0);
		connection = 0;
	}
	if (!connection) {
		info = find_vip(&packet->flow);
		if (!info) {
			count(STAT_NOT_FOR_VIP, 0);
			return 0;
		}
		slot = hash_flow(&packet->flow, !packet->fragment) % RING_SLOTS + info->index * RING_SLOTS;
		number = bpf_map_lookup_elem(&ring, &slot);
		if (!number) {
			count(STAT_NO_BACKEND, 0);
			return 0;
		}
		if (remember(ctx, packet, info, *number)) {
			count(STAT_TABLE_FULL, 0);
			return 0;
		}
		connection = bpf_map_lookup_elem(&connections, &packet->flow);
		if (!connection)
			return 0;
		packet->new_connection = 1;
		count(STAT_NEW_CONNECTIONS, 0);
		if (verbose)
			bpf_printk("port %u: backend %u for client port %u", bpf_ntohs(packet->flow.dst_port), *number,
				   bpf_ntohs(packet->flow.src_port));
	}
	connection->last_seen_ns = now;
	__sync_fetch_and_add(&connection->packets, 1);
	__sync_fetch_and_add(&connection->bytes, packet->bytes);
	return connection;
}

// Rewriting ----------------------------------------------------------------------------------------

// Rewrites one address and port of the packet to those of the connection, and both checksums.
static __noinline int translate(struct xdp_md *ctx, const struct packet *packet, const struct connection *to)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int to_client = to->direction == TO_CLIENT;
	const struct addr *from_addr = to_client ? &packet->flow.src : &packet->flow.dst;
	__be16 from_port = to_client ? packet->flow.src_port : packet->flow.dst_port;
	__u32 l3_off = packet->l3_off, l4_off = packet->l4_off;
	struct eth_hdr *eth = data;
	__u64 diff = diff_addr(from_addr, &to->addr, packet->ipv6);
	void *l4;

	if (l3_off > 64 || l4_off > 512 || data + sizeof(*eth) > end)
		return -1;
	__builtin_memcpy(eth->src, eth->dst, sizeof(eth->src));
	__builtin_memcpy(eth->dst, to->mac, sizeof(eth->dst));

	if (packet->ipv6) {
		struct ipv6_hdr *ip = data + l3_off;

		if ((void *)(ip + 1) > end)
			return -1;
		__builtin_memcpy(to_client ? ip->src : ip->dst, &to->addr, sizeof(to->addr));
	} else {
		struct ipv4_hdr *ip = data + l3_off;

		if ((void *)(ip + 1) > end)
			return -1;
		ip->csum = updated(ip->csum, diff);
		if (to_client)
			ip->src = to->addr.word[3];
		else
			ip->dst = to->addr.word[3];
	}

	if (packet->fragment == 2)
		return 0;
	l4 = data + l4_off;
	if (packet->flow.protocol == IP_TCP) {
		struct tcp_hdr *tcp = l4;

		if (l4 + sizeof(*tcp) > end)
			return -1;
		if (!packet->fragment) {
			diff += diff16(from_port, to->port);
			if (to_client)
				tcp->src = to->port;
			else
				tcp->dst = to->port;
		}
		tcp->csum = updated(tcp->csum, diff);
	} else if (packet->flow.protocol == IP_UDP) {
		struct udp_hdr *udp = l4;

		if (l4 + sizeof(*udp) > end)
			return -1;
		if (!packet->fragment) {
			diff += diff16(from_port, to->port);
			if (to_client)
				udp->src = to->port;
			else
				udp->dst = to->port;
		}
		// Zero means that there is none; a sum of zero is sent as all ones.
		if (udp->csum) {
			udp->csum = updated(udp->csum, diff);
			if (!udp->csum)
				udp->csum = 0xffff;
		}
	}
	return 0;
}

// Puts an outer IPv4 header before the packet, in place of the link-layer header, VLAN tags included.
static __noinline int encapsulate_ipv4(struct xdp_md *ctx, const struct packet *packet, const struct connection *to)
{
	struct eth_hdr copy, *eth;
	struct ipv4_hdr *outer;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 l3_off = packet->l3_off, inner_bytes = packet->bytes - l3_off;

	if (l3_off < sizeof(*eth) || l3_off > 64 || data + sizeof(copy) > end)
		return -1;
	__builtin_memcpy(copy.src, ((struct eth_hdr *)data)->dst, sizeof(copy.src));
	if (bpf_xdp_adjust_head(ctx, (int)l3_off - (int)(sizeof(*eth) + sizeof(*outer))))
		return -1;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	eth = data;
	outer = data + sizeof(*eth);
	if ((void *)(outer + 1) > end)
		return -1;
	__builtin_memcpy(eth->dst, to->mac, sizeof(eth->dst));
	__builtin_memcpy(eth->src, copy.src, sizeof(eth->src));
	eth->type = bpf_htons(ETH_P_IP);
	outer->version_ihl = 0x45;
	outer->tos = 0;
	outer->len = bpf_htons(inner_bytes + sizeof(*outer));
	outer->id = 0;
	outer->frag_off = 0;
	outer->ttl = 64;
	outer->protocol = IP_IPIP;
	outer->csum = 0;
	outer->src = tunnel_v4.word[3];
	outer->dst = to->addr.word[3];
	outer->csum = ipv4_csum(outer);
	return 0;
}

static __noinline int encapsulate_ipv6(struct xdp_md *ctx, const struct packet *packet, const struct connection *to)
{
	struct eth_hdr copy, *eth;
	struct ipv6_hdr *outer;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 l3_off = packet->l3_off, inner_bytes = packet->bytes - l3_off;

	if (l3_off < sizeof(*eth) || l3_off > 64 || data + sizeof(copy) > end)
		return -1;
	__builtin_memcpy(copy.src, ((struct eth_hdr *)data)->dst, sizeof(copy.src));
	if (bpf_xdp_adjust_head(ctx, (int)l3_off - (int)(sizeof(*eth) + sizeof(*outer))))
		return -1;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	eth = data;
	outer = data + sizeof(*eth);
	if ((void *)(outer + 1) > end)
		return -1;
	__builtin_memcpy(eth->dst, to->mac, sizeof(eth->dst));
	__builtin_memcpy(eth->src, copy.src, sizeof(eth->src));
	eth->type = bpf_htons(ETH_P_IPV6);
	outer->version_class_flow = bpf_htonl(0x60000000 | (hash_flow(&packet->flow, 1) & 0xfffff));
	outer->payload_len = bpf_htons(inner_bytes);
	outer->next = IP_IPV6;
	outer->hop_limit = 64;
	__builtin_memcpy(outer->src, (const void *)&tunnel_v6, sizeof(outer->src));
	__builtin_memcpy(outer->dst, &to->addr, sizeof(outer->dst));
	return 0;
}

static __noinline int forward(struct xdp_md *ctx, struct packet *packet)
{
	struct connection *to = connect(ctx, packet);
	int err;

	if (!to)
		return XDP_PASS;
	count_backend(to->backend, packet->bytes, packet->new_connection);
	if (to->mode == MODE_IPIP) {
		err = packet->ipv6 ? encapsulate_ipv6(ctx, packet, to) : encapsulate_ipv4(ctx, packet, to);
		return err ? count(STAT_NO_ROOM, XDP_DROP) : count(STAT_ENCAPSULATED, XDP_TX);
	}
	if (translate(ctx, packet, to))
		return count(STAT_MALFORMED, XDP_DROP);
	return count(to->direction == TO_CLIENT ? STAT_TO_CLIENT : STAT_TO_BACKEND, XDP_TX);
}

// Stages -------------------------------------------------------------------------------------------

static __always_inline void swap_macs(struct eth_hdr *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->src, sizeof(mac));
	__builtin_memcpy(eth->src, eth->dst, sizeof(mac));
	__builtin_memcpy(eth->dst, mac, sizeof(mac));
}

static __noinline int is_vip_addr(const struct addr *addr)
{
	for (__u32 i = 0; i < MAX_VIPS; i++) {
		if (i >= vip_count)
			break;
		if (vip_config[i].vip.addr.word[0] == addr->word[0] && vip_config[i].vip.addr.word[1] == addr->word[1] &&
		    vip_config[i].vip.addr.word[2] == addr->word[2] && vip_config[i].vip.addr.word[3] == addr->word[3])
			return 1;
	}
	return 0;
}

// Reads the ports, where there are any. Returns -1 if the header is cut off.
static __always_inline int read_ports(struct packet *packet, void *l4, void *end)
{
	struct udp_hdr *ports = l4;

	packet->flow.src_port = 0;
	packet->flow.dst_port = 0;
	if (packet->fragment || (packet->flow.protocol != IP_TCP && packet->flow.protocol != IP_UDP))
		return 0;
	if (l4 + sizeof(*ports) > end)
		return -1;
	packet->flow.src_port = ports->src;
	packet->flow.dst_port = ports->dst;
	return 0;
}

SEC("xdp")
int xdplb_ipv4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet *packet = packet_scratch();
	struct ipv4_hdr *ip;
	__u32 l3_off, header;

	if (!packet)
		return XDP_ABORTED;
	l3_off = packet->l3_off;
	if (l3_off > 64 || data + sizeof(struct eth_hdr) > end)
		return XDP_ABORTED;
	ip = data + l3_off;
	if ((void *)(ip + 1) > end)
		return count(STAT_MALFORMED, XDP_DROP);
	header = (ip->version_ihl & 0xf) * 4;
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip))
		return count(STAT_MALFORMED, XDP_DROP);

	packet->ipv6 = 0;
	packet->new_connection = 0;
	packet->l4_off = l3_off + header;
	packet->flow.src = (struct addr)V4(0, 0, 0, 0);
	packet->flow.dst = (struct addr)V4(0, 0, 0, 0);
	packet->flow.src.word[3] = ip->src;
	packet->flow.dst.word[3] = ip->dst;
	packet->flow.protocol = ip->protocol;
	packet->fragment = ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET) ? 2 :
			   ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS)  ? 1 : 0;
	if (packet->fragment)
		count(STAT_FRAGMENTS, 0);

	if (ip->protocol == IP_ICMP && !packet->fragment && is_vip_addr(&packet->flow.dst)) {
		struct icmp_hdr *icmp = (void *)ip + header;
		struct eth_hdr *eth = data;
		__be32 src = ip->src;

		if ((void *)(icmp + 1) > end)
			return count(STAT_MALFORMED, XDP_DROP);
		if (icmp->type != 8 || icmp->code != 0)
			return count(STAT_NOT_FOR_VIP, XDP_PASS);
		// The header's sum stays as it is when addresses change places.
		ip->src = ip->dst;
		ip->dst = src;
		icmp->csum = updated(icmp->csum, diff16(bpf_htons(8 << 8), 0));
		icmp->type = 0;
		swap_macs(eth);
		return count(STAT_ECHO_REPLIES, XDP_TX);
	}

	if (read_ports(packet, (void *)ip + header, end))
		return count(STAT_MALFORMED, XDP_DROP);
	return forward(ctx, packet);
}

SEC("xdp")
int xdplb_ipv6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet *packet = packet_scratch();
	struct ipv6_hdr *ip;
	__u32 off;
	__u8 next;

	if (!packet)
		return XDP_ABORTED;
	off = packet->l3_off;
	if (off > 64 || data + sizeof(struct eth_hdr) > end)
		return XDP_ABORTED;
	ip = data + off;
	if ((void *)(ip + 1) > end)
		return count(STAT_MALFORMED, XDP_DROP);

	packet->ipv6 = 1;
	packet->fragment = 0;
	packet->new_connection = 0;
	__builtin_memcpy(&packet->flow.src, ip->src, sizeof(packet->flow.src));
	__builtin_memcpy(&packet->flow.dst, ip->dst, sizeof(packet->flow.dst));
	next = ip->next;
	off += sizeof(*ip);

	for (int i = 0; i < MAX_EXT_HDRS; i++) {
		struct ipv6_frag_hdr *ext = data + off;

		if (next != IP_HOPOPTS && next != IP_ROUTING && next != IP_DSTOPTS && next != IP_FRAGMENT)
			break;
		if (off > 400 || (void *)(ext + 1) > end)
			return count(STAT_MALFORMED, XDP_DROP);
		if (next == IP_FRAGMENT) {
			packet->fragment = ext->off_more & bpf_htons(0xfff8) ? 2 : ext->off_more & bpf_htons(1) ? 1 : 0;
			off += sizeof(*ext);
			next = ext->next;
			if (packet->fragment == 2)
				break;
		} else {
			off += (ext->reserved + 1) * 8;
			next = ext->next;
		}
	}
	if (off > 500)
		return count(STAT_MALFORMED, XDP_DROP);
	packet->l4_off = off;
	packet->flow.protocol = next;
	if (packet->fragment)
		count(STAT_FRAGMENTS, 0);

	if (next == IP_ICMPV6 && !packet->fragment && is_vip_addr(&packet->flow.dst)) {
		struct icmp_hdr *icmp = data + off;
		struct eth_hdr *eth = data;

		if ((void *)(icmp + 1) > end)
			return count(STAT_MALFORMED, XDP_DROP);
		if (icmp->type != 128 || icmp->code != 0)
			return count(STAT_NOT_FOR_VIP, XDP_PASS);
		__builtin_memcpy(ip->src, &packet->flow.dst, sizeof(ip->src));
		__builtin_memcpy(ip->dst, &packet->flow.src, sizeof(ip->dst));
		icmp->csum = updated(icmp->csum, diff16(bpf_htons(128 << 8), bpf_htons(129 << 8)));
		icmp->type = 129;
		swap_macs(eth);
		return count(STAT_ECHO_REPLIES, XDP_TX);
	}

	if (read_ports(packet, data + off, end))
		return count(STAT_MALFORMED, XDP_DROP);
	return forward(ctx, packet);
}

SEC("xdp")
int xdplb(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet *packet = packet_scratch();
	struct eth_hdr *eth = data;
	__u32 off = sizeof(*eth);
	__be16 type;

	configure();
	count(STAT_PACKETS, 0);
	if (!packet || data + sizeof(*eth) > end)
		return count(STAT_MALFORMED, XDP_DROP);
	type = eth->type;

	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlan_hdr *tag = data + off;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return count(STAT_MALFORMED, XDP_DROP);
		type = tag->type;
		off += sizeof(*tag);
	}
	packet->l3_off = off;
	packet->bytes = end - data;

	if (type == bpf_htons(ETH_P_IP))
		bpf_tail_call(ctx, &stages, STAGE_IPV4);
	else if (type == bpf_htons(ETH_P_IPV6))
		bpf_tail_call(ctx, &stages, STAGE_IPV6);
	else
		return count(STAT_NOT_IP, XDP_PASS);
	// A tail call returns only if it failed.
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
