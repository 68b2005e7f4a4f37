/* SPDX-License-Identifier: MIT */
/*
 * A file of a user's own file system flushes when it is closed, a socket may linger, and a
 * connection may hold such descriptors that nobody has received. They wait in a queue for
 * threads that do nothing but close; a thread that is stuck is replaced by another one.
 * Only when so many are stuck that no more is to be had does the caller close by itself.
 */

#include "config.h"

#include "daemon/closer.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "daemon/gate.h"

#define THREADS_MAX 256
#define QUEUE_MAX 1024
#define STACK_BYTES (64 * 1024)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int queue[QUEUE_MAX];
static unsigned queued, threads;
static unsigned closing; /* of the threads, those inside close() */

static void *
work(void *arg)
{
	pthread_mutex_lock(&mutex);
	while (queued) {
		int fd = queue[--queued];

		closing++;
		pthread_mutex_unlock(&mutex);
		close(fd);
		pthread_mutex_lock(&mutex);
		closing--;
	}
	threads--;
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* Returns 0 or a positive errno. */
static int
start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int r = pthread_attr_init(&attr);

	if (r)
		return r;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, work, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return r;
}

void
closer_close(int fd)
{
	int handed_over = 0;

	if (gate_in_memory(fd)) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&mutex);
	if (queued < QUEUE_MAX) {
		queue[queued++] = fd;
		if (threads == closing && threads < THREADS_MAX && start_thread() == 0)
			threads++;
		handed_over = threads > 0;
		if (!handed_over)
			queued--;
	}
	pthread_mutex_unlock(&mutex);
	if (!handed_over)
		close(fd);
}
