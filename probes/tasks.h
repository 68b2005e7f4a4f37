/* SPDX-License-Identifier: MIT */
/* What /proc tells of this process's own threads. In the helper, which has descriptors of
 * its own; allocates nothing. */
#ifndef LOOPLAG_PROBES_TASKS_H
#define LOOPLAG_PROBES_TASKS_H

#include <stddef.h>
#include <stdint.h>

struct tasks_facts {
	int filters; /* of system calls; before Linux 5.9: whether there is any */
	int blocks;  /* whether it blocks the signal */
};

/* Look at a thread, or the calling one if tid is 0. What nobody knows is -1. Returns 0, or -1
 * if it is gone. */
int
tasks_look(uint32_t tid, unsigned signal, struct tasks_facts *ret_facts);

/* The threads that are running or ready to. Returns their number, at most `max`. */
size_t
tasks_running(uint32_t *ret_tids, size_t max);

#endif
