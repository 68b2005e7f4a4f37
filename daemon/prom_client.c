/* SPDX-License-Identifier: MIT */
/* The delay in the words of prom-client; see prom_client.h. */

#include "config.h"

#include "daemon/prom_client.h"

#include <math.h>
#include <string.h>

#include "daemon/groups.h"
#include "daemon/metrics.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* In this order the values are computed. */
enum { NOW, MIN, MAX, MEAN, DEVIATION, P50, P90, P99, VALUES };

static const struct {
	const char *name;
	const char *help;
} families[VALUES] = {
	[NOW] = {"nodejs_eventloop_lag_seconds", "Lag of event loop in seconds."},
	[MIN] = {"nodejs_eventloop_lag_min_seconds",
		"The minimum recorded event loop delay."},
	[MAX] = {"nodejs_eventloop_lag_max_seconds",
		"The maximum recorded event loop delay."},
	[MEAN] = {"nodejs_eventloop_lag_mean_seconds",
		"The mean of the recorded event loop delays."},
	[DEVIATION] = {"nodejs_eventloop_lag_stddev_seconds",
		"The standard deviation of the recorded event loop delays."},
	[P50] = {"nodejs_eventloop_lag_p50_seconds",
		"The 50th percentile of the recorded event loop delays."},
	[P90] = {"nodejs_eventloop_lag_p90_seconds",
		"The 90th percentile of the recorded event loop delays."},
	[P99] = {"nodejs_eventloop_lag_p99_seconds",
		"The 99th percentile of the recorded event loop delays."},
};

size_t
prom_client_begin(struct metrics *metrics)
{
	size_t first = metrics_count(metrics);

	for (size_t i = 0; i < VALUES; i++)
		metrics_family(metrics, METRIC_GAUGE, families[i].name, families[i].help);
	return first;
}

/* The integral of the squared delay, in cubic seconds: in an iteration of length d the delay
 * falls from d to 0. */
static double
cubes(const struct series_view *view)
{
	const struct histogram *h = &view->window->iteration;
	double longest = (double)view->window->max_ns / 1e9, sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		double length = fmin(histogram_upper_seconds(i), longest);

		sum += (double)h->counts[i] * length * length * length / 3;
	}
	for (size_t i = 0; i < view->open_count; i++)
		sum += pow((double)view->open_ns[i] / 1e9, 3) / 3;
	return sum;
}

static void
compute(const struct series_view *view, double ret_values[VALUES])
{
	static const double quantiles[] = {0, 0.5, 0.9, 0.99, 1};
	static const int places[] = {MIN, P50, P90, P99, MAX};
	double life = (double)view->window->life_ns / 1e9;
	double delays[COUNT(quantiles)], mean;

	series_delay_quantiles(view, view->window, quantiles, COUNT(quantiles), delays);
	for (size_t i = 0; i < COUNT(quantiles); i++)
		ret_values[places[i]] = delays[i];
	mean = series_half_squares(view, view->window) / life;
	ret_values[NOW] = ret_values[MEAN] = mean;
	ret_values[DEVIATION] = sqrt(fmax(0, cubes(view) / life - mean * mean));
}

void
prom_client_add_group(
	struct metrics *metrics, size_t first, const struct groups *groups, size_t index)
{
	struct group_view group = groups_view(groups, index);
	double values[VALUES];

	if (!group.runtime || strcmp(group.runtime, "node") != 0)
		return;
	for (size_t i = 0; i < group.series_count; i++) {
		struct series_view view = groups_series_view(groups, index, i);

		if (strcmp(view.loop, "main") != 0 || !view.window->life_ns)
			continue;
		compute(&view, values);
		for (size_t j = 0; j < VALUES; j++)
			metrics_add_to(metrics, first + j,
				&(struct metric_sample){
					.labels = {{"groupname", group.groupname}},
					.value = values[j],
				});
	}
}
