/* SPDX-License-Identifier: MIT */
/* Two habits of glibc's malloc() that a daemon should not have; see heap.h. */

#include "config.h"

#include "daemon/heap.h"

#include <malloc.h>
#include <stddef.h>

#include "daemon/event.h"

#define TRIM_NS 60000000000ull
#define MMAP_BYTES 65536

static void
trim(void *arg)
{
	malloc_trim(0);
}

struct event_watch *
heap_tend(struct event_loop *loop)
{
	/* Else it learns to keep what was used for a large page, for ever. */
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	/* Of itself it gives back what lies at the end alone. */
	return event_every(loop, TRIM_NS, trim, NULL);
}
