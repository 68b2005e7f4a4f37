/* SPDX-License-Identifier: MIT */
/*
 * An open-loop client: sends requests on a fixed schedule, whatever the server does, and
 * measures each one from the instant at which it was due. A server that stops answering
 * therefore makes all that was due meanwhile late, as it would for real users; nothing is
 * left out because the client was busy waiting (no coordinated omission).
 *
 * The requests go round robin over a few connections and are pipelined there; what the
 * kernel does not take at once is kept here, so that the schedule never waits for the
 * server. Two protocols: lines that are echoed, and HTTP/1.1 with Content-Length.
 *
 * Prints one JSON object, times in seconds. "late" is how much later than due the client
 * itself sent: where it is not small, the machine was too busy to measure anything.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/hosts/clock.h"

#define NS 1000000000ull
#define HEAD_BYTES 2048
#define START_AFTER_NS (50 * 1000000ull)

static const char line_request[] = "0123456789abcdef\n";
static const char http_request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

struct connection {
	int fd;
	uint64_t sent;     /* requests given to it: numbers i, i + n, i + 2n, ... */
	uint64_t answered; /* of them */
	size_t unsent_bytes;
	bool writes; /* epoll tells when there is room */
	/* The answer that is being read: */
	char head[HEAD_BYTES];
	size_t head_bytes;
	uint64_t body_left;
	bool in_body;
};

struct client {
	bool http;
	const char *request;
	size_t request_bytes;
	uint64_t rate;
	uint64_t total;
	uint64_t sent;
	uint64_t answered;
	uint64_t start_ns;
	uint64_t grace_ns;
	unsigned connection_count;
	struct connection *connections;
	int epoll, timer;
	uint64_t *latency_ns; /* by request; UINT64_MAX: no answer */
	uint64_t *late_ns;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("openloop: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t
due_ns(const struct client *client, uint64_t request)
{
	return client->start_ns + request * NS / client->rate;
}

static void
watch(const struct client *client, unsigned index, int operation, bool writes)
{
	struct connection *c = &client->connections[index];
	struct epoll_event event = {.data.u32 = index};

	event.events = EPOLLIN | (writes ? EPOLLOUT : 0);
	c->writes = writes;
	if (epoll_ctl(client->epoll, operation, c->fd, &event))
		die("epoll_ctl: %s", strerror(errno));
}

/* Hand the kernel what it takes; every request is the same, so a count is a buffer. */
static void
flush(const struct client *client, unsigned index)
{
	struct connection *c = &client->connections[index];

	while (c->unsent_bytes) {
		size_t rest = c->unsent_bytes % client->request_bytes;
		size_t length = rest ? rest : client->request_bytes;
		ssize_t n = send(c->fd, client->request + client->request_bytes - length,
			length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("send: %s", strerror(errno));
		if (n < 0)
			break;
		c->unsent_bytes -= (size_t)n;
	}
	if (c->writes != (c->unsent_bytes > 0))
		watch(client, index, EPOLL_CTL_MOD, c->unsent_bytes > 0);
}

static void
send_due(struct client *client)
{
	while (client->sent < client->total) {
		unsigned index = (unsigned)(client->sent % client->connection_count);
		uint64_t due = due_ns(client, client->sent), now = now_ns();

		if (now < due)
			break;
		client->late_ns[client->sent++] = now - due;
		client->connections[index].sent++;
		client->connections[index].unsent_bytes += client->request_bytes;
		flush(client, index);
	}
}

static void
answer(struct client *client, unsigned index, uint64_t now)
{
	struct connection *c = &client->connections[index];
	uint64_t request = index + c->answered * client->connection_count;

	if (c->answered == c->sent)
		die("an answer that nobody asked for");
	client->latency_ns[request] = now - due_ns(client, request);
	c->answered++;
	client->answered++;
}

/* The length of the body that the head of an HTTP answer announces. */
static uint64_t
content_length(char *head)
{
	static const char name[] = "content-length:";
	char *line, *next;

	if (strncmp(head, "HTTP/1.1 200 ", 13) != 0)
		die("not 200 OK: %.60s", head);
	for (line = head; line; line = next) {
		next = strstr(line, "\r\n");
		next = next ? next + 2 : NULL;
		if (strncasecmp(line, name, sizeof(name) - 1) == 0)
			return strtoull(line + sizeof(name) - 1, NULL, 10);
	}
	die("an answer without Content-Length");
}

/* Read one byte of an HTTP answer, or as much of a body as there is; returns how much. */
static size_t
http_input(struct client *client, unsigned index, const char *data, size_t size,
	uint64_t now)
{
	struct connection *c = &client->connections[index];
	size_t used = 1;

	if (c->in_body) {
		used = size < c->body_left ? size : c->body_left;
		c->body_left -= used;
	} else {
		if (c->head_bytes == HEAD_BYTES - 1)
			die("an answer whose head is over %d bytes long", HEAD_BYTES);
		c->head[c->head_bytes++] = *data;
		c->head[c->head_bytes] = '\0';
		if (c->head_bytes < 4 ||
			memcmp(c->head + c->head_bytes - 4, "\r\n\r\n", 4) != 0)
			return used;
		c->body_left = content_length(c->head);
		c->head_bytes = 0;
		c->in_body = true;
	}
	if (c->body_left == 0) {
		c->in_body = false;
		answer(client, index, now);
	}
	return used;
}

static void
receive(struct client *client, unsigned index)
{
	char data[65536];
	ssize_t n = recv(client->connections[index].fd, data, sizeof(data), MSG_DONTWAIT);
	uint64_t now = now_ns();
	size_t at;

	if (n == 0)
		die("the server closed a connection");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("recv: %s", strerror(errno));
	for (at = 0; n > 0 && at < (size_t)n;) {
		if (client->http) {
			at += http_input(client, index, data + at, (size_t)n - at, now);
		} else if (data[at++] == '\n') {
			answer(client, index, now);
		}
	}
}

static void
connect_all(struct client *client, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned i;
	int one = 1;

	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	client->connections =
		calloc(client->connection_count, sizeof(*client->connections));
	if (client->epoll < 0 || !client->connections)
		die("out of memory");
	for (i = 0; i < client->connection_count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
			die("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		client->connections[i].fd = fd;
		watch(client, i, EPOLL_CTL_ADD, false);
	}
}

/* Wake when the next request is due, or when it is time to give up. */
static void
set_timer(const struct client *client)
{
	uint64_t next = due_ns(client, client->sent) +
			(client->sent == client->total ? client->grace_ns : 0);
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(next / NS),
					  .tv_nsec = (long)(next % NS)}};

	if (timerfd_settime(client->timer, TFD_TIMER_ABSTIME, &when, NULL))
		die("timerfd_settime: %s", strerror(errno));
}

static void
start_schedule(struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};

	client->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (client->timer < 0 ||
		epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->timer, &event))
		die("timerfd: %s", strerror(errno));
	client->start_ns = now_ns() + START_AFTER_NS;
	set_timer(client);
}

