/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' protobuf format; see protobuf.h. A family stands behind its length, so that it
 * is put together in memory before any of it is written: sample by sample, as a message is
 * nothing but its fields one after the other.
 *
 *	family: length | name, help, type, unit | 22 length metric | 22 length metric | ...
 */

#include "config.h"

#include "daemon/protobuf.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"
#include "daemon/metrics.pb-c.h"

/* The tag of MetricFamily.metric: field 4, with a length. */
#define METRIC_TAG 0x22
#define VARINT_BYTES 10
#define HEAD_BYTES (1 + VARINT_BYTES)
/* No message is longer. */
#define MESSAGE_BYTES                                                  \
	(HEAD_BYTES + 4096 + METRIC_LABELS * METRIC_LABEL_BYTES +      \
		METRIC_POINTS_MAX * 128 + METRIC_EXEMPLARS_MAX * 256 + \
		METRIC_BUCKETS_MAX * 32)

static const Prometheus__MetricType types[] = {
	[METRIC_COUNTER] = PROMETHEUS__METRIC_TYPE__COUNTER,
	[METRIC_GAUGE] = PROMETHEUS__METRIC_TYPE__GAUGE,
	[METRIC_INFO] = PROMETHEUS__METRIC_TYPE__GAUGE,
	[METRIC_HISTOGRAM] = PROMETHEUS__METRIC_TYPE__HISTOGRAM,
	[METRIC_TIME_HISTOGRAM] = PROMETHEUS__METRIC_TYPE__HISTOGRAM,
	[METRIC_SUMMARY] = PROMETHEUS__METRIC_TYPE__SUMMARY,
};

/* An exemplar's message and what it points to. */
struct exemplar {
	Prometheus__Exemplar message;
	Prometheus__Timestamp time;
	Prometheus__LabelPair labels[METRIC_EXEMPLAR_LABELS];
	Prometheus__LabelPair *label_pointers[METRIC_EXEMPLAR_LABELS];
	char values[METRIC_EXEMPLAR_LABELS][24];
};

/* The messages of one sample and what they point to. */
struct messages {
	Prometheus__Metric metric;
	Prometheus__Gauge gauge;
	Prometheus__Counter counter;
	Prometheus__Summary summary;
	Prometheus__Histogram histogram;
	Prometheus__Timestamp start;
	Prometheus__LabelPair labels[METRIC_LABELS];
	Prometheus__LabelPair *label_pointers[METRIC_LABELS];
	Prometheus__Quantile quantiles[METRIC_POINTS_MAX];
	Prometheus__Quantile *quantile_pointers[METRIC_POINTS_MAX];
	Prometheus__Bucket buckets[METRIC_POINTS_MAX];
	Prometheus__Bucket *bucket_pointers[METRIC_POINTS_MAX];
	struct exemplar exemplars[METRIC_EXEMPLARS_MAX];
	Prometheus__Exemplar *exemplar_pointers[METRIC_EXEMPLARS_MAX];
	Prometheus__BucketSpan spans[METRIC_BUCKETS_MAX];
	Prometheus__BucketSpan *span_pointers[METRIC_BUCKETS_MAX];
	int64_t deltas[METRIC_BUCKETS_MAX];
	double counts[METRIC_BUCKETS_MAX];
};

/* A family on its way. */
struct family {
	uint8_t *data; /* as much of it as there is */
	size_t bytes, room;
	struct messages messages;
};

/* The library's strings are not const; it only reads them. */
static char *
borrowed(const char *text)
{
	return (char *)(uintptr_t)text;
}

static uint64_t
whole(double value)
{
	return value > 0 && value < 18446744073709551616.0 ? (uint64_t)value : 0;
}

static void
set_label(Prometheus__LabelPair *label, const char *name, const char *value)
{
	prometheus__label_pair__init(label);
	label->name = borrowed(name);
	label->value = borrowed(value);
}

static void
set_time(Prometheus__Timestamp *time, double unix_seconds)
{
	prometheus__timestamp__init(time);
	time->seconds = (int64_t)floor(unix_seconds);
	/* A double has no more than microseconds of it. */
	time->nanos = 1000 * (int32_t)((unix_seconds - floor(unix_seconds)) * 1e6);
}

/* Where a sample's start stands; NULL: it is unknown. */
static Prometheus__Timestamp *
start_of(struct messages *m, const struct metric_sample *sample)
{
	if (!(sample->started_seconds > 0))
		return NULL;
	set_time(&m->start, sample->started_seconds);
	return &m->start;
}

