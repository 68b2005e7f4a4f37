/* SPDX-License-Identifier: MIT */
/*
 * What the probe adds to one wait call, against the cost of two clock reads, which no
 * probe can do without.
 *
 * To be run with the probe preloaded. Four kinds of calls take turns of a few
 * milliseconds, so that all see the same machine at the same time:
 *
 *	with     epoll_wait as any program calls it, which is the probe's
 *	without  libc's own epoll_wait, by its address
 *	around   the same with a clock read before and one after it: the least that any
 *	         probe costs there, where a clock read also holds up what could overlap.
 *	         Where threads share an instance they count in one word who waits, too:
 *	         without that nobody knows whether nobody does
 *	clock    two clock reads and nothing else
 *
 * Each round gives one ratio, (with - without) / clock. Medians and quartiles of all
 * rounds are printed as JSON, the times in nanoseconds of CPU time a call. The cases:
 *
 *	ready    one event is always there: each wait ends an iteration below 1 us
 *	empty    nothing is there: the waits are taken for one wait
 *	busy     as ready, with 2 us of work between two waits
 *	cold     as ready, with all of a 4 MiB array read between two waits
 *
 * Threads have an epoll instance each, or share one. With --count it only makes the calls
 * of one kind, for callgrind to count.
 */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "probes/segment.h"

#define MAX_THREADS 64
#define COLD_BYTES (4u << 20)
#define BUSY_STEPS 1500 /* of a dependent multiplication and addition */

typedef int
wait_function(int, struct epoll_event *, int, int);

enum kind { WITH, WITHOUT, AROUND, CLOCK, KINDS };

static const char *const kinds[KINDS] = {"with", "without", "around", "clock"};

struct bench {
	wait_function *wait[2]; /* WITH and WITHOUT */
	unsigned threads, rounds, calls;
	bool ready, busy, cold;
	bool shared;
	int epoll; /* if it is shared */
	pthread_barrier_t barrier;
	/* Nanoseconds a call, by round and thread. */
	double *spent[KINDS];
	/* Threads that wait, of kind AROUND: last, and in a cache line of its own. */
	unsigned waiting __attribute__((aligned(64)));
};

static unsigned char *cold_bytes;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("wait_cost: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

static double
now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What a program does between two waits. */
static void
work(const struct bench *bench)
{
	uint64_t x = 1;

	if (bench->busy)
		for (int i = 0; i < BUSY_STEPS; i++)
			x = x * 6364136223846793005u + 1442695040888963407u;
	if (bench->cold)
		for (size_t i = 0; i < COLD_BYTES; i += 64)
			x += cold_bytes[i];
	__asm__ volatile("" : : "r"(x));
}

static void
read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
}

/* Have the word come, to be written, while the caller reads the clock, as the probe does; here
 * the processor must know how. */
static void
expect(const unsigned *word)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*word));
#else
	__builtin_prefetch(word, 1);
#endif
}

static void
make_call(struct bench *bench, int epoll, enum kind kind)
{
	bool counts = kind == AROUND && bench->shared;
	struct epoll_event event;

	if (counts)
		expect(&bench->waiting);
	if (kind == AROUND || kind == CLOCK)
		read_clock();
	if (counts)
		__atomic_fetch_add(&bench->waiting, 1, __ATOMIC_ACQ_REL);
	if (kind != CLOCK && bench->wait[kind != WITH](epoll, &event, 1, 0) < 0)
		die("epoll_wait: %s", strerror(errno));
	if (counts)
		expect(&bench->waiting);
	if (kind == AROUND || kind == CLOCK)
		read_clock();
	if (counts)
		__atomic_fetch_sub(&bench->waiting, 1, __ATOMIC_ACQ_REL);
}

/* The calls that are counted and timed: in a function of its own, for callgrind. */
static void __attribute__((noinline))
make_calls(struct bench *bench, int epoll, enum kind kind)
{
	for (unsigned i = 0; i < bench->calls; i++) {
		if (kind != CLOCK)
			work(bench);
		make_call(bench, epoll, kind);
	}
}

/* Nanoseconds a call. Where the work is long, each call is timed by itself. */
static double
time_calls(struct bench *bench, int epoll, enum kind kind)
{
	double begin, sum = 0;

	if (!bench->cold || kind == CLOCK) {
		begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
		make_calls(bench, epoll, kind);
		sum = now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
	} else {
		for (unsigned i = 0; i < bench->calls; i++) {
			work(bench);
			begin = now_ns(CLOCK_MONOTONIC);
			make_call(bench, epoll, kind);
			sum += now_ns(CLOCK_MONOTONIC) - begin;
		}
	}
	return sum / bench->calls;
}

static int
make_epoll(const struct bench *bench)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = eventfd(bench->ready, EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll: %s", strerror(errno));
	return epoll;
}

struct thread {
	struct bench *bench;
	unsigned index;
	pthread_t thread;
};

static void *
run_rounds(void *arg)
{
	const struct thread *thread = arg;
	struct bench *bench = thread->bench;
	int epoll = bench->shared ? bench->epoll : make_epoll(bench);

	for (unsigned round = 0; round < bench->rounds; round++)
		for (unsigned i = 0; i < KINDS; i++) {
			enum kind kind = (i + round) % KINDS;

			pthread_barrier_wait(&bench->barrier);
			bench->spent[kind][round * bench->threads + thread->index] =
				time_calls(bench, epoll, kind);
		}
	return NULL;
}

