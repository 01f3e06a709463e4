// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions call each other nine deep.

#include "mistake.h"

static __noinline int level8(struct __sk_buff *skb)
{
	return skb->len;
}

static __noinline int level7(struct __sk_buff *skb)
{
	return level8(skb) + 7;
}

static __noinline int level6(struct __sk_buff *skb)
{
	return level7(skb) + 6;
}

static __noinline int level5(struct __sk_buff *skb)
{
	return level6(skb) + 5;
}

static __noinline int level4(struct __sk_buff *skb)
{
	return level5(skb) + 4;
}

static __noinline int level3(struct __sk_buff *skb)
{
	return level4(skb) + 3;
}

static __noinline int level2(struct __sk_buff *skb)
{
	return level3(skb) + 2;
}

static __noinline int level1(struct __sk_buff *skb)
{
	return level2(skb) + 1;
}

SEC("tc")
int too_deep_calls(struct __sk_buff *skb)
{
	return level1(skb);
}
