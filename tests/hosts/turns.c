/* SPDX-License-Identifier: MIT */
/*
 * A loop of turns, each of which takes one event from its wait and then a while: what it
 * says of them at its end is what looplagd has to say of it, whatever befell that.
 *
 * usage: turns COUNT PAUSE_US FILE       so many turns, or with 0 until SIGTERM; then it
 *                                        says "events N" and waits for ever
 *        turns COUNT PAUSE_US FILE exit  then it ends
 *
 * FILE holds, as an eight byte number, how many events it has had at any moment.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

static void
work(long us)
{
	struct timespec pause = {us / 1000000, us % 1000000 * 1000};

	while (us && nanosleep(&pause, &pause))
		;
}

/* A number that outlives us. */
static uint64_t *
make_count(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	void *count;

	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)))
		exit(1);
	count = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (count == MAP_FAILED)
		exit(1);
	close(fd);
	return count;
}

int
main(int argc, char *argv[])
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
	struct epoll_event event = {.events = EPOLLIN};
	int epfd = epoll_create1(EPOLL_CLOEXEC), ready = eventfd(1, EFD_CLOEXEC);
	uint64_t wanted, *events, value;

	if (argc < 4 || epfd < 0 || ready < 0 ||
		epoll_ctl(epfd, EPOLL_CTL_ADD, ready, &event))
		return 1;
	sigaction(SIGTERM, &action, NULL);
	wanted = strtoull(argv[1], NULL, 10);
	events = make_count(argv[3]);
	printf("begun\n");
	fflush(stdout);
	while (!stopped && (!wanted || *events < wanted)) {
		if (epoll_wait(epfd, &event, 1, -1) == 1)
			++*events;
		work(atol(argv[2]));
	}
	printf("events %llu\n", (unsigned long long)*events);
	fflush(stdout);
	if (argc > 4)
		return 0;
	signal(SIGTERM, SIG_DFL);
	if (read(ready, &value, sizeof(value)) != sizeof(value))
		return 1;
	for (;;)
		epoll_wait(epfd, &event, 1, -1);
}
