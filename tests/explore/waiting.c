/* SPDX-License-Identifier: MIT */
/* The wait calls of an exploration's threads: with what a thread knows of itself in reach. */

#include "config.h"

#include "probes/waits.c"

#include "tests/explore/waiting.h"

void *
waiting_self(size_t *ret_bytes)
{
	*ret_bytes = sizeof(self);
	return &self;
}
