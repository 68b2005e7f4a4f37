/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics that are made up, in each of the formats, and what they are as JSON:
 *
 *	formats DIRECTORY SEED		writes text, openmetrics, protobuf, model
 *
 * The same seed gives the same metrics, which are of every kind and as odd as they may be;
 * seed 0 gives a few simple ones. Numbers in the JSON are as %a has them.
 */

#include "config.h"

#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/metrics.h"
#include "daemon/openmetrics.h"
#include "daemon/protobuf.h"
#include "daemon/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static unsigned short dice[3];

static unsigned
roll(unsigned sides)
{
	return (unsigned)(nrand48(dice) % sides);
}

/* A number that is not negative, of some size. */
static double
some_number(void)
{
	switch (roll(6)) {
	case 0:
		return 0;
	case 1:
		return roll(1000);
	case 2: /* nanoseconds */
		return (double)((uint64_t)nrand48(dice) << roll(16)) / 1e9;
	case 3:
		return erand48(dice) * 1e6;
	case 4:
		return ldexp(erand48(dice), (int)roll(2000) - 1000);
	default:
		return nrand48(dice) / 1000.0;
	}
}

static const char *
some_text(void)
{
	static const char *const texts[] = {"", "main", "a b", "a\"b", "a\\b", "a\nb",
		"\\n", "{a=\"b\"} 1 # {}", "w\303\266rker", "\342\202\254",
		"web@1.service", ","};

	return texts[roll(COUNT(texts))];
}

static struct metric_sample
some_labels(size_t number)
{
	static char numbers[64][24];
	struct metric_sample sample = {0};
	unsigned count = 0;

	if (roll(2))
		sample.labels[count++] = (struct metric_label){"groupname", some_text()};
	if (roll(2))
		sample.labels[count++] = (struct metric_label){"loop", some_text()};
	/* No two samples are of one series. */
	snprintf(numbers[number], sizeof(numbers[number]), "%zu", number);
	sample.labels[count] = (struct metric_label){"number", numbers[number]};
	if (roll(2))
		sample.started_seconds = 1e9 + roll(1000000) / 8.0;
	return sample;
}

static void
add_plain(struct metrics *metrics, struct metric_sample *sample, enum metric_type type)
{
	sample->value = type == METRIC_INFO ? 1 : some_number();
	if (type == METRIC_GAUGE && roll(3) == 0)
		sample->value = roll(2) ? -sample->value : roll(2) ? NAN : INFINITY;
	metrics_add(metrics, sample);
}

static void
add_summary(struct metrics *metrics, struct metric_sample *sample)
{
	static const double quantiles[] = {0, 0.5, 0.9, 0.99, 0.999, 1};
	struct metric_point points[COUNT(quantiles)];

	for (size_t i = 0; i < COUNT(quantiles); i++)
		points[i] = (struct metric_point){
			quantiles[i], roll(9) ? some_number() : NAN};
	sample->points = points;
	sample->point_count = roll(COUNT(quantiles) + 1);
	sample->count = roll(100000) / 8.0;
	sample->sum = some_number();
	metrics_add(metrics, sample);
}

static void
make_native(struct metric_native *native, struct metric_bucket *buckets, bool whole)
{
	int index = -(int)roll(1000);

	*native = (struct metric_native){.schema = (int)roll(13) - 4,
		.whole = whole,
		.zero_threshold = ldexp(1, -20),
		.zero_value = whole ? roll(1000) : some_number(),
		.buckets = buckets,
		.count = roll(160)};
	for (size_t i = 0; i < native->count; i++) {
		index += roll(3) ? 1 : 1 + (int)roll(20);
		buckets[i].index = index;
		buckets[i].value = whole ? roll(1u << roll(31)) : 1 + some_number();
	}
}

static void
add_histogram(struct metrics *metrics, struct metric_sample *sample, bool whole)
{
	struct metric_bucket buckets[160];
	struct metric_point points[METRIC_POINTS_MAX];
	struct metric_exemplar exemplars[METRIC_EXEMPLARS_MAX];
	size_t count = roll(20);
	double bound = 0;

	make_native(&sample->native, buckets, whole);
	sample->count = 0;
	for (size_t i = 0; i <= count; i++) {
		bound += (1 + roll(1000)) / (roll(2) ? 1000.0 : 64);
		sample->count += whole ? roll(1000) : some_number();
		points[i] = (struct metric_point){
			i < count ? bound : INFINITY, sample->count};
	}
	if (whole) {
		/* They are counts of the same things. */
		sample->count = sample->native.zero_value;
		for (size_t i = 0; i < sample->native.count; i++)
			sample->count += buckets[i].value;
		for (size_t i = 0; i <= count; i++)
			if (points[i].value > sample->count || i == count)
				points[i].value = sample->count;
	}
	sample->points = points;
	sample->point_count = count + 1;
	sample->sum = some_number();
	sample->exemplars = exemplars;
	sample->exemplar_count = roll(METRIC_EXEMPLARS_MAX + 1);
	for (size_t i = 0; i < sample->exemplar_count; i++)
		exemplars[i] = (struct metric_exemplar){
			.labels = {{"stall_id", (uint64_t)nrand48(dice) << roll(33)},
				{roll(4) ? "pid" : NULL, roll(1u << 22)}},
			.value = roll(4) ? erand48(dice) * bound : points[0].bound,
			.unix_seconds = 2e9 - (double)i - 0.125,
		};
	metrics_add(metrics, sample);
}

