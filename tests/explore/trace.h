/* SPDX-License-Identifier: MIT */
/* The steps of an execution, to be told when it fails. */
#ifndef LOOPLAG_TESTS_EXPLORE_TRACE_H
#define LOOPLAG_TESTS_EXPLORE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_MAX 20000 /* steps of one execution: more are no bounded work */

/* Add a step; an execution that has too many fails. `what` is constant. */
void
trace_add(unsigned thread, const char *what, const void *address, uint64_t value);
void
trace_clear(void);
unsigned
trace_count(void);

/* Write the last steps, a line each; `name`, which may be NULL, knows names of addresses. */
void
trace_tell(const char *(*name)(const void *address), char *to, size_t room);

#endif
