// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop ends only when a helper happens to return 0.

#include "mistake.h"

SEC("tc")
int unbounded_loop(struct __sk_buff *skb)
{
	while (bpf_get_prandom_u32() != 0)
		;
	return TC_ACT_OK;
}
