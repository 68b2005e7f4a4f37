/* SPDX-License-Identifier: MIT */
/*
 * What a histogram costs, in nanoseconds of CPU time: the least of many rounds, in which the
 * kinds take turns. Printed as JSON.
 *
 *	increment   an element of a plain array of 1024, found by a mask: the least there is
 *	record      a duration put into a histogram: its bucket, its band's sum, the square
 *	band        the same for the coarser kind, which several threads may write
 *	merge       one histogram added to another one
 *	quantiles   five quantiles of the delay from one histogram
 *	excesses    the delay's time above 20 limits, which is a page's worth
 *
 * The durations are spread over all buckets, and drawn beforehand. With --count it records
 * so many, for callgrind to count.
 */

#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probes/histogram.h"

#define DURATIONS 4096 /* a power of two */
#define ROUNDS 200
#define LIMITS 20

enum kind { INCREMENT, RECORD, BAND, MERGE, QUANTILES, EXCESSES, KINDS };

static const char *const names[KINDS] = {
	"increment", "record", "band", "merge", "quantiles", "excesses"};

static uint64_t durations_ns[DURATIONS], plain[1024], limits_ns[LIMITS];
static struct histogram histogram, other;
static struct band_histogram bands;

/* As many between 2^n and 2^(n+1) as between any two other powers of two. */
static void
draw_durations(void)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < DURATIONS; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		durations_ns[i] = (1ull << (10 + (random >> 59) % 26)) + (random >> 54);
	}
	for (unsigned i = 0; i < LIMITS; i++)
		limits_ns[i] = 1000ull << i;
}

/* In a function of its own, for callgrind. */
static void __attribute__((noinline)) record_durations(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		histogram_record(&histogram, durations_ns[i % DURATIONS]);
}

/* Do it once, or for all durations. Returns how many times that was. */
static unsigned
run(enum kind kind)
{
	static const double quantiles[5] = {0.5, 0.9, 0.99, 0.999, 1};
	double delays[5];
	uint64_t excesses_ns[LIMITS];

	switch (kind) {
	case INCREMENT:
		for (unsigned i = 0; i < DURATIONS; i++) {
			plain[durations_ns[i] & 1023]++;
			__asm__ volatile("" : : : "memory");
		}
		return DURATIONS;
	case RECORD:
		record_durations(DURATIONS);
		return DURATIONS;
	case BAND:
		for (unsigned i = 0; i < DURATIONS; i++)
			band_histogram_record(&bands, durations_ns[i]);
		return DURATIONS;
	case MERGE:
		histogram_add(&other, &histogram);
		return 1;
	case QUANTILES:
		histogram_delay_quantiles(&histogram, 1e9, quantiles, 5, delays);
		return 1;
	default:
		histogram_excesses_ns(&histogram, limits_ns, LIMITS, excesses_ns);
		return 1;
	}
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds each, over at least some microseconds. */
static double
measure(enum kind kind)
{
	double begin = now_ns();
	unsigned count = 0;

	for (int i = 0; i < 10; i++)
		count += run(kind);
	return (now_ns() - begin) / count;
}

int
main(int argc, char **argv)
{
	double least[KINDS];

	draw_durations();
	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		record_durations((unsigned)strtoul(argv[2], NULL, 10));
		return 0;
	}
	if (argc != 1) {
		fputs("usage: histogram_cost [--count N]\n", stderr);
		return 2;
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned kind = 0; kind < KINDS; kind++) {
			double spent = measure(kind);

			if (round == 0 || spent < least[kind])
				least[kind] = spent;
		}
	for (unsigned kind = 0; kind < KINDS; kind++)
		printf("%c\"%s\":%.2f", kind ? ',' : '{', names[kind], least[kind]);
	puts("}");
	return 0;
}
