/* SPDX-License-Identifier: MIT */
/* The model of what is exported: growing arrays of families, samples and points. */

#include "config.h"

#include "daemon/metrics.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
	struct metric_family *families;
	size_t count;
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
	for (size_t i = 0; i < metrics->count; i++) {
		struct metric_family *family = &metrics->families[i];

		for (size_t j = 0; j < family->sample_count; j++)
			free((void *)(uintptr_t)family->samples[j].points);
		free(family->samples);
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

void
metrics_add_to(struct metrics *metrics, size_t index, const struct metric_sample *sample)
{
	size_t bytes = sample->point_count * sizeof(*sample->points);
	struct metric_family *family;
	struct metric_point *points = NULL;
	void *samples;

	if (metrics->failed)
		return;
	assert(index < metrics->count);
	family = &metrics->families[index];
	samples = family->samples;
	if (!grow(&samples, family->sample_count, sizeof(*family->samples))) {
		metrics->failed = true;
		return;
	}
	family->samples = samples;
	if (bytes) {
		points = malloc(bytes);
		if (!points) {
			metrics->failed = true;
			return;
		}
		memcpy(points, sample->points, bytes);
	}
	family->samples[family->sample_count] = *sample;
	family->samples[family->sample_count++].points = points;
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