static struct metrics *
made_up(unsigned seed)
{
	static const struct {
		enum metric_type type;
		const char *name, *help;
	} families[] = {
		{METRIC_COUNTER, "a_total", "Some \"words\", a \\ and\na line."},
		{METRIC_GAUGE, "b_bytes", "Bytes."},
		{METRIC_INFO, "c_info", "About it."},
		{METRIC_HISTOGRAM, "d_seconds", "Whole numbers."},
		{METRIC_SUMMARY, "e_seconds", "Quantiles."},
		{METRIC_TIME_HISTOGRAM, "f_seconds", "Real numbers."},
		{METRIC_COUNTER, "g_seconds_total", "Without a sample."},
		{METRIC_COUNTER, "h_seconds_total", "Seconds."},
	};
	struct metrics *metrics = metrics_new();

	memcpy(dice, (unsigned short[]){(unsigned short)seed, 7, 11}, sizeof(dice));
	for (size_t i = 0; i < COUNT(families); i++) {
		unsigned count = i == 6 ? 0 : roll(40);

		metrics_family(
			metrics, families[i].type, families[i].name, families[i].help);
		for (unsigned j = 0; j < count; j++) {
			struct metric_sample sample = some_labels(j);

			if (families[i].type == METRIC_HISTOGRAM ||
				families[i].type == METRIC_TIME_HISTOGRAM)
				add_histogram(metrics, &sample,
					families[i].type == METRIC_HISTOGRAM);
			else if (families[i].type == METRIC_SUMMARY)
				add_summary(metrics, &sample);
			else
				add_plain(metrics, &sample, families[i].type);
		}
	}
	return metrics;
}

/* What looplagd has, without anything odd. */
static struct metrics *
simple(void)
{
	static const struct metric_point delay[] = {
		{0.001, 58.5}, {0.1, 59.25}, {1, 59.875}, {INFINITY, 60}};
	static const struct metric_point iteration[] = {
		{0.001, 1000}, {0.1, 1003}, {1, 1005}, {INFINITY, 1005}};
	static const struct metric_point window[] = {{0.5, 0}, {0.99, 0.098}, {1, NAN}};
	static const struct metric_bucket seconds[] = {
		{-12, 0.5}, {-11, 0.25}, {-1, 0.125}};
	static const struct metric_bucket counts[] = {{-320, 990}, {-319, 10}, {-32, 4}};
	static const struct metric_exemplar exemplars[] = {
		{{{"stall_id", 8}, {"pid", 4711}}, 0.512, 1700000060.25},
		{{{"stall_id", 7}}, 0.25, 1700000000.5},
		{{{"stall_id", 3}, {"pid", 4711}}, 0.1, 1700000000},
	};
	const struct metric_sample loop = {
		.labels = {{"groupname", "web"}, {"loop", "main"}},
		.started_seconds = 1700000000.125};
	struct metrics *metrics = metrics_new();
	struct metric_sample sample = loop;

	metrics_family(
		metrics, METRIC_TIME_HISTOGRAM, "looplag_delay_seconds", "The delay.");
	sample.points = delay;
	sample.point_count = COUNT(delay);
	sample.exemplars = exemplars;
	sample.exemplar_count = COUNT(exemplars);
	sample.native = (struct metric_native){
		2, false, ldexp(1, -20), 59.125, seconds, COUNT(seconds)};
	sample.count = 60;
	sample.sum = 0.75;
	metrics_add(metrics, &sample);
	metrics_family(
		metrics, METRIC_HISTOGRAM, "looplag_iteration_seconds", "Lengths.");
	sample.points = iteration;
	sample.native =
		(struct metric_native){5, true, ldexp(1, -20), 1, counts, COUNT(counts)};
	sample.count = 1005;
	metrics_add(metrics, &sample);
	metrics_family(
		metrics, METRIC_SUMMARY, "looplag_delay_window_seconds", "Lately.");
	sample = loop;
	sample.points = window;
	sample.point_count = COUNT(window);
	sample.count = 60;
	sample.sum = 0.75;
	metrics_add(metrics, &sample);
	metrics_family(metrics, METRIC_COUNTER, "looplag_stall_seconds_total", "Stalls.");
	sample = loop;
	sample.labels[2] = (struct metric_label){"cause", "cpu"};
	sample.value = 0.862;
	metrics_add(metrics, &sample);
	metrics_family(metrics, METRIC_GAUGE, "looplag_stalled_loops", "Now.");
	metrics_add(metrics, &loop);
	metrics_family(metrics, METRIC_INFO, "looplag_build_info", "Version.");
	metrics_add(metrics,
		&(struct metric_sample){.labels = {{"version", "1.0"}}, .value = 1});
	return metrics;
}

