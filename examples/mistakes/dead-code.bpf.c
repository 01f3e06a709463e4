// SPDX-License-Identifier: MIT OR Apache-2.0
// Assembly goes on behind an exit, where nothing leads.

#include "mistake.h"

SEC("tc")
__attribute__((naked)) int dead_code(void)
{
	asm volatile("r0 = 0\n"
		     "exit\n"
		     "r0 = 1\n"
		     "exit\n");
}
