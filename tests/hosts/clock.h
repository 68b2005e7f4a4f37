/* SPDX-License-Identifier: MIT */
/* The time, as programs that the tests run measure it. */
#ifndef LOOPLAG_TESTS_HOSTS_CLOCK_H
#define LOOPLAG_TESTS_HOSTS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
