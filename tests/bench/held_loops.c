/* SPDX-License-Identifier: MIT */
/* A process with so many loops, each in a thread of its own that has made some waits of
 * which each ended an iteration of another length. Prints a line when all are there, and
 * ends with its standard input: somebody looks at its memory meanwhile. */

#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define WAITS 100

static pthread_barrier_t made;

static void *
run_loop(void *unused)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	for (unsigned i = 0; epoll >= 0 && i < WAITS; i++) {
		struct timespec work = {.tv_nsec = 1000 << i % 12};

		epoll_wait(epoll, &event, 1, 0);
		nanosleep(&work, NULL);
	}
	pthread_barrier_wait(&made);
	epoll_wait(epoll, &event, 1, -1);
	return unused;
}

int
main(int argc, char **argv)
{
	unsigned loops = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	pthread_t thread;
	char byte;

	if (loops == 0 || loops > 1000) {
		fputs("usage: held_loops LOOPS\n", stderr);
		return 2;
	}
	pthread_barrier_init(&made, NULL, loops + 1);
	for (unsigned i = 0; i < loops; i++)
		if (pthread_create(&thread, NULL, run_loop, NULL))
			return 1;
	pthread_barrier_wait(&made);
	puts("made");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