static void
run(struct client *client)
{
	struct epoll_event events[64];
	uint64_t end = due_ns(client, client->total) + client->grace_ns;
	int i, n;

	while (client->answered < client->total && now_ns() < end) {
		n = epoll_wait(client->epoll, events, 64, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (i = 0; i < n; i++) {
			unsigned index = events[i].data.u32;

			if (index == UINT32_MAX) {
				send_due(client);
				set_timer(client);
				continue;
			}
			if (events[i].events & EPOLLOUT)
				flush(client, index);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				receive(client, index);
		}
	}
}

static void
write_samples(const struct client *client, const char *path)
{
	FILE *file = fopen(path, "w");
	uint64_t i;

	if (!file)
		die("%s: %s", path, strerror(errno));
	for (i = 0; i < client->total; i++)
		if (client->latency_ns[i] != UINT64_MAX)
			fprintf(file, "%.9f %.9f\n",
				(double)(due_ns(client, i) - client->start_ns) / 1e9,
				(double)client->latency_ns[i] / 1e9);
	if (fclose(file))
		die("%s: %s", path, strerror(errno));
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
print_quantiles(const char *name, uint64_t *values, uint64_t count)
{
	static const struct {
		const char *name;
		uint64_t per_mille;
	} quantiles[] = {
		{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}, {"max", 1000}};
	unsigned i;

	qsort(values, count, sizeof(*values), compare);
	printf("\"%s\":{", name);
	for (i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		uint64_t rank = (count * quantiles[i].per_mille + 999) / 1000;

		printf("%s\"%s\":%.9f", i ? "," : "", quantiles[i].name,
			count ? (double)values[rank ? rank - 1 : 0] / 1e9 : 0.0);
	}
	putchar('}');
}

static void
report(struct client *client)
{
	printf("{\"requests\":%llu,\"answered\":%llu,", (unsigned long long)client->total,
		(unsigned long long)client->answered);
	/* Requests without an answer sort last and are left out by the count. */
	print_quantiles("latency", client->latency_ns, client->answered);
	putchar(',');
	print_quantiles("late", client->late_ns, client->sent);
	puts("}");
}

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: openloop [--http] [--rate PER_SECOND] [--seconds N] [--connections "
	      "N]\n"
	      "                [--grace SECONDS] [--cpu N] [--raw FILE] PORT\n",
		stderr);
	exit(2);
}

static double
number(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value <= most))
		usage();
	return value;
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot run on CPU %d: %s", cpu, strerror(errno));
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"http", no_argument, NULL, 'h'},
		{"rate", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"connections", required_argument, NULL, 'c'},
		{"grace", required_argument, NULL, 'g'},
		{"cpu", required_argument, NULL, 'p'},
		{"raw", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
	struct client client = {.rate = 1000, .connection_count = 8, .grace_ns = 5 * NS};
	const char *raw = NULL;
	double seconds = 10;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			client.http = true;
			break;
		case 'r':
			client.rate = (uint64_t)number(optarg, 1, 1e6);
			break;
		case 's':
			seconds = number(optarg, 0.001, 3600);
			break;
		case 'c':
			client.connection_count = (unsigned)number(optarg, 1, 10000);
			break;
		case 'g':
			client.grace_ns = (uint64_t)(number(optarg, 0, 3600) * 1e9);
			break;
		case 'p':
			pin((int)number(optarg, 0, CPU_SETSIZE - 1));
			break;
		case 'w':
			raw = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc - 1)
		usage();
	client.request = client.http ? http_request : line_request;
	client.request_bytes = strlen(client.request);
	client.total = (uint64_t)(seconds * (double)client.rate);
	client.latency_ns = malloc(client.total * sizeof(uint64_t));
	client.late_ns = calloc(client.total, sizeof(uint64_t));
	if (!client.latency_ns || !client.late_ns)
		die("out of memory");
	memset(client.latency_ns, 0xff, client.total * sizeof(uint64_t));
	connect_all(&client, (uint16_t)number(argv[optind], 1, 65535));
	start_schedule(&client);
	run(&client);
	if (raw)
		write_samples(&client, raw);
	report(&client);
	return client.answered == client.total ? 0 : 1;
}
