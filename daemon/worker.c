/* SPDX-License-Identifier: MIT */
/* A thread with a queue; see worker.h. */

#include "config.h"

#include "daemon/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/event.h"

/* First in, first out. */
struct queue {
	struct worker_job *first, **end;
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* guards the queues and `stop` */
	pthread_cond_t more;
	struct queue wanted, finished;
	bool running, stop;
	unsigned jobs; /* that are not done yet; only the event loop's thread looks */
	int event;     /* eventfd: something has finished */
	struct event_watch *watch;
};

static void
push(struct queue *queue, struct worker_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct worker_job *
pop(struct queue *queue)
{
	struct worker_job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->end = &queue->first;
	return job;
}

/* Have a job that is handed over not take the processor of the event loop, which did that.
 * Where it is forbidden the loop is late at times, and nothing else. */
static void
stand_back(void)
{
	const struct sched_param none = {0};

	(void)!sched_setscheduler(0, SCHED_BATCH, &none);
}

static void *
run(void *arg)
{
	struct worker *worker = arg;
	const uint64_t one = 1;
	struct worker_job *job;

	stand_back();
	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->stop && !worker->wanted.first)
			pthread_cond_wait(&worker->more, &worker->lock);
		if (worker->stop)
			break;
		job = pop(&worker->wanted);
		pthread_mutex_unlock(&worker->lock);
		job->work(job);
		pthread_mutex_lock(&worker->lock);
		push(&worker->finished, job);
		(void)!write(worker->event, &one, sizeof(one));
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* Tell how jobs have ended. */
static void
tell(void *arg)
{
	struct worker *worker = arg;
	struct worker_job *job;
	uint64_t count;

	(void)!read(worker->event, &count, sizeof(count));
	for (;;) {
		pthread_mutex_lock(&worker->lock);
		job = pop(&worker->finished);
		pthread_mutex_unlock(&worker->lock);
		if (!job)
			return;
		worker->jobs--;
		job->done(job);
	}
}

struct worker *
worker_new(struct event_loop *loop)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->more, NULL);
	worker->wanted.end = &worker->wanted.first;
	worker->finished.end = &worker->finished.first;
	worker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->event >= 0)
		worker->watch = event_readable(loop, worker->event, tell, worker);
	if (!worker->watch) {
		worker_free(worker);
		return NULL;
	}
	return worker;
}

static void
drop_all(struct queue *queue)
{
	struct worker_job *job;

	while ((job = pop(queue)))
		job->drop(job);
}

void
worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->running) {
		pthread_mutex_lock(&worker->lock);
		worker->stop = true;
		pthread_cond_signal(&worker->more);
		pthread_mutex_unlock(&worker->lock);
		pthread_join(worker->thread, NULL);
	}
	drop_all(&worker->wanted);
	drop_all(&worker->finished);
	event_watch_free(worker->watch);
	if (worker->event >= 0)
		close(worker->event);
	pthread_cond_destroy(&worker->more);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

/* Start the thread; signals are the event loop's. */
static int
start(struct worker *worker)
{
	sigset_t all, before;
	int r;

	if (worker->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->running = r == 0;
	return -r;
}

int
worker_submit(struct worker *worker, struct worker_job *job)
{
	int r;

	if (worker->jobs >= WORKER_JOBS_MAX)
		return -EAGAIN;
	r = start(worker);
	if (r < 0)
		return r;
	worker->jobs++;
	pthread_mutex_lock(&worker->lock);
	push(&worker->wanted, job);
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->lock);
	return 0;
}
