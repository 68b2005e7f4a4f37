/* SPDX-License-Identifier: MIT */
/*
 * For the small programs whose wait calls a test knows by number: they count what they
 * call, also in the children that they fork, say "waits N", and then wait for ever, which
 * is the last of the N.
 */
#ifndef LOOPLAG_TESTS_HOSTS_COUNTED_H
#define LOOPLAG_TESTS_HOSTS_COUNTED_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *counted; /* shared with the children */

static inline void
counted_init(void)
{
	counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counted == MAP_FAILED)
		abort();
}

/* epoll_wait() for one event, poll() for that many descriptors that are never ready. */
static inline int
counted_epoll(int epfd, int timeout)
{
	struct epoll_event event;

	__atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
	return epoll_wait(epfd, &event, 1, timeout);
}

static inline int
counted_poll(nfds_t count, int timeout)
{
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};

	__atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
	return poll(fds, count, timeout);
}

/* A new epoll instance. */
static inline int
counted_create(void)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd < 0)
		abort();
	return epfd;
}

/* So many waits of a microsecond's work each, not to be taken for one wait. */
static inline void
counted_turn(int epfd, int times)
{
	for (int i = 0; i < times; i++) {
		counted_epoll(epfd, 0);
		for (volatile int j = 0; j < 2000; j++)
			;
	}
}

/* Of the lines of several processes the one with the greatest number is right. */
static inline void
counted_finish(int epfd)
{
	struct epoll_event event;
	uint64_t all = __atomic_add_fetch(counted, 1, __ATOMIC_RELAXED);

	alarm(120); /* nobody may be left of us whatever becomes of the test */
	printf("waits %llu\n", (unsigned long long)all);
	fflush(stdout);
	for (;;)
		epoll_wait(epfd, &event, 1, -1);
}

#endif
