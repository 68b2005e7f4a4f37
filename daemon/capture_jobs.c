/* SPDX-License-Identifier: MIT */
/* The jobs of captures; see capture_jobs.h. */

#include "config.h"

#include "daemon/capture_jobs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/capture.h"
#include "daemon/frames.h"
#include "daemon/namer.h"
#include "daemon/quota.h"
#include "daemon/trace.h"
#include "daemon/worker.h"

struct capture_jobs {
	struct worker *worker;
	struct namer *namer; /* the thread's */
	struct quota *quota;
	capture_jobs_fn fn;
	void *arg;
};

struct job {
	struct worker_job head; /* first */
	struct capture_jobs *jobs;
	struct capture_jobs_request request;
	struct trace trace;
	bool traces;
	int error; /* of the trace */
	struct capture *capture;
};

static void
free_job(struct worker_job *head)
{
	struct job *job = (struct job *)head;

	if (job->traces)
		trace_close(&job->trace);
	capture_free(job->capture);
	quota_return(job->jobs->quota, job->request.uid, QUOTA_JOBS, 1);
	free(job);
}

static void
work(struct worker_job *head)
{
	struct job *job = (struct job *)head;

	if (job->traces)
		job->error = trace_take(&job->trace, &job->capture);
	if (job->capture)
		namer_name(job->jobs->namer, job->capture, job->request.pid,
			job->request.uid);
}

/* Why a trace gave no stack. */
static const char *
words_for(int error, enum captures_result *ret_result)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		*ret_result = CAPTURES_REFUSED;
		return "there is no helper in the program, and looplagd may not trace "
		       "it: that takes the same user or root, see Stacks in looplagd(8)";
	case -EBUSY:
		*ret_result = CAPTURES_REFUSED;
		return "a debugger is attached to the program";
	case -ESRCH:
	case -ESTALE:
		*ret_result = CAPTURES_OVER;
		return "it was over before its stack was taken";
	case -ETIMEDOUT:
		*ret_result = CAPTURES_SILENT;
		return "the thread could not be stopped in time";
	case -ENOSYS:
		*ret_result = CAPTURES_FAILED;
		return "native stacks are not taken on this processor";
	default:
		*ret_result = CAPTURES_FAILED;
		return "the stack could not be read";
	}
}

/* What V8 has said after the iteration belongs to another one. */
static void
drop_what_is_too_late(struct capture *capture, uint64_t end_ns)
{
	if (capture->js_state != SEGMENT_JS_TAKEN || !end_ns ||
		capture->js_taken_ns <= end_ns)
		return;
	capture->js_state = SEGMENT_JS_ASKED;
	capture_drop_scripts(capture);
}

static const char *
words_missing(const struct job *job, const struct stall_sample *sample)
{
	const struct capture *capture = job->capture;

	if (sample->count == 0)
		return "no frame could be found";
	if (capture->js_state == SEGMENT_JS_ASKED)
		return "JavaScript frames: V8 has not answered";
	if (capture->script_count)
		return NULL;
	if (job->traces && job->request.runtime)
		return "frames of the script: there is no helper in the program";
	if (job->request.runtime & SEGMENT_RUNTIME_V8)
		return "JavaScript frames: V8 could not be asked";
	if (capture->flags & SEGMENT_CAPTURE_PYTHON)
		return "Python frames: the interpreter gave none";
	return NULL;
}

/* Turn what the thread has made into a sample. */
static void
done(struct worker_job *head)
{
	struct job *job = (struct job *)head;
	struct capture_jobs_outcome outcome = {
		.stall = job->request.stall, .result = CAPTURES_TAKEN};
	const char *missing = NULL;

	if (!job->capture) {
		missing = words_for(job->error, &outcome.result);
	} else {
		drop_what_is_too_late(job->capture, job->request.end_ns);
		if (frames_make(job->capture, &outcome.sample) < 0)
			outcome.result = CAPTURES_FAILED;
		else
			missing = words_missing(job, &outcome.sample);
		outcome.sample.taken_ns =
			job->capture->taken_ns - (uint64_t)job->request.shift_ns;
		if (outcome.sample.late)
			outcome.result = CAPTURES_LATE;
		else if (!outcome.sample.count)
			outcome.result = CAPTURES_FAILED;
		/* It is counted when the rest has come, or as the stall ends. */
		else if (job->request.provisional)
			outcome.result = CAPTURES_RESULTS;
	}
	outcome.sample.waits_gil = job->request.waits_gil;
	outcome.sample.missing = missing;
	job->jobs->fn(job->jobs->arg, &outcome);
	free_job(head);
}

struct capture_jobs *
capture_jobs_new(
	struct event_loop *loop, struct quota *quota, capture_jobs_fn fn, void *arg)
{
	struct capture_jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return NULL;
	jobs->fn = fn;
	jobs->arg = arg;
	jobs->quota = quota;
	jobs->namer = namer_new();
	jobs->worker = worker_new(loop);
	if (!jobs->namer || !jobs->worker) {
		capture_jobs_free(jobs);
		return NULL;
	}
	return jobs;
}

void
capture_jobs_free(struct capture_jobs *jobs)
{
	if (!jobs)
		return;
	worker_free(jobs->worker);
	namer_free(jobs->namer);
	free(jobs);
}

static struct job *
make_job(struct capture_jobs *jobs, const struct capture_jobs_request *request)
{
	struct job *job;

	if (quota_take(jobs->quota, request->uid, QUOTA_JOBS, 1) < 0)
		return NULL;
	job = calloc(1, sizeof(*job));
	if (!job) {
		quota_return(jobs->quota, request->uid, QUOTA_JOBS, 1);
		return NULL;
	}
	job->head = (struct worker_job){.work = work, .done = done, .drop = free_job};
	job->jobs = jobs;
	job->request = *request;
	return job;
}

int
capture_jobs_name(struct capture_jobs *jobs, const struct capture_jobs_request *request,
	struct capture *capture)
{
	struct job *job = make_job(jobs, request);
	int r;

	if (!job)
		return -ENOMEM;
	job->capture = capture;
	r = worker_submit(jobs->worker, &job->head);
	if (r < 0) {
		job->capture = NULL;
		free_job(&job->head);
	}
	return r;
}

int
capture_jobs_trace(struct capture_jobs *jobs, const struct capture_jobs_request *request,
	const struct captures_place *place)
{
	struct job *job = make_job(jobs, request);
	int r;

	if (!job)
		return -ENOMEM;
	r = trace_open(place->pid, place->tid, place->segment, &job->trace);
	if (r < 0) {
		free_job(&job->head);
		return r;
	}
	job->traces = true;
	job->trace.since_ns = place->since_ns;
	job->trace.shift_ns = place->shift_ns;
	job->trace.slot_offset = place->header->slots_offset +
				 place->slot * (uint64_t)sizeof(struct segment_slot);
	r = worker_submit(jobs->worker, &job->head);
	if (r < 0)
		free_job(&job->head);
	return r;
}
