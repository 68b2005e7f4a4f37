/* SPDX-License-Identifier: MIT */
/*
 * A libevent program that blocks its loop in ways and for times that are known.
 *
 *	stalls LOG CASE GAP_MS LENGTH_MS COUNT
 *
 * CASE: cpu, fsync (of a slow file), getaddrinfo (with a resolver that takes its time), mutex
 * (that another thread holds), or nothing (only timers, for ever). fsync and getaddrinfo want to be root: they work in
 * namespaces of their own. Each stall becomes a line of LOG, as JSON: its case, the guilty
 * function and line, when it began and ended (CLOCK_MONOTONIC, nanoseconds), and how long
 * the kernel kept the thread waiting for a processor. Says "done" after the last one and
 * lives on; or "skip WHY".
 */

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "slow_file.h"

static const char *guilty_function;
static int guilty_line;
/* The line after this one is guilty. */
#define GUILTY() (guilty_function = __func__, guilty_line = __LINE__ + 1)

static const char *log_path, *case_name;
static unsigned gap_ms, length_ms, count;
static uint64_t start_ns, end_ns, run_delay_ns;
static unsigned turns; /* to begin with: a loop has to wait before it is one */
static struct event *timer;
static void (*block)(void);

static void __attribute__((noreturn)) skip(const char *what)
{
	printf("skip %s: %s\n", what, strerror(errno));
	exit(EXIT_SUCCESS);
}

static uint64_t
read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

/* Not by the clock: that would be frames of its own. */
static uint64_t rounds = 10000000;

static void __attribute__((noinline)) run_long(void)
{
	volatile uint64_t sum = 0;

	GUILTY();
	for (uint64_t i = 0; i < rounds; i++, sum = sum + i)
		;
}

/* Find how many rounds are that long when nobody else has the processor. */
static void
calibrate(void)
{
	uint64_t best_ns = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t began_ns = read_ns(CLOCK_THREAD_CPUTIME_ID), ns;

		run_long();
		ns = read_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	guilty_function = NULL;
	rounds = rounds * length_ms * 1000000 / best_ns;
}

static void
do_nothing(void)
{
}

static int slow_file;

static void __attribute__((noinline)) write_safely(void)
{
	if (write(slow_file, "x", 1) != 1)
		abort();
	GUILTY();
	if (fsync(slow_file))
		abort();
}

static void __attribute__((noinline)) find_host(void)
{
	struct addrinfo *found = NULL;

	GUILTY();
	if (!getaddrinfo("nobody.example", "80", NULL, &found))
		freeaddrinfo(found);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t wanted, held;

static void *
hold_mutex(void *arg)
{
	for (;;) {
		sem_wait(&wanted);
		pthread_mutex_lock(&mutex);
		sem_post(&held);
		usleep(length_ms * 1000);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void __attribute__((noinline)) take_mutex(void)
{
	sem_post(&wanted);
	sem_wait(&held);
	GUILTY();
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

/* A name server on loopback that knows nobody, and says so after a while. */
static void
serve_names(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned char message[512];
	ssize_t length;

	if (ioctl(server, SIOCSIFFLAGS, &loopback) ||
		bind(server, (struct sockaddr *)&address, sizeof(address)))
		skip("a name server");
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		socklen_t size = sizeof(address);
		static uint64_t busy_until;

		length = recvfrom(server, message, sizeof(message), 0,
			(struct sockaddr *)&address, &size);
		if (length < 12)
			continue;
		/* The two questions of one call share the time. */
		if (now_ns() > busy_until)
			usleep(length_ms * 1000);
		busy_until = now_ns() + 20000000;
		message[2] |= 0x80; /* a response: */
		message[3] = 3;     /* no such domain */
		sendto(server, message, (size_t)length, 0, (struct sockaddr *)&address,
			size);
	}
}

static void
use_names(const char *directory)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/resolv.conf", directory);
	file = fopen(path, "we");
	if (!file)
		skip(path);
	fputs("nameserver 127.0.0.1\noptions timeout:10 attempts:1\n", file);
	fclose(file);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL))
		skip("namespaces");
	serve_names();
}

/* How long the kernel has kept this thread waiting for a processor. */
static uint64_t
run_delay(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	uint64_t delay = 0;

	if (!file || fscanf(file, "%*u %" SCNu64, &delay) != 1)
		abort();
	fclose(file);
	return delay;
}

static void
write_log(void)
{
	FILE *file = fopen(log_path, "ae");

	if (!file)
		abort();
	fprintf(file,
		"{\"case\":\"%s\",\"function\":\"%s\",\"lines\":[%d],"
		"\"start\":%" PRIu64 ",\"end\":%" PRIu64 ",\"run_delay_ns\":%" PRIu64
		"}\n",
		case_name, guilty_function, guilty_line, start_ns, end_ns, run_delay_ns);
	fclose(file);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval gap = {.tv_sec = gap_ms / 1000, .tv_usec = gap_ms % 1000 * 1000};

	/* What was found out about a stall is written in the next turn. */
	if (guilty_function) {
		write_log();
		guilty_function = NULL;
		if (!--count) {
			printf("done\n");
			fflush(stdout);
			gap.tv_sec = 3600;
		}
	} else if (turns++ < 5) {
		gap = (struct timeval){.tv_usec = 40000};
	} else if (count) {
		run_delay_ns = run_delay();
		start_ns = now_ns();
		block();
		end_ns = now_ns();
		run_delay_ns = run_delay() - run_delay_ns;
		if (guilty_function)
			gap = (struct timeval){.tv_usec = 1000};
	}
	event_add(timer, &gap);
}

static void
choose(void)
{
	char *directory = strdup(log_path);
	char *slash = strrchr(directory, '/');
	pthread_t thread;

	if (slash)
		*slash = 0;
	if (!strcmp(case_name, "cpu")) {
		block = run_long;
		calibrate();
	} else if (!strcmp(case_name, "nothing")) {
		block = do_nothing;
	} else if (!strcmp(case_name, "fsync")) {
		block = write_safely;
		slow_file = slow_file_open(directory, length_ms);
		if (slow_file < 0)
			skip("a slow file");
	} else if (!strcmp(case_name, "getaddrinfo")) {
		block = find_host;
		use_names(directory);
	} else if (!strcmp(case_name, "mutex")) {
		block = take_mutex;
		sem_init(&wanted, 0, 0);
		sem_init(&held, 0, 0);
		if (pthread_create(&thread, NULL, hold_mutex, NULL))
			abort();
	} else {
		errno = EINVAL;
		skip(case_name);
	}
	free(directory);
}

int
main(int argc, char **argv)
{
	struct event_base *base;

	if (argc != 6)
		return EXIT_FAILURE;
	log_path = argv[1];
	case_name = argv[2];
	gap_ms = (unsigned)atoi(argv[3]);
	length_ms = (unsigned)atoi(argv[4]);
	count = (unsigned)atoi(argv[5]);
	choose();
	base = event_base_new();
	timer = evtimer_new(base, on_timer, NULL);
	event_active(timer, EV_TIMEOUT, 0);
	event_base_dispatch(base);
	return EXIT_SUCCESS;
}
