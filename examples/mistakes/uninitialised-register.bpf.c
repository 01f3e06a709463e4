// SPDX-License-Identifier: MIT OR Apache-2.0
// Assembly uses an argument register behind a call, which loses R1 to R5.

#include "mistake.h"

SEC("tc")
__attribute__((naked)) int uninitialised_register(void)
{
	asm volatile("call 5\n"
		     "r0 = *(u32 *)(r1 + 0)\n"
		     "exit\n");
}
