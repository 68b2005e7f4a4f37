/* SPDX-License-Identifier: MIT */
/*
 * A record: numbers, texts and histograms, one after the other, in few bytes. A reader
 * takes them in the order in which they were put; of a record that ends too early, or is
 * not what it should be, it gets zeros, and record_is_read() says so in the end.
 */
#ifndef LOOPLAG_DAEMON_RECORD_H
#define LOOPLAG_DAEMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/counters.h"

#define RECORD_BYTES 32768 /* there is room for any of ours */

struct record {
	uint8_t bytes[RECORD_BYTES];
	size_t size, at;
	bool bad;
};

/* An empty one to put things in, or one that was put elsewhere, to take them out. */
void
record_begin(struct record *record);
void
record_load(struct record *record, const void *data, size_t size);

void
record_put(struct record *record, uint64_t number);
void
record_put_bytes(struct record *record, const void *data, size_t size);
void
record_put_text(struct record *record, const char *text);
/* An array of which most are zeros. */
void
record_put_sparse(struct record *record, const uint64_t *numbers, size_t count);
void
record_put_histogram(struct record *record, const struct histogram *histogram);
void
record_put_bands(struct record *record, const struct band_histogram *histogram);
void
record_put_counters(struct record *record, const struct counters *counters);

uint64_t
record_take(struct record *record);
void
record_take_bytes(struct record *record, void *ret_data, size_t size);
/* Of at most size - 1 bytes. */
void
record_take_text(struct record *record, char *ret_text, size_t size);
void
record_take_sparse(struct record *record, uint64_t *ret_numbers, size_t count);
void
record_take_histogram(struct record *record, struct histogram *ret_histogram);
void
record_take_bands(struct record *record, struct band_histogram *ret_histogram);
void
record_take_counters(struct record *record, struct counters *ret_counters);

/* Whether all that was taken was there, and nothing is left. */
bool
record_is_read(const struct record *record);

#endif
