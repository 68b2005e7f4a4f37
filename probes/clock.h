/* SPDX-License-Identifier: MIT */
/* Reading the clock, in every wait call: without a step between it and libc. */
#ifndef LOOPLAG_PROBES_CLOCK_H
#define LOOPLAG_PROBES_CLOCK_H

#include <stdint.h>
#include <time.h>

/* libc's own: nobody's faked time. */
typedef int
clock_function(clockid_t, struct timespec *);

/* CLOCK_MONOTONIC by that function, in nanoseconds. Signal-safe. */
static inline uint64_t
clock_read(clock_function *clock_gettime)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
