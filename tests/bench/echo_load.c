/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop client for servers that echo lines: each of its connections sends one line
 * and, as soon as that has come back, the next. Prints how many came back, and in how many
 * seconds.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024

static const char line[] = "0123456789abcdef\n";
#define LINE_BYTES (sizeof(line) - 1)

struct connection {
	int fd;
	size_t missing; /* bytes of the line under way that have not come back */
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("echo_load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

static double
now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
send_line(struct connection *c)
{
	if (send(c->fd, line, LINE_BYTES, MSG_NOSIGNAL) != (ssize_t)LINE_BYTES)
		die("send: %s", strerror(errno));
	c->missing = LINE_BYTES;
}

/* Read what has come. Returns whether the line is complete. */
static int
receive(struct connection *c)
{
	char data[LINE_BYTES];
	ssize_t n = recv(c->fd, data, c->missing, 0);

	if (n <= 0)
		die("the server closed a connection");
	c->missing -= (size_t)n;
	return c->missing == 0;
}

static void
open_connection(struct connection *c, int epoll, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)))
		die("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event))
		die("epoll_ctl: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	static struct connection connections[MAX_CONNECTIONS];
	struct epoll_event events[64];
	int epoll = epoll_create1(EPOLL_CLOEXEC), count, n;
	double begin, seconds;
	uint64_t lines = 0;

	count = argc == 4 ? atoi(argv[1]) : 0;
	seconds = argc == 4 ? atof(argv[2]) : 0;
	if (count < 1 || count > MAX_CONNECTIONS || !(seconds > 0)) {
		fputs("usage: echo_load CONNECTIONS SECONDS PORT\n", stderr);
		return 2;
	}
	for (int i = 0; i < count; i++)
		open_connection(&connections[i], epoll, (uint16_t)atoi(argv[3]));
	begin = now_seconds();
	for (int i = 0; i < count; i++)
		send_line(&connections[i]);
	while (now_seconds() - begin < seconds) {
		n = epoll_wait(epoll, events, 64, 1000);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (receive(c)) {
				lines++;
				send_line(c);
			}
		}
	}
	printf("%llu %.9f\n", (unsigned long long)lines, now_seconds() - begin);
	return 0;
}