static void
run(struct bench *bench)
{
	struct thread threads[MAX_THREADS];

	for (unsigned kind = 0; kind < KINDS; kind++) {
		bench->spent[kind] =
			calloc(bench->rounds * bench->threads, sizeof(double));
		if (!bench->spent[kind])
			die("out of memory");
	}
	pthread_barrier_init(&bench->barrier, NULL, bench->threads);
	for (unsigned i = 0; i < bench->threads; i++) {
		threads[i] = (struct thread){.bench = bench, .index = i};
		if (pthread_create(&threads[i].thread, NULL, run_rounds, &threads[i]))
			die("cannot start a thread");
	}
	for (unsigned i = 0; i < bench->threads; i++)
		pthread_join(threads[i].thread, NULL);
}

/* How many waits the probe has recorded in this process; 0 without a probe. */
static uint64_t
recorded_waits(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	const char *segment = NULL;
	uint64_t waits = 0;
	char line[512];

	while (maps && !segment && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:looplag"))
			segment = (const char *)strtoull(line, NULL, 16);
	if (maps)
		fclose(maps);
	if (segment) {
		const struct segment_header *header = (const void *)segment;
		const struct segment_slot *slots =
			(const void *)(segment + header->slots_offset);

		for (uint32_t i = 0; i < header->slot_count; i++)
			waits += slots[i].iterations + slots[i].other_waits;
	}
	return waits;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
print_quartiles(const char *name, double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	printf("\"%s\":{\"median\":%.3f,\"low\":%.3f,\"high\":%.3f}", name,
		values[count / 2], values[count / 4], values[count - 1 - count / 4]);
}

static void
report(struct bench *bench)
{
	double *ratios = calloc(bench->rounds, sizeof(double));

	if (!ratios)
		die("out of memory");
	for (unsigned round = 0; round < bench->rounds; round++) {
		double mean[KINDS] = {0};

		for (unsigned kind = 0; kind < KINDS; kind++) {
			for (unsigned i = 0; i < bench->threads; i++)
				mean[kind] +=
					bench->spent[kind][round * bench->threads + i] /
					bench->threads;
			bench->spent[kind][round] = mean[kind];
		}
		ratios[round] = (mean[WITH] - mean[WITHOUT]) / mean[CLOCK];
	}
	putchar('{');
	for (unsigned kind = 0; kind < KINDS; kind++) {
		print_quartiles(kinds[kind], bench->spent[kind], bench->rounds);
		putchar(',');
	}
	print_quartiles("ratio", ratios, bench->rounds);
	puts("}");
}

static void __attribute__((noreturn)) usage(void)
{
	fputs("usage: wait_cost [--threads N] [--shared] [--rounds N] [--calls N]\n"
	      "                 [--count with|without|around|clock] "
	      "ready|empty|busy|cold\n",
		stderr);
	exit(2);
}

static unsigned
number(const char *text, unsigned most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value == 0 || value > most)
		usage();
	return (unsigned)value;
}

static enum kind
find_kind(const char *name)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (strcmp(kinds[kind], name) == 0)
			return kind;
	usage();
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"threads", required_argument, NULL, 't'},
		{"rounds", required_argument, NULL, 'r'},
		{"calls", required_argument, NULL, 'c'},
		{"shared", no_argument, NULL, 's'},
		{"count", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
	struct bench bench = {.threads = 1, .rounds = 101};
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	enum kind count = KINDS;
	const char *name;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't')
			bench.threads = number(optarg, MAX_THREADS);
		else if (option == 'r')
			bench.rounds = number(optarg, 100000);
		else if (option == 'c')
			bench.calls = number(optarg, 100000000);
		else if (option == 's')
			bench.shared = true;
		else if (option == 'n')
			count = find_kind(optarg);
		else
			usage();
	}
	if (optind != argc - 1)
		usage();
	name = argv[optind];
	bench.busy = strcmp(name, "busy") == 0;
	bench.cold = strcmp(name, "cold") == 0;
	if (!bench.busy && !bench.cold && strcmp(name, "ready") != 0 &&
		strcmp(name, "empty") != 0)
		usage();
	if (bench.calls == 0)
		bench.calls = bench.cold ? 50 : 10000;
	cold_bytes = calloc(1, COLD_BYTES);
	bench.wait[WITH] = epoll_wait;
	bench.wait[WITHOUT] = libc ? (wait_function *)dlsym(libc, "epoll_wait") : NULL;
	if (!bench.wait[WITHOUT] || !cold_bytes)
		die("cannot find libc's own epoll_wait");
	bench.ready = strcmp(name, "empty") != 0;
	bench.epoll = make_epoll(&bench);

	if (count != KINDS) {
		make_calls(&bench, bench.epoll, count);
	} else {
		run(&bench);
		report(&bench);
	}
	/* The first wait does not make a loop yet. */
	if (bench.wait[WITH] != bench.wait[WITHOUT] &&
		(count == WITH || count == KINDS) && recorded_waits() + 1 < bench.calls)
		die("the probe is loaded, but does not record");
	return 0;
}
