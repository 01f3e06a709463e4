// SPDX-License-Identifier: MIT OR Apache-2.0
// Assembly runs off the end of the program.

#include "mistake.h"

SEC("tc")
__attribute__((naked)) int missing_return(void)
{
	asm volatile("r0 = 0\n");
}
