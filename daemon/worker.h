/* SPDX-License-Identifier: MIT */
/*
 * A thread of our own for what takes too long for the event loop. Jobs are done one after
 * the other; how each has ended is told on the event loop.
 *
 *	event loop            thread
 *	submit --- queue ---> job->work(job)
 *	job->done(job) <--- finished
 */
#ifndef LOOPLAG_DAEMON_WORKER_H
#define LOOPLAG_DAEMON_WORKER_H

struct event_loop;
struct worker;

#define WORKER_JOBS_MAX 64

/* The head of what a job needs. Set up by the caller. */
struct worker_job {
	void (*work)(struct worker_job *job); /* in the thread */
	void (*done)(struct worker_job *job); /* on the event loop; frees the job */
	void (*drop)(struct worker_job *job); /* instead, when the worker is freed */
	struct worker_job *next;
};

/* NULL on failure. The thread begins with the first job. */
struct worker *
worker_new(struct event_loop *loop);

/* Waits for the job that is being done, and drops the others. */
void
worker_free(struct worker *worker);

/* Take over a job. Returns 0, or -errno when it stays the caller's: -EAGAIN when there are
 * too many already. */
__attribute__((warn_unused_result)) int
worker_submit(struct worker *worker, struct worker_job *job);

#endif
