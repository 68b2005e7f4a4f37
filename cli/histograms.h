/* SPDX-License-Identifier: MIT */
/*
 * How the delay of loops is spread, as GET /api/v1/histograms tells: seconds of loop life by
 * rows of delays, each twice as long as the one before. Pure.
 */
#ifndef LOOPLAG_CLI_HISTOGRAMS_H
#define LOOPLAG_CLI_HISTOGRAMS_H

#include <stddef.h>

#include <jansson.h>

#define HISTOGRAMS_ROWS_MAX 64

/* One loop; names are borrowed from the answer. */
struct histograms_loop {
	const char *groupname;
	const char *loop;
	double seconds[HISTOGRAMS_ROWS_MAX];
};

struct histograms {
	size_t rows;
	double bounds[HISTOGRAMS_ROWS_MAX]; /* where each row but the last one ends */
	struct histograms_loop *loops;
	size_t count;
};

/* Read an answer. Returns 0, -EPROTO if it is none, or -ENOMEM. */
__attribute__((warn_unused_result)) int
histograms_read(const json_t *answer, struct histograms *ret_histograms);
void
histograms_fini(struct histograms *histograms);

/* Leave in it what has come since an earlier one. A loop that has less now has begun to count
 * anew, and keeps what it has. */
void
histograms_subtract(struct histograms *histograms, const struct histograms *before);

/* Put all rows that end before that delay into one. */
void
histograms_fold(struct histograms *histograms, double seconds);

/* The loop life. */
double
histograms_life(const struct histograms *histograms, const struct histograms_loop *loop);

/* The same shape as the answer; caller's. NULL without memory. */
json_t *
histograms_json(const struct histograms *histograms);

#endif
