// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper for GPL-compatible programs is called by one that is not.

#include "../include/skep_bpf.h"

SEC("tc")
int missing_gpl(struct __sk_buff *skb)
{
	static const char text[] = "hello";

	bpf_trace_printk(text, sizeof(text));
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Proprietary";
