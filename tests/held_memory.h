/* SPDX-License-Identifier: MIT */
/*
 * A process whose memory nobody can look into, as those who try wait for it: a page of a
 * file of its own file system never comes; who reads that out of /proc/PID/mem has the
 * memory map locked meanwhile, and once somebody wants to change the map, all wait.
 */
#ifndef LOOPLAG_TESTS_HELD_MEMORY_H
#define LOOPLAG_TESTS_HELD_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

/* Become such a process, a child of the caller's that is called as the caller. Returns its
 * number, or -1 where this machine does not let us. */
pid_t
held_memory_start(const char *directory);

/* Whether it takes longer than a second to read the arguments of a process. */
bool
held_memory_holds(pid_t pid);

void
held_memory_end(pid_t pid);

#endif