static void
set_exemplar(struct exemplar *exemplar, const struct metric_exemplar *from)
{
	Prometheus__Exemplar *message = &exemplar->message;

	prometheus__exemplar__init(message);
	for (unsigned i = 0; i < METRIC_EXEMPLAR_LABELS && from->labels[i].name; i++) {
		snprintf(exemplar->values[i], sizeof(exemplar->values[i]), "%llu",
			(unsigned long long)from->labels[i].value);
		set_label(
			&exemplar->labels[i], from->labels[i].name, exemplar->values[i]);
		exemplar->label_pointers[message->n_label++] = &exemplar->labels[i];
	}
	message->label = exemplar->label_pointers;
	message->value = from->value;
	set_time(&exemplar->time, from->unix_seconds);
	message->timestamp = &exemplar->time;
}

/* Those of the native histogram: oldest first. */
static void
set_exemplars(struct messages *m, const struct metric_sample *sample)
{
	size_t count = sample->exemplar_count;

	for (size_t i = 0; i < count; i++) {
		set_exemplar(&m->exemplars[i], &sample->exemplars[i]);
		m->exemplar_pointers[count - 1 - i] = &m->exemplars[i].message;
	}
	m->histogram.n_exemplars = count;
	m->histogram.exemplars = m->exemplar_pointers;
}

static void
set_classic(struct messages *m, const struct metric_sample *sample)
{
	double low = -INFINITY;

	for (size_t i = 0; i < sample->point_count; i++) {
		const struct metric_point *point = &sample->points[i];
		const struct metric_exemplar *exemplar =
			metrics_exemplar(sample, low, point->bound);
		Prometheus__Bucket *bucket = &m->buckets[i];

		prometheus__bucket__init(bucket);
		bucket->upper_bound = point->bound;
		if (sample->native.whole)
			bucket->cumulative_count = whole(point->value);
		else
			bucket->cumulative_count_float = point->value;
		if (exemplar)
			bucket->exemplar =
				&m->exemplars[exemplar - sample->exemplars].message;
		m->bucket_pointers[i] = bucket;
		low = point->bound;
	}
	m->histogram.n_bucket = sample->point_count;
	m->histogram.bucket = m->bucket_pointers;
}

/* Buckets as runs without a gap. Of the first one the index counts from 0. */
static void
set_spans(struct messages *m, const struct metric_native *native)
{
	Prometheus__BucketSpan *span = NULL;
	size_t count = 0;
	int next = 0;

	for (size_t i = 0; i < native->count; i++) {
		int index = native->buckets[i].index;

		if (!span || index != next) {
			span = &m->spans[count];
			prometheus__bucket_span__init(span);
			span->offset = index - next;
			m->span_pointers[count++] = span;
		}
		span->length++;
		next = index + 1;
	}
	m->histogram.n_positive_span = count;
	m->histogram.positive_span = m->span_pointers;
}

static void
set_native(struct messages *m, const struct metric_native *native)
{
	Prometheus__Histogram *histogram = &m->histogram;
	uint64_t total = whole(native->zero_value);
	int64_t before = 0;

	histogram->schema = native->schema;
	histogram->zero_threshold = native->zero_threshold;
	set_spans(m, native);
	for (size_t i = 0; i < native->count; i++) {
		int64_t value = (int64_t)whole(native->buckets[i].value);

		m->counts[i] = native->buckets[i].value;
		m->deltas[i] = value - before;
		before = value;
		total += (uint64_t)value;
	}
	if (native->whole) {
		/* Prometheus gives up the whole page where they do not add up. */
		histogram->sample_count = total;
		histogram->zero_count = whole(native->zero_value);
		histogram->n_positive_delta = native->count;
		histogram->positive_delta = m->deltas;
	} else {
		histogram->zero_count_float = native->zero_value;
		histogram->n_positive_count = native->count;
		histogram->positive_count = m->counts;
	}
}

static void
set_histogram(struct messages *m, const struct metric_sample *sample)
{
	Prometheus__Histogram *histogram = &m->histogram;

	prometheus__histogram__init(histogram);
	histogram->sample_sum = sample->sum;
	if (sample->native.whole)
		histogram->sample_count = whole(sample->count);
	else
		histogram->sample_count_float = sample->count;
	set_exemplars(m, sample);
	set_classic(m, sample);
	if (sample->native.zero_threshold > 0)
		set_native(m, &sample->native);
	histogram->start_timestamp = start_of(m, sample);
	m->metric.histogram = histogram;
}

