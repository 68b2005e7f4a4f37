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
#define QUEUE_MAX 4096
#define STACK_BYTES (64 * 1024)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct item {
	int fd;
	uid_t uid;
} queue[QUEUE_MAX];
static unsigned queued, threads;
static uid_t closing_uids[THREADS_MAX];
static unsigned closing; /* of the threads, those inside close() */

/* One of the user's has been closed. */
static void
forget_closing(uid_t uid)
{
	unsigned i = 0;

	while (closing_uids[i] != uid)
		i++;
	closing_uids[i] = closing_uids[--closing];
}

static void
call_thread(void);

static void *
work(void *arg)
{
	pthread_mutex_lock(&mutex);
	while (queued) {
		struct item item = queue[--queued];

		closing_uids[closing++] = item.uid;
		call_thread();
		pthread_mutex_unlock(&mutex);
		close(item.fd);
		pthread_mutex_lock(&mutex);
		forget_closing(item.uid);
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

/* See to it that what is queued does not wait for one that is slow. */
static void
call_thread(void)
{
	if (queued && threads == closing && threads < THREADS_MAX && start_thread() == 0)
		threads++;
}

void
closer_close(int fd, uid_t uid)
{
	if (gate_in_memory(fd)) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&mutex);
	/* Rather than wait, leave it open: it takes many users to come to that. */
	if (queued < QUEUE_MAX)
		queue[queued++] = (struct item){fd, uid};
	call_thread();
	pthread_mutex_unlock(&mutex);
}

unsigned
closer_waiting(uid_t uid)
{
	unsigned count = 0;

	pthread_mutex_lock(&mutex);
	for (unsigned i = 0; i < queued; i++)
		count += queue[i].uid == uid;
	for (unsigned i = 0; i < closing; i++)
		count += closing_uids[i] == uid;
	pthread_mutex_unlock(&mutex);
	return count;
}