/* --- the model as JSON --- */

static json_t *
number(double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%a", value);
	return json_string(text);
}

static json_t *
native_json(const struct metric_native *native)
{
	json_t *buckets = json_object();
	char index[16];

	for (size_t i = 0; i < native->count; i++) {
		snprintf(index, sizeof(index), "%d", native->buckets[i].index);
		json_object_set_new(buckets, index, number(native->buckets[i].value));
	}
	return json_pack("{s:i,s:b,s:o,s:o,s:o}", "schema", native->schema, "whole",
		native->whole, "threshold", number(native->zero_threshold), "zero",
		number(native->zero_value), "buckets", buckets);
}

static json_t *
sample_json(const struct metric_sample *sample)
{
	json_t *labels = json_object(), *points = json_array(), *exemplars = json_array();

	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++)
		json_object_set_new(labels, sample->labels[i].name,
			json_string(sample->labels[i].value));
	for (size_t i = 0; i < sample->point_count; i++)
		json_array_append_new(
			points, json_pack("[o,o]", number(sample->points[i].bound),
					number(sample->points[i].value)));
	for (size_t i = 0; i < sample->exemplar_count; i++) {
		const struct metric_exemplar *exemplar = &sample->exemplars[i];
		json_t *names = json_object();
		char value[24];

		for (unsigned j = 0;
			j < METRIC_EXEMPLAR_LABELS && exemplar->labels[j].name; j++) {
			snprintf(value, sizeof(value), "%" PRIu64,
				exemplar->labels[j].value);
			json_object_set_new(
				names, exemplar->labels[j].name, json_string(value));
		}
		json_array_append_new(
			exemplars, json_pack("{s:o,s:o,s:o}", "labels", names, "value",
					   number(exemplar->value), "time",
					   number(exemplar->unix_seconds)));
	}
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "labels", labels, "value",
		number(sample->value), "count", number(sample->count), "sum",
		number(sample->sum), "points", points, "exemplars", exemplars, "native",
		native_json(&sample->native), "started", number(sample->started_seconds));
}

static json_t *
model_json(const struct metrics *metrics)
{
	static const char *const types[] = {
		"counter", "gauge", "info", "histogram", "time histogram", "summary"};
	json_t *families = json_array();

	for (size_t i = 0; i < metrics_count(metrics); i++) {
		const struct metric_family *family = metrics_get(metrics, i);
		json_t *samples = json_array();

		for (size_t j = 0; j < family->sample_count; j++)
			json_array_append_new(samples, sample_json(&family->samples[j]));
		json_array_append_new(
			families, json_pack("{s:s,s:s,s:s,s:o}", "name", family->name,
					  "help", family->help, "type",
					  types[family->type], "samples", samples));
	}
	return families;
}

/* --- the files --- */

static FILE *
create(const char *directory, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		error(1, errno, "%s", path);
	return file;
}

static void
finish(FILE *file)
{
	if (fclose(file))
		error(1, errno, "cannot write");
}

int
main(int argc, char **argv)
{
	struct metrics *metrics;
	json_t *model;
	FILE *file;

	if (argc != 3)
		error(2, 0, "usage: formats DIRECTORY SEED");
	metrics = atoi(argv[2]) ? made_up((unsigned)atoi(argv[2])) : simple();
	file = create(argv[1], "text");
	text_write(file, metrics);
	finish(file);
	file = create(argv[1], "openmetrics");
	openmetrics_write(file, metrics);
	finish(file);
	file = create(argv[1], "protobuf");
	if (protobuf_write(file, metrics))
		error(1, ENOMEM, "protobuf");
	finish(file);
	file = create(argv[1], "model");
	model = model_json(metrics);
	json_dumpf(model, file, JSON_ENSURE_ASCII);
	json_decref(model);
	finish(file);
	metrics_free(metrics);
	return 0;
}
