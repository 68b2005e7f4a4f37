/* SPDX-License-Identifier: MIT */
/* The model of what is exported: growing arrays of families and samples, and what samples
 * point to. */

#include "config.h"

#include "daemon/metrics.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Samples have thousands of arrays, which are freed all at once. */
#define CHUNK_BYTES 131072

struct chunk {
	struct chunk *next;
	size_t used;
	_Alignas(16) char data[CHUNK_BYTES];
};

struct metrics {
	struct chunk *chunks; /* the one in use first */
	struct metric_family *families;
	size_t count;
	const char *values[METRIC_LABELS]; /* the last one of each label */
	bool failed;
};

/* Make room for one more; capacities are powers of two, so a count that is one is full. */
static bool
grow(void **array, size_t count, size_t size)
{
	void *bigger;

	if (count & (count - 1))
		return true;
	bigger = reallocarray(*array, count ? 2 * count : 1, size);
	if (!bigger)
		return false;
	*array = bigger;
	return true;
}

/* Some bytes that stay as long as the metrics, CHUNK_BYTES at most; NULL without memory. */
static void *
take(struct metrics *metrics, size_t bytes)
{
	struct chunk *chunk = metrics->chunks;

	bytes = (bytes + 15) & ~(size_t)15;
	if (!chunk || bytes > sizeof(chunk->data) - chunk->used) {
		chunk = malloc(sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->next = metrics->chunks;
		chunk->used = 0;
		metrics->chunks = chunk;
	}
	chunk->used += bytes;
	return chunk->data + chunk->used - bytes;
}

/* Replace a borrowed array by a copy. */
static void
own(struct metrics *metrics, const void **array, size_t count, size_t size)
{
	void *copy = NULL;

	if (count) {
		copy = take(metrics, count * size);
		if (copy)
			memcpy(copy, *array, count * size);
		else
			metrics->failed = true;
	}
	*array = copy;
}

/* Give the sample label values that stay as long as the metrics; most have the values of
 * the sample before. */
static void
own_values(struct metrics *metrics, struct metric_sample *sample)
{
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++) {
		const char **last = &metrics->values[i];
		const void *value = sample->labels[i].value;

		if (!*last || strcmp(*last, value) != 0) {
			own(metrics, &value, strlen(value) + 1, 1);
			*last = value;
		}
		sample->labels[i].value = *last;
	}
}

/* The same with its arrays. */
static void
own_arrays(struct metrics *metrics, struct metric_sample *sample)
{
	const void *points = sample->points, *exemplars = sample->exemplars,
		   *buckets = sample->native.buckets;

	own(metrics, &points, sample->point_count, sizeof(*sample->points));
	own(metrics, &exemplars, sample->exemplar_count, sizeof(*sample->exemplars));
	own(metrics, &buckets, sample->native.count, sizeof(*sample->native.buckets));
	sample->points = points;
	sample->exemplars = exemplars;
	sample->native.buckets = buckets;
}

struct metrics *
metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void
metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->count; i++)
		free(metrics->families[i].samples);
	while (metrics->chunks) {
		struct chunk *next = metrics->chunks->next;

		free(metrics->chunks);
		metrics->chunks = next;
	}
	free(metrics->families);
	free(metrics);
}

void
metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
	const char *help)
{
	void *families = metrics->families;

	if (metrics->failed)
		return;
	if (!grow(&families, metrics->count, sizeof(*metrics->families))) {
		metrics->failed = true;
		return;
	}
	metrics->families = families;
	metrics->families[metrics->count++] =
		(struct metric_family){.name = name, .help = help, .type = type};
}

void
metrics_add(struct metrics *metrics, const struct metric_sample *sample)
{
	metrics_add_to(metrics, metrics->count - 1, sample);
}

static bool
labels_fit(const struct metric_sample *sample)
{
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++)
		if (strnlen(sample->labels[i].value, METRIC_LABEL_BYTES) ==
			METRIC_LABEL_BYTES)
			return false;
	return true;
}

void
metrics_add_to(struct metrics *metrics, size_t index, const struct metric_sample *sample)
{
	struct metric_sample copy = *sample;
	struct metric_family *family;
	void *samples;

	if (metrics->failed)
		return;
	assert(index < metrics->count && labels_fit(sample));
	assert(sample->point_count <= METRIC_POINTS_MAX &&
		sample->exemplar_count <= METRIC_EXEMPLARS_MAX &&
		sample->native.count <= METRIC_BUCKETS_MAX);
	family = &metrics->families[index];
	samples = family->samples;
	metrics->failed = !grow(&samples, family->sample_count, sizeof(*family->samples));
	if (metrics->failed)
		return;
	family->samples = samples;
	own_values(metrics, &copy);
	own_arrays(metrics, &copy);
	if (!metrics->failed)
		family->samples[family->sample_count++] = copy;
}

bool
metrics_failed(const struct metrics *metrics)
{
	return metrics->failed;
}

size_t
metrics_count(const struct metrics *metrics)
{
	return metrics->count;
}

const struct metric_family *
metrics_get(const struct metrics *metrics, size_t index)
{
	return &metrics->families[index];
}

static bool
has_suffix(const char *text, size_t length, const char *suffix)
{
	size_t bytes = strlen(suffix);

	return length > bytes && memcmp(text + length - bytes, suffix, bytes) == 0;
}

const char *
metrics_unit(const struct metric_family *family)
{
	static const char *const suffixes[] = {"_seconds", "_bytes"};
	size_t length = strlen(family->name);

	if (has_suffix(family->name, length, "_total"))
		length -= strlen("_total");
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (has_suffix(family->name, length, suffixes[i]))
			return suffixes[i] + 1;
	return NULL;
}

const struct metric_exemplar *
metrics_exemplar(const struct metric_sample *sample, double low, double high)
{
	for (size_t i = 0; i < sample->exemplar_count; i++)
		if (sample->exemplars[i].value > low &&
			sample->exemplars[i].value <= high)
			return &sample->exemplars[i];
	return NULL;
}
