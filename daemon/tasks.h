/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of a thread: samples of /proc/PID/task/TID/{stat,schedstat,syscall}.
 * The first two anybody may read; the last only who may trace the process.
 *
 * Functions that take text are pure.
 */
#ifndef LOOPLAG_DAEMON_TASKS_H
#define LOOPLAG_DAEMON_TASKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cause_sample;

/* Fill in what is known of the thread now, all but nested_ns. If `*may_ask` its system
 * call is asked for too; set to false when that is not allowed. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
tasks_sample(pid_t pid, pid_t tid, bool *may_ask, struct cause_sample *ret_sample);

/* The state in a `stat` file; 0: there is none. */
char
tasks_state_in(const char *stat);

/* The three numbers of a `schedstat` file. Returns whether they are there. */
bool
tasks_times_in(const char *schedstat, struct cause_sample *ret_sample);

/* The name of the system call in a `syscall` file, of those that may block; NULL: another,
 * or none. Constant. */
const char *
tasks_system_call_in(const char *syscall);

#endif
