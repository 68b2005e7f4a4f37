/* SPDX-License-Identifier: MIT */
/* Starts threads that nobody waits for; see thread.h. */

#include "config.h"

#include "daemon/thread.h"

#include <pthread.h>
#include <signal.h>

#define STACK_BYTES (64 * 1024)

int
thread_start(void *(*work)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, work, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}
