/* SPDX-License-Identifier: MIT */
/* Takes stacks from outside; see trace.h. */

#include "config.h"

#include "daemon/trace.h"

#include <errno.h>

int
trace_open(pid_t pid, pid_t tid, int segment, struct trace *ret_trace)
{
	return -ENOSYS;
}

void
trace_close(struct trace *trace)
{
}

int
trace_take(const struct trace *trace, struct capture **ret_capture)
{
	return -ENOSYS;
}