static void
set_summary(struct messages *m, const struct metric_sample *sample)
{
	Prometheus__Summary *summary = &m->summary;

	prometheus__summary__init(summary);
	/* Its count is a whole number. */
	summary->sample_count = whole(sample->count);
	summary->sample_sum = sample->sum;
	for (size_t i = 0; i < sample->point_count; i++) {
		prometheus__quantile__init(&m->quantiles[i]);
		m->quantiles[i].quantile = sample->points[i].bound;
		m->quantiles[i].value = sample->points[i].value;
		m->quantile_pointers[i] = &m->quantiles[i];
	}
	summary->n_quantile = sample->point_count;
	summary->quantile = m->quantile_pointers;
	summary->start_timestamp = start_of(m, sample);
	m->metric.summary = summary;
}

static void
set_counter(struct messages *m, const struct metric_sample *sample)
{
	prometheus__counter__init(&m->counter);
	m->counter.value = sample->value;
	m->counter.start_timestamp = start_of(m, sample);
	m->metric.counter = &m->counter;
}

static void
set_metric(struct messages *m, enum metric_type type, const struct metric_sample *sample)
{
	prometheus__metric__init(&m->metric);
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++) {
		set_label(&m->labels[i], sample->labels[i].name, sample->labels[i].value);
		m->label_pointers[m->metric.n_label++] = &m->labels[i];
	}
	m->metric.label = m->label_pointers;
	switch (type) {
	case METRIC_COUNTER:
		set_counter(m, sample);
		break;
	case METRIC_GAUGE:
	case METRIC_INFO:
		prometheus__gauge__init(&m->gauge);
		m->gauge.value = sample->value;
		m->metric.gauge = &m->gauge;
		break;
	case METRIC_HISTOGRAM:
	case METRIC_TIME_HISTOGRAM:
		set_histogram(m, sample);
		break;
	case METRIC_SUMMARY:
		set_summary(m, sample);
		break;
	}
}

static size_t
print_varint(uint64_t value, uint8_t ret_bytes[VARINT_BYTES])
{
	size_t count = 0;

	for (; value >= 0x80; value >>= 7)
		ret_bytes[count++] = (uint8_t)(value | 0x80);
	ret_bytes[count++] = (uint8_t)value;
	return count;
}

/* Where another message may be added to the family, with a head before it; NULL without
 * memory. */
static uint8_t *
make_room(struct family *family)
{
	size_t room = family->room ? family->room : 2 * MESSAGE_BYTES;
	uint8_t *larger;

	while (room - family->bytes < MESSAGE_BYTES)
		room *= 2;
	if (room != family->room) {
		larger = realloc(family->data, room);
		if (!larger)
			return NULL;
		family->data = larger;
		family->room = room;
	}
	return family->data + family->bytes;
}

static int
begin_family(struct family *family, const struct metric_family *from)
{
	Prometheus__MetricFamily message = PROMETHEUS__METRIC_FAMILY__INIT;
	const char *unit = metrics_unit(from);
	uint8_t *to;

	message.name = borrowed(from->name);
	message.help = borrowed(from->help);
	message.type = types[from->type];
	if (unit)
		message.unit = borrowed(unit);
	family->bytes = 0;
	to = make_room(family);
	if (!to)
		return -ENOMEM;
	family->bytes = protobuf_c_message_pack(&message.base, to);
	return 0;
}

/* Its length is known only then: to find it before would take as long once more. */
static int
add_sample(
	struct family *family, enum metric_type type, const struct metric_sample *sample)
{
	struct messages *m = &family->messages;
	uint8_t *to = make_room(family);
	size_t bytes, head;

	if (!to)
		return -ENOMEM;
	set_metric(m, type, sample);
	bytes = protobuf_c_message_pack(&m->metric.base, to + HEAD_BYTES);
	*to = METRIC_TAG;
	head = 1 + print_varint(bytes, to + 1);
	memmove(to + head, to + HEAD_BYTES, bytes);
	family->bytes += head + bytes;
	return 0;
}

static int
write_family(FILE *out, struct family *family, const struct metric_family *from)
{
	uint8_t length[VARINT_BYTES];
	int r = begin_family(family, from);

	for (size_t i = 0; r == 0 && i < from->sample_count; i++)
		r = add_sample(family, from->type, &from->samples[i]);
	if (r < 0)
		return r;
	fwrite_unlocked(length, 1, print_varint(family->bytes, length), out);
	fwrite_unlocked(family->data, 1, family->bytes, out);
	return 0;
}

int
protobuf_write(FILE *out, const struct metrics *metrics)
{
	struct family *family = calloc(1, sizeof(*family));
	int r = family ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < metrics_count(metrics); i++) {
		const struct metric_family *from = metrics_get(metrics, i);

		/* One without any would be a family of nothing, and a mistake to some. */
		if (from->sample_count)
			r = write_family(out, family, from);
	}
	if (family)
		free(family->data);
	free(family);
	return r;
}
