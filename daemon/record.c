/* SPDX-License-Identifier: MIT */
/* Numbers in as many bytes as they need, seven bits in each; see record.h. */

#include "config.h"

#include "daemon/record.h"

#include <string.h>

void
record_begin(struct record *record)
{
	record->size = record->at = 0;
	record->bad = false;
}

void
record_load(struct record *record, const void *data, size_t size)
{
	record_begin(record);
	record->bad = size > RECORD_BYTES;
	if (record->bad)
		return;
	memcpy(record->bytes, data, size);
	record->size = size;
}

void
record_put(struct record *record, uint64_t number)
{
	do {
		if (record->size == RECORD_BYTES) {
			record->bad = true;
			return;
		}
		record->bytes[record->size++] =
			(uint8_t)(number & 0x7f) | (number > 0x7f ? 0x80 : 0);
		number >>= 7;
	} while (number);
}

uint64_t
record_take(struct record *record)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (record->bad || record->at == record->size)
			break;
		byte = record->bytes[record->at++];
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number;
	}
	record->bad = true;
	return 0;
}

void
record_put_bytes(struct record *record, const void *data, size_t size)
{
	if (size > RECORD_BYTES - record->size) {
		record->bad = true;
		return;
	}
	memcpy(record->bytes + record->size, data, size);
	record->size += size;
}

void
record_take_bytes(struct record *record, void *ret_data, size_t size)
{
	if (record->bad || size > record->size - record->at) {
		record->bad = true;
		memset(ret_data, 0, size);
		return;
	}
	memcpy(ret_data, record->bytes + record->at, size);
	record->at += size;
}

void
record_put_text(struct record *record, const char *text)
{
	record_put(record, strlen(text));
	record_put_bytes(record, text, strlen(text));
}

void
record_take_text(struct record *record, char *ret_text, size_t size)
{
	uint64_t length = record_take(record);

	if (length >= size) {
		record->bad = true;
		length = 0;
	}
	record_take_bytes(record, ret_text, length);
	ret_text[length] = 0;
}

/* Each that is not zero: how many to skip, plus one, and itself; then a zero. */
void
record_put_sparse(struct record *record, const uint64_t *numbers, size_t count)
{
	size_t done = 0;

	for (size_t i = 0; (i = histogram_next(numbers, i, count)) < count; i++) {
		record_put(record, i - done + 1);
		record_put(record, numbers[i]);
		done = i + 1;
	}
	record_put(record, 0);
}

void
record_take_sparse(struct record *record, uint64_t *ret_numbers, size_t count)
{
	uint64_t skip;
	size_t i = 0;

	memset(ret_numbers, 0, count * sizeof(*ret_numbers));
	while ((skip = record_take(record))) {
		if (skip > count - i) {
			record->bad = true;
			return;
		}
		i += skip;
		ret_numbers[i - 1] = record_take(record);
	}
}

void
record_put_histogram(struct record *record, const struct histogram *h)
{
	record_put_sparse(record, h->counts, HISTOGRAM_BUCKETS);
	record_put_sparse(record, h->sums_ns, HISTOGRAM_BANDS);
	record_put(record, h->square_low);
	record_put(record, h->square_high);
}

void
record_take_histogram(struct record *record, struct histogram *ret)
{
	record_take_sparse(record, ret->counts, HISTOGRAM_BUCKETS);
	record_take_sparse(record, ret->sums_ns, HISTOGRAM_BANDS);
	ret->square_low = record_take(record);
	ret->square_high = record_take(record);
}

void
record_put_bands(struct record *record, const struct band_histogram *h)
{
	record_put_sparse(record, h->counts, HISTOGRAM_BANDS);
	record_put(record, h->sum_ns);
}

void
record_take_bands(struct record *record, struct band_histogram *ret)
{
	record_take_sparse(record, ret->counts, HISTOGRAM_BANDS);
	ret->sum_ns = record_take(record);
}

void
record_put_counters(struct record *record, const struct counters *counters)
{
	record_put_histogram(record, &counters->iteration);
	record_put_bands(record, &counters->wakeup);
	record_put(record, counters->iterations);
	record_put(record, counters->life_ns);
	record_put(record, counters->active_ns);
	record_put(record, counters->nested_wait_ns);
	record_put(record, counters->events);
	record_put(record, counters->waits);
	record_put(record, counters->max_ns);
}

void
record_take_counters(struct record *record, struct counters *ret)
{
	record_take_histogram(record, &ret->iteration);
	record_take_bands(record, &ret->wakeup);
	ret->iterations = record_take(record);
	ret->life_ns = record_take(record);
	ret->active_ns = record_take(record);
	ret->nested_wait_ns = record_take(record);
	ret->events = record_take(record);
	ret->waits = record_take(record);
	ret->max_ns = record_take(record);
}

bool
record_is_read(const struct record *record)
{
	return !record->bad && record->at == record->size;
}
