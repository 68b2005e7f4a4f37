/* SPDX-License-Identifier: MIT */
/*
 * What captures need a thread for: finding names for native frames, and taking the stacks
 * of targets that have no helper. What comes out is a sample for the stall.
 */
#ifndef LOOPLAG_DAEMON_CAPTURE_JOBS_H
#define LOOPLAG_DAEMON_CAPTURE_JOBS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/captures.h"
#include "daemon/stall.h"

struct capture;
struct capture_jobs;
struct event_loop;
struct quota;

struct capture_jobs_outcome {
	uint64_t stall;
	struct stall_sample sample;  /* the receiver's */
	enum captures_result result; /* CAPTURES_RESULTS: not to be counted */
};
typedef void (*capture_jobs_fn)(void *arg, struct capture_jobs_outcome *outcome);

/* How each job has ended is told on the loop. `quota` is borrowed. NULL on failure. */
struct capture_jobs *
capture_jobs_new(
	struct event_loop *loop, struct quota *quota, capture_jobs_fn fn, void *arg);
/* What is not done yet is dropped. */
void
capture_jobs_free(struct capture_jobs *jobs);

struct capture_jobs_request {
	uint64_t stall; /* id */
	pid_t pid;
	uid_t uid;
	int64_t shift_ns; /* the target's clock is ahead of ours */
	uint64_t end_ns;  /* of the iteration, by the target's clock; 0: it lasts */
	bool waits_gil;
	bool provisional; /* V8 may still answer */
	uint32_t runtime; /* SEGMENT_RUNTIME_* */
};

/* Make a stack of a capture, which is taken over. Returns 0, or -errno when it stays the
 * caller's. */
__attribute__((warn_unused_result)) int
capture_jobs_name(struct capture_jobs *jobs, const struct capture_jobs_request *request,
	struct capture *capture);

/* Take the stack of a stalled loop from outside. Returns 0 or -errno; -ESRCH: its process
 * is gone or unknown. */
__attribute__((warn_unused_result)) int
capture_jobs_trace(struct capture_jobs *jobs, const struct capture_jobs_request *request,
	const struct captures_place *place);

#endif
