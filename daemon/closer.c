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
#include <unistd.h>

#include "daemon/gate.h"
#include "daemon/thread.h"

#define THREADS_MAX 256
#define QUEUE_MAX 4096

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

/* See to it that what is queued does not wait for one that is slow. */
static void
call_thread(void)
{
	if (queued && threads == closing && threads < THREADS_MAX &&
		thread_start(work) == 0)
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
