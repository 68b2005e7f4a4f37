/* SPDX-License-Identifier: MIT */
/*
 * The model of what is exported: families of samples, independent of any format. Built
 * anew for each scrape, then given to a writer (text.h, openmetrics.h, protobuf.h).
 *
 * Names and help texts are constant; all else is copied, so that a model, once it is filled,
 * may be written by any thread. Running out of memory is remembered (metrics_failed), so
 * that whoever fills the model need not look at each step.
 */
#ifndef LOOPLAG_DAEMON_METRICS_H
#define LOOPLAG_DAEMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A counter's name ends in _total, that of an info, a gauge of 1 with labels, in _info. */
enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_INFO,
	METRIC_HISTOGRAM,
	METRIC_TIME_HISTOGRAM, /* what it counts is seconds, not things */
	METRIC_SUMMARY
};

struct metric_label {
	const char *name;
	const char *value;
};

/* Of a histogram: upper bound and cumulative count; the last bound is infinite. Of a
 * summary: quantile and value. */
struct metric_point {
	double bound;
	double value;
};

/* One of the things that were counted. Labels are numbers; they end at the first without
 * a name. */
#define METRIC_EXEMPLAR_LABELS 2
struct metric_exemplar {
	struct {
		const char *name;
		uint64_t value;
	} labels[METRIC_EXEMPLAR_LABELS];
	double value; /* as it was observed */
	double unix_seconds;
};

/* A native histogram: bucket i ends at 2^(i / 2^schema). */
struct metric_bucket {
	int index;
	double value;
};
struct metric_native {
	int schema;
	bool whole; /* values are whole numbers below 2^53, and all of them add up */
	double zero_threshold; /* 0: there is no native histogram */
	double zero_value;
	const struct metric_bucket *buckets; /* in their order, without empty ones */
	size_t count;
};

/* No sample has more. */
#define METRIC_POINTS_MAX 128
#define METRIC_EXEMPLARS_MAX 16
#define METRIC_BUCKETS_MAX 1024
#define METRIC_LABELS 3
#define METRIC_LABEL_BYTES 512 /* of a value, with the final 0 */

struct metric_sample {
	struct metric_label labels[METRIC_LABELS]; /* ends at the first without a name */
	double value;                              /* counter, gauge */
	double count;                              /* histogram, summary */
	double sum;
	const struct metric_point *points;
	size_t point_count;
	const struct metric_exemplar *exemplars; /* histogram; newest first */
	size_t exemplar_count;
	struct metric_native native; /* histogram */
	double started_seconds;      /* counting from zero, of the epoch; 0: unknown */
};

struct metric_family {
	const char *name;
	const char *help;
	enum metric_type type;
	struct metric_sample *samples;
	size_t sample_count;
};

struct metrics;

struct metrics *
metrics_new(void);
void
metrics_free(struct metrics *metrics);

/* Begin a family; later samples belong to it. */
void
metrics_family(struct metrics *metrics, enum metric_type type, const char *name,
	const char *help);

/* Add a copy of a sample to the last family, or to one by its index. */
void
metrics_add(struct metrics *metrics, const struct metric_sample *sample);
void
metrics_add_to(
	struct metrics *metrics, size_t family, const struct metric_sample *sample);

/* Whether something is missing as memory ran out. */
bool
metrics_failed(const struct metrics *metrics);

/* For writers. */
size_t
metrics_count(const struct metrics *metrics);
const struct metric_family *
metrics_get(const struct metrics *metrics, size_t index);

/* The base unit at the end of the family's name, or NULL. */
const char *
metrics_unit(const struct metric_family *family);

/* The newest exemplar above `low` and not above `high`, or NULL. */
const struct metric_exemplar *
metrics_exemplar(const struct metric_sample *sample, double low, double high);

#endif
