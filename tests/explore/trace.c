/* SPDX-License-Identifier: MIT */
/* See trace.h. */

#include "config.h"

#include "tests/explore/trace.h"

#include <stdio.h>

#include "tests/explore/explore.h"

#define TOLD 80 /* steps, at most */

static struct {
	const char *what;
	const void *address;
	unsigned thread;
	uint64_t value;
} trace[TRACE_MAX];
static unsigned count;

void
trace_add(unsigned thread, const char *what, const void *address, uint64_t value)
{
	if (count == TRACE_MAX)
		explore_fail("the work has no end");
	trace[count].what = what;
	trace[count].address = address;
	trace[count].thread = thread;
	trace[count++].value = value;
}

void
trace_clear(void)
{
	count = 0;
}

unsigned
trace_count(void)
{
	return count;
}

void
trace_tell(const char *(*name)(const void *address), char *to, size_t room)
{
	size_t n = 0;

	for (unsigned i = count > TOLD ? count - TOLD : 0; i < count && n < room; i++) {
		const char *known = name ? name(trace[i].address) : NULL;

		n += (size_t)snprintf(to + n, room - n, "\n  thread %u: %s %s",
			trace[i].thread, trace[i].what, known ? known : "");
		if (!known && n < room)
			n += (size_t)snprintf(to + n, room - n, "%p", trace[i].address);
		if (n < room)
			n += (size_t)snprintf(to + n, room - n, " %#llx",
				(unsigned long long)trace[i].value);
	}
}
