/* SPDX-License-Identifier: MIT */
/*
 * Many small services with real loops, and who starts and ends them.
 *
 * usage: crowd hold COUNT GROUPS LOOPS BUSY    starts so many services, of so many groups,
 *                                              each with so many loops, of which the first
 *                                              ones are busy; says "started"; ends them all
 *                                              when its standard input ends
 *        crowd storm COUNT RATE TURNS          starts so many services of one group, so many
 *                                              a second, each of which ends after so many
 *                                              turns; says "events N" when all have ended
 *
 * The services get the library in $CROWD_PROBE preloaded. A busy loop turns 5 times a second
 * for 50 us.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/hosts/clock.h"

#define PERIOD_NS 200000000
#define WORK_NS 50000
#define STACK_BYTES (128 * 1024)

extern char **environ;

static void
work(void)
{
	uint64_t end = now_ns() + WORK_NS;

	while (now_ns() < end)
		;
}

static void
watch(int epfd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
		_exit(1);
}

/* A loop that is known as one, and then waits for a timer, or for ever. */
static void *
serve(void *arg)
{
	const struct itimerspec period = {{0, PERIOD_NS}, {0, PERIOD_NS}};
	int epfd = epoll_create1(EPOLL_CLOEXEC), ready = eventfd(3, EFD_SEMAPHORE), timer;
	struct epoll_event event;
	uint64_t value;

	watch(epfd, ready);
	if (arg) {
		timer = timerfd_create(CLOCK_MONOTONIC, 0);
		watch(epfd, timer);
		timerfd_settime(timer, 0, &period, NULL);
	}
	for (;;) {
		if (epoll_wait(epfd, &event, 1, -1) != 1 ||
			read(event.data.fd, &value, sizeof(value)) < 0)
			continue;
		if (event.data.fd != ready)
			work();
	}
	return NULL;
}

static void
run_service(int loops, int busy)
{
	pthread_attr_t attributes;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (int i = 1; i < loops; i++)
		if (pthread_create(&thread, &attributes, serve, i < busy ? &busy : NULL))
			_exit(1);
	serve(busy > 0 ? &busy : NULL);
}

static void
run_turns(int turns)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	/* It is a loop from its second wait on. */
	if (epoll_wait(epfd, &event, 1, 0))
		_exit(1);
	watch(epfd, eventfd(1, 0));
	for (int i = 0; i < turns; i++)
		if (epoll_wait(epfd, &event, 1, -1) != 1)
			_exit(1);
	_exit(0);
}

/* Start ourselves with these words. */
static pid_t
start(char *const words[])
{
	pid_t pid;
	int error = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ);

	if (error) {
		fprintf(stderr, "crowd: cannot start a service: %s\n", strerror(error));
		exit(1);
	}
	return pid;
}

static void
name_group(int number)
{
	char name[32];

	snprintf(name, sizeof(name), "service-%03d", number);
	setenv("LOOPLAG_GROUP", name, 1);
}

static void
hold(int count, int groups, char *loops, char *busy)
{
	char self[] = "crowd", mode[] = "service";
	char *words[] = {self, mode, loops, busy, NULL};
	pid_t *pids = calloc((size_t)count, sizeof(*pids));
	char byte;

	if (!pids)
		exit(1);
	for (int i = 0; i < count; i++) {
		name_group(i % groups);
		pids[i] = start(words);
	}
	printf("started %d\n", count);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}

static void
storm(int count, int rate, char *turns)
{
	char self[] = "crowd", mode[] = "turns";
	char *words[] = {self, mode, turns, NULL};
	uint64_t begin = now_ns(), due, time_ns;
	long long events = 0;
	int status;

	setenv("LOOPLAG_GROUP", "storm", 1);
	for (int i = 0; i < count; i++) {
		due = begin + (uint64_t)i * 1000000000 / (uint64_t)rate;
		time_ns = now_ns();
		if (time_ns < due)
			usleep((useconds_t)((due - time_ns) / 1000));
		start(words);
		while (waitpid(-1, &status, WNOHANG) > 0)
			events += status ? 0 : atoi(turns);
	}
	while (wait(&status) > 0)
		events += status ? 0 : atoi(turns);
	printf("events %lld in %.1f s\n", events, (double)(now_ns() - begin) / 1e9);
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	const char *probe = getenv("CROWD_PROBE");

	if (argc == 4 && strcmp(argv[1], "service") == 0)
		run_service(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "turns") == 0)
		run_turns(atoi(argv[2]));
	if (probe)
		setenv("LD_PRELOAD", probe, 1);
	if (argc == 6 && strcmp(argv[1], "hold") == 0)
		hold(atoi(argv[2]), atoi(argv[3]), argv[4], argv[5]);
	else if (argc == 5 && strcmp(argv[1], "storm") == 0)
		storm(atoi(argv[2]), atoi(argv[3]), argv[4]);
	else
		return 2;
	return 0;
}
