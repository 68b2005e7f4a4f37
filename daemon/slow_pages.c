/* SPDX-License-Identifier: MIT */
/* Pages that are made in steps; see slow_pages.h. */

#include "config.h"

#include "daemon/slow_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/alerting.h"
#include "daemon/api.h"
#include "daemon/api_histograms.h"
#include "daemon/api_stalls.h"
#include "daemon/collector.h"
#include "daemon/configuration.h"
#include "daemon/exporter.h"
#include "daemon/groups.h"
#include "daemon/metrics.h"
#include "daemon/openmetrics.h"
#include "daemon/process.h"
#include "daemon/processes.h"
#include "daemon/prom_client.h"
#include "daemon/protobuf.h"
#include "daemon/reload.h"
#include "daemon/text.h"

_Static_assert(CONFIGURATION_BUCKETS_MAX == EXPORTER_BOUNDS_MAX, "the same bounds");

struct slow_page {
	struct http_work work; /* first: it is this one */
	const struct slow_pages_sources *sources;
	/* NULL: it is about stalls, for which nothing need be told to groups. */
	int (*tell)(struct slow_page *page, size_t group, FILE *out);
	int (*finish)(struct slow_page *page, FILE *out);
	size_t group; /* to be told of next */
	bool begun, read, saved;
	struct metrics *metrics; /* or NULL */
	size_t prom_client;      /* the index of its first family, if it is wanted */
	struct exporter_options options;
	enum accept_format format;
	struct api_histograms *histograms; /* or NULL */
	struct api_stalls *stalls;         /* or NULL */
};

/* Read some more, tell of the next group, or of what comes after them all. */
static int
step(struct http_work *work, FILE *out)
{
	struct slow_page *page = (struct slow_page *)work;
	struct collector *collector = page->sources->collector;

	if (!page->begun) {
		page->begun = true;
		/* Names are borrowed, and places in the list counted. */
		collector_hold(collector);
		collector_read_begin(collector);
	}
	if (!page->read) {
		page->read = page->tell ? !collector_read_more(collector)
					: !collector_look_more(collector);
		return 1;
	}
	if (page->tell && page->group < groups_count(collector_groups(collector))) {
		int r;

		collector_tell_group(collector, page->group);
		r = page->tell(page, page->group++, out);
		return r < 0 ? r : 1;
	}
	/* What is told is kept before; most of it a part at a time. */
	if (!page->saved) {
		page->saved = !collector_save_more(collector);
		return 1;
	}
	return page->finish(page, out);
}

static void
free_page(struct http_work *work)
{
	struct slow_page *page = (struct slow_page *)work;

	metrics_free(page->metrics);
	api_histograms_free(page->histograms);
	api_stalls_free(page->stalls);
	if (page->begun)
		collector_release(page->sources->collector);
	free(page);
}

static struct slow_page *
new_page(const struct slow_pages_sources *sources)
{
	struct slow_page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->work.step = step;
	page->work.free = free_page;
	page->sources = sources;
	return page;
}

static int
tell_metrics(struct slow_page *page, size_t group, FILE *out)
{
	const struct groups *groups = collector_groups(page->sources->collector);

	exporter_add_group(page->metrics, groups, group, &page->options);
	if (page->sources->prom_client)
		prom_client_add_group(page->metrics, page->prom_client, groups, group);
	return 0;
}

/* Collect the rest. */
static int
finish_metrics(struct slow_page *page, FILE *out)
{
	const struct slow_pages_sources *sources = page->sources;
	struct collector_stats stats = collector_stats(sources->collector);
	struct process_stats process = process_read();

	exporter_finish(
		page->metrics, collector_groups(sources->collector), &stats, &process);
	processes_collect(collector_processes(sources->collector), page->metrics,
		sources->booted_seconds);
	alerting_collect(sources->alerting, page->metrics);
	reload_collect(sources->reload, page->metrics);
	http_collect(sources->http, page->metrics);
	collector_save(sources->collector);
	return metrics_failed(page->metrics) ? -ENOMEM : 0;
}

