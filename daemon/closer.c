/* SPDX-License-Identifier: MIT */
/*
 * A file of a user's own file system flushes when it is closed, a socket may linger: each
 * such descriptor gets a thread that does nothing but close it. Were that many at once to
 * block that no thread is to be had, the caller waits.
 */

#include "config.h"

#include "daemon/closer.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "daemon/gate.h"

#define THREADS_MAX 256
#define STACK_BYTES (64 * 1024)

static atomic_uint threads;

static void *
close_it(void *arg)
{
	close((int)(intptr_t)arg);
	atomic_fetch_sub(&threads, 1);
	return NULL;
}

/* Returns 0 if a thread has taken it over. */
static int
start_thread(int fd)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int result;

	if (pthread_attr_init(&attr))
		return -1;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, &attr, close_it, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return result ? -1 : 0;
}

void
closer_close(int fd)
{
	if (gate_in_memory(fd)) {
		close(fd);
		return;
	}
	if (atomic_fetch_add(&threads, 1) < THREADS_MAX && start_thread(fd) == 0)
		return;
	atomic_fetch_sub(&threads, 1);
	close(fd);
}
