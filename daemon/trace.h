/* SPDX-License-Identifier: MIT */
/*
 * Takes the native stack of a thread from outside, where the kernel lets us (the same
 * user or root; CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH for files of others). A thread
 * that sleeps in a system call is not touched: its registers stand in
 * /proc/PID/task/TID/syscall. Another one is stopped for as long as it takes to copy its
 * stack. Waits up to some tens of milliseconds; not for the event loop.
 */
#ifndef LOOPLAG_DAEMON_TRACE_H
#define LOOPLAG_DAEMON_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct capture;

/* Whom to trace. Descriptors are the trace's. */
struct trace {
	int process; /* directory /proc/PID, which stands for this process and no other */
	int segment; /* its segment: the process must have mapped it */
	pid_t tid;
	uint64_t slot_offset; /* in the segment, of the stalled loop's slot */
	uint64_t since_ns;    /* whose state is this for as long as the stall lasts */
	int64_t shift_ns;     /* the target's clock is ahead of ours */
};

/* Open what is needed of a process whose loop is in that slot. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
trace_open(pid_t pid, pid_t tid, int segment, struct trace *ret_trace);
void
trace_close(struct trace *trace);

/*
 * Take the stack. Returns 0 and a capture, which the caller frees, or
 *   -EPERM      we may not
 *   -EBUSY      somebody else traces it
 *   -ESRCH      the thread is gone, or the process has become another program
 *   -ESTALE     the stall is over
 *   -ETIMEDOUT  it could not be stopped in time
 *   -ENOSYS     not on this processor
 *   or another -errno.
 */
__attribute__((warn_unused_result)) int
trace_take(const struct trace *trace, struct capture **ret_capture);

#endif
