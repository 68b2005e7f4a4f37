/* SPDX-License-Identifier: MIT */
/*
 * The model of what is exported: families of samples, independent of any format. Built
 * anew for each scrape, then given to a writer (text.h).
 *
 * Names, help texts and label values are borrowed and must outlive the model; all else is
 * copied. Running out of memory is remembered (metrics_failed), so that whoever fills the
 * model need not look at each step.
 */
#ifndef LOOPLAG_DAEMON_METRICS_H
#define LOOPLAG_DAEMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUMMARY };

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

#define METRIC_LABELS 3

struct metric_sample {
	struct metric_label labels[METRIC_LABELS]; /* ends at the first without a name */
	double value;                              /* counter, gauge */
	double count;                              /* histogram, summary */
	double sum;
	const struct metric_point *points;
	size_t point_count;
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

/* Add a sample, and a copy of its points, to the last family, or to one by its index. */
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

#endif
