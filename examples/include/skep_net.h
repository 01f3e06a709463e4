/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packet headers, as far as the examples read or write them. All fields in network byte order. */
#ifndef SKEP_NET_H
#define SKEP_NET_H

#include "skep_bpf.h"

enum ether_type {
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_8021Q = 0x8100,
	ETH_P_IPV6 = 0x86dd,
	ETH_P_8021AD = 0x88a8,
};

enum ip_protocol {
	IP_HOPOPTS = 0,
	IP_ICMP = 1,
	IP_IGMP = 2,
	IP_IPIP = 4,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_IPV6 = 41,
	IP_ROUTING = 43,
	IP_FRAGMENT = 44,
	IP_GRE = 47,
	IP_ESP = 50,
	IP_AH = 51,
	IP_ICMPV6 = 58,
	IP_NONE = 59,
	IP_DSTOPTS = 60,
	IP_OSPF = 89,
	IP_PIM = 103,
	IP_VRRP = 112,
	IP_SCTP = 132,
};

struct eth_hdr {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
};

struct vlan_hdr {
	__be16 tci;
	__be16 type;
};

struct ipv4_hdr {
	__u8 version_ihl;
	__u8 tos;
	__be16 len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__u16 csum;
	__be32 src;
	__be32 dst;
};

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff

struct ipv6_hdr {
	__be32 version_class_flow;
	__be16 payload_len;
	__u8 next;
	__u8 hop_limit;
	__be32 src[4];
	__be32 dst[4];
};

struct ipv6_ext_hdr {
	__u8 next;
	__u8 len; /* in units of 8 bytes beyond the first 8; of 4 bytes beyond the first 8 in AH */
};

struct ipv6_frag_hdr {
	__u8 next;
	__u8 reserved;
	__be16 off_more;
	__be32 id;
};

struct tcp_hdr {
	__be16 src;
	__be16 dst;
	__be32 seq;
	__be32 ack;
	__u8 off;
	__u8 flags;
	__be16 window;
	__u16 csum;
	__be16 urgent;
};

struct udp_hdr {
	__be16 src;
	__be16 dst;
	__be16 len;
	__u16 csum;
};

struct icmp_hdr {
	__u8 type;
	__u8 code;
	__u16 csum;
	__be16 id;
	__be16 seq;
};

#endif