/* Write what was collected, in another thread. */
static int
write_metrics(struct http_work *work, FILE *out)
{
	struct slow_page *page = (struct slow_page *)work;
	int r = 0;

	switch (page->format) {
	case ACCEPT_TEXT:
		text_write(out, page->metrics);
		break;
	case ACCEPT_OPENMETRICS:
		openmetrics_write(out, page->metrics);
		break;
	case ACCEPT_PROTOBUF:
		r = protobuf_write(out, page->metrics);
		break;
	}
	metrics_free(page->metrics);
	page->metrics = NULL;
	return r;
}

/* As it is configured now: the page stays the same when that changes meanwhile. */
static struct exporter_options
find_options(const struct slow_pages_sources *sources, enum accept_format format)
{
	const struct configuration *config = reload_configuration(sources->reload);
	struct exporter_options options = {
		.delay_bound_count = config->delay_bucket_count,
		.booted_seconds = sources->booted_seconds,
	};

	memcpy(options.delay_bounds, config->delay_buckets, sizeof(options.delay_bounds));
	/* The others have no place for them. */
	if (format == ACCEPT_PROTOBUF)
		options.native_buckets = config->native_buckets;
	return options;
}

struct http_work *
slow_pages_metrics(const struct slow_pages_sources *sources, enum accept_format format)
{
	struct slow_page *page = new_page(sources);

	if (!page)
		return NULL;
	page->work.write = write_metrics;
	page->tell = tell_metrics;
	page->finish = finish_metrics;
	page->format = format;
	page->options = find_options(sources, format);
	page->metrics = exporter_begin();
	if (page->metrics && sources->prom_client)
		page->prom_client = prom_client_begin(page->metrics);
	if (page->metrics)
		return &page->work;
	free_page(&page->work);
	return NULL;
}

static int
tell_group(struct slow_page *page, size_t group, FILE *out)
{
	const struct slow_pages_sources *sources = page->sources;
	char *text = api_group(collector_groups(sources->collector), group,
		alerting_alerts(sources->alerting), API_WINDOW);

	if (!text)
		return -ENOMEM;
	fprintf(out, group ? ",%s" : "{\"groups\":[%s", text);
	free(text);
	return 0;
}

static int
finish_groups(struct slow_page *page, FILE *out)
{
	fputs(page->group ? "]}\n" : "{\"groups\":[]}\n", out);
	collector_save(page->sources->collector);
	return 0;
}

struct http_work *
slow_pages_groups(const struct slow_pages_sources *sources)
{
	struct slow_page *page = new_page(sources);

	if (!page)
		return NULL;
	page->tell = tell_group;
	page->finish = finish_groups;
	return &page->work;
}

static int
tell_histograms(struct slow_page *page, size_t group, FILE *out)
{
	return api_histograms_write(
		page->histograms, collector_groups(page->sources->collector), group, out);
}

static int
finish_histograms(struct slow_page *page, FILE *out)
{
	collector_save(page->sources->collector);
	return api_histograms_finish(page->histograms, out);
}

struct http_work *
slow_pages_histograms(
	const struct slow_pages_sources *sources, struct api_histograms *asked)
{
	struct slow_page *page = new_page(sources);

	if (!page)
		return NULL;
	page->tell = tell_histograms;
	page->finish = finish_histograms;
	page->histograms = asked;
	return &page->work;
}

static int
finish_stalls(struct slow_page *page, FILE *out)
{
	return api_stalls_write(page->stalls, out);
}

struct http_work *
slow_pages_stalls(const struct slow_pages_sources *sources, struct api_stalls *asked)
{
	struct slow_page *page = new_page(sources);

	if (!page)
		return NULL;
	page->finish = finish_stalls;
	page->stalls = asked;
	return &page->work;
}
