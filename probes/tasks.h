/* SPDX-License-Identifier: MIT */
/* What /proc tells of this process's own threads. In the helper, which has descriptors of
 * its own; allocates nothing. */
#ifndef LOOPLAG_PROBES_TASKS_H
#define LOOPLAG_PROBES_TASKS_H

#include <stddef.h>
#include <stdint.h>

/* How many system call filters the thread has, or the calling one if tid is 0; before Linux
 * 5.9: whether it has any. -1 if nobody knows. */
int
tasks_filters(uint32_t tid);

/* Whether the thread blocks the signal; -1 if it is gone, or nobody knows. */
int
tasks_blocks(uint32_t tid, unsigned signal);

/* The threads that are running or ready to. Returns their number, at most `max`. */
size_t
tasks_running(uint32_t *ret_tids, size_t max);

#endif
