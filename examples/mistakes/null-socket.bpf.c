// SPDX-License-Identifier: MIT OR Apache-2.0
// A socket that was looked up is used without a test for NULL.

#include "mistake.h"

struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
};

struct bpf_sock_tuple {
	__u32 addresses[2];
	__u16 ports[2];
};

static struct bpf_sock *(*const bpf_sk_lookup_tcp)(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
						    __u64 flags) = (void *)84;
static long (*const bpf_sk_release)(void *sock) = (void *)86;

SEC("tc")
int null_socket(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = { .ports = { 0, bpf_htons(80) } };
	struct bpf_sock *sock = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple), -1, 0);
	__u32 family = sock->family;

	bpf_sk_release(sock);
	return family == 2 ? TC_ACT_OK : TC_ACT_SHOT;
}
