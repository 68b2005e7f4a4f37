/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop client: each of its connections sends a request, PIPELINE times at once, and
 * as soon as all answers have come, the same again. All answers are as long as the first one
 * is up to END, and end so.
 *
 *	open PORT	connect, and do all of that once on each connection; says "ready"
 *	run SECONDS	go on for that time, and until nothing is under way; says how many
 *			answers came, in how many seconds, and the median and the 0.99 quantile
 *			of the seconds that they took
 *	close		close the connections; says "closed"
 *
 * Commands are words: the arguments that are left, then those on standard input.
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

#include "tests/hosts/clock.h"

#define MAX_CONNECTIONS 1024
#define MAX_BYTES 65536
#define MAX_TIMES (1u << 20)

struct connection {
	int fd;
	size_t missing; /* bytes of the answers under way */
	uint64_t sent_ns;
};

static struct connection connections[MAX_CONNECTIONS];
static int count, pipeline, epoll;
static char requests[MAX_BYTES], answers[MAX_BYTES];
static const char *end;
static size_t request_bytes, answer_bytes, end_bytes;
static uint32_t times_ns[MAX_TIMES]; /* of the last answers, in a ring */
static uint64_t times;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

static void
send_requests(struct connection *c)
{
	c->sent_ns = now_ns();
	c->missing = answer_bytes;
	if (send(c->fd, requests, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
		die("send: %s", strerror(errno));
}

static size_t
receive(const struct connection *c, char *data, size_t bytes)
{
	ssize_t n = recv(c->fd, data, bytes, 0);

	if (n <= 0)
		die("the server closed a connection");
	return (size_t)n;
}

/* Find out how long the answers are, on a connection that has just sent its requests. */
static void
learn_answers(const struct connection *c)
{
	int ends = 0;

	while (ends < pipeline) {
		size_t from = answer_bytes;

		if (answer_bytes == sizeof(answers))
			die("more than %d bytes, and no %d answers", MAX_BYTES, pipeline);
		answer_bytes += receive(c, answers + from, sizeof(answers) - from);
		from = from > end_bytes ? from - end_bytes + 1 : 0;
		for (size_t i = from; i + end_bytes <= answer_bytes; i++)
			ends += !memcmp(answers + i, end, end_bytes);
	}
	if (memcmp(answers + answer_bytes - end_bytes, end, end_bytes))
		die("an answer goes on after its end");
}

/* Read what has come. Returns whether all answers are there. */
static int
take_answers(struct connection *c)
{
	size_t n = receive(c, answers, c->missing);

	c->missing -= n;
	if (c->missing)
		return 0;
	if (n >= end_bytes && memcmp(answers + n - end_bytes, end, end_bytes))
		die("an answer that is not as the first one: %.*s", (int)n, answers);
	times_ns[times++ % MAX_TIMES] = (uint32_t)(now_ns() - c->sent_ns);
	return 1;
}

/* Take answers until none is missing; up to the deadline, send again on each that came. */
static void
exchange(int under_way, uint64_t deadline_ns)
{
	struct epoll_event events[64];

	while (under_way) {
		int n = epoll_wait(epoll, events, 64, 30000);
		int again = now_ns() < deadline_ns;

		if (n < 0 ? errno != EINTR : !n)
			die("epoll_wait: %s", n ? strerror(errno) : "no answer for 30 s");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (!take_answers(c))
				continue;
			if (again)
				send_requests(c);
			else
				under_way--;
		}
	}
}

static void
open_connection(struct connection *c, uint16_t port)
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
	send_requests(c);
	if (!answer_bytes) {
		learn_answers(c);
		send_requests(c);
	}
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event))
		die("epoll_ctl: %s", strerror(errno));
}

static int
compare_times(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void
run(double seconds)
{
	uint64_t begin_ns = now_ns(), took_ns;
	size_t kept;

	times = 0;
	for (int i = 0; i < count; i++)
		send_requests(&connections[i]);
	exchange(count, begin_ns + (uint64_t)(seconds * 1e9));
	took_ns = now_ns() - begin_ns;
	kept = times < MAX_TIMES ? times : MAX_TIMES;
	qsort(times_ns, kept, sizeof(times_ns[0]), compare_times);
	printf("%llu %.9f %.9f %.9f\n",
		(unsigned long long)times * (unsigned long long)pipeline,
		(double)took_ns / 1e9, (double)times_ns[kept / 2] / 1e9,
		(double)times_ns[kept * 99 / 100] / 1e9);
}

/* Read the next word of a command. Returns whether there is one. */
static int
next_word(char word[32], char ***arguments)
{
	if (!**arguments)
		return scanf("%31s", word) == 1;
	snprintf(word, 32, "%s", *(*arguments)++);
	return 1;
}

static void
obey(const char *command, char ***arguments)
{
	char value[32];

	if (!strcmp(command, "close")) {
		for (int i = 0; i < count; i++)
			close(connections[i].fd);
		puts("closed");
	} else if (!next_word(value, arguments)) {
		die("'%s': expected open PORT, run SECONDS or close", command);
	} else if (!strcmp(command, "open")) {
		for (int i = 0; i < count; i++)
			open_connection(&connections[i], (uint16_t)atoi(value));
		exchange(count, 0);
		puts("ready");
	} else if (!strcmp(command, "run")) {
		run(atof(value));
	} else {
		die("'%s': expected open PORT, run SECONDS or close", command);
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char **arguments = argv + 5;
	char command[32];

	count = argc >= 5 ? atoi(argv[1]) : 0;
	pipeline = argc >= 5 ? atoi(argv[2]) : 0;
	end = argc >= 5 ? argv[4] : "";
	end_bytes = strlen(end);
	if (count < 1 || count > MAX_CONNECTIONS || pipeline < 1 || !end_bytes ||
		strlen(argv[3]) * (size_t)pipeline >= sizeof(requests)) {
		fputs("usage: load CONNECTIONS PIPELINE REQUEST END [COMMAND]...\n",
			stderr);
		return 2;
	}
	for (int i = 0; i < pipeline; i++)
		request_bytes += strlen(strcpy(requests + request_bytes, argv[3]));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	while (next_word(command, &arguments))
		obey(command, &arguments);
	return 0;
}
