/* SPDX-License-Identifier: MIT */
/*
 * A program that makes the same system calls each time it runs, from getppid() on, which it
 * calls nowhere else. It needs no more of a libc than the oldest has.
 *
 * usage: scripted waits    waits of all kinds
 *        scripted nested   an epoll instance that is waited for inside another's iteration
 *        scripted fds      says which descriptors are open, and which the next one is
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static int pipe_ends[2];

static int
fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int
make_instance(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, pipe_ends[0], &event)) {
		close(epfd);
		return -1;
	}
	return epfd;
}

static void
turn(int epfd, int timeout)
{
	struct epoll_event event;
	char byte = 0;

	if (write(pipe_ends[1], &byte, 1) == 1 &&
		epoll_wait(epfd, &event, 1, timeout) == 1)
		(void)!read(pipe_ends[0], &byte, 1);
	epoll_pwait(epfd, &event, 1, 0, NULL);
}

static void
wait_without_epoll(void)
{
	struct pollfd fds[2] = {
		{.fd = pipe_ends[0], .events = POLLIN},
		{.fd = pipe_ends[1], .events = POLLOUT},
	};
	struct timespec short_time = {0, 1000};
	struct timeval no_time = {0, 0};
	sigset_t signals;
	fd_set readable;

	sigemptyset(&signals);
	FD_ZERO(&readable);
	FD_SET(pipe_ends[0], &readable);
	FD_SET(pipe_ends[1], &readable);
	poll(fds, 2, 0);
	poll(fds, 1, 1);
	ppoll(fds, 1, &short_time, &signals);
	select(pipe_ends[1] + 1, &readable, NULL, NULL, &no_time);
	FD_SET(pipe_ends[0], &readable);
	pselect(pipe_ends[1] + 1, &readable, NULL, NULL, &short_time, &signals);
}

static int
wait_for_all(int nested)
{
	int epfd, inner;

	if (pipe(pipe_ends))
		return fail("pipe");
	epfd = make_instance();
	if (epfd < 0)
		return fail("epoll");
	for (int i = 0; i < 100; i++)
		turn(epfd, -1);
	for (int i = 0; i < 50 && !nested; i++)
		wait_without_epoll();
	inner = make_instance();
	if (inner < 0)
		return fail("another epoll");
	for (int i = 0; i < 5 && nested; i++)
		turn(inner, -1);
	close(inner);
	for (int i = 0; i < 100; i++)
		turn(epfd, 10);
	close(epfd);
	puts("done");
	return 0;
}

static int
tell_descriptors(void)
{
	char text[256] = "open";
	int next;

	for (int fd = 0; fd < 32; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			sprintf(text + strlen(text), " %d", fd);
	next = open("/dev/null", O_RDONLY);
	sprintf(text + strlen(text), ", next %d\n", next);
	/* To whatever of the three is open. */
	for (int fd = 1; fd <= 2; fd++)
		(void)!write(fd, text, strlen(text));
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	getppid();
	if (strcmp(what, "waits") == 0 || strcmp(what, "nested") == 0)
		return wait_for_all(what[0] == 'n');
	if (strcmp(what, "fds") == 0)
		return tell_descriptors();
	return 2;
}
