/* SPDX-License-Identifier: MIT */
/* Adding up what loops did. */

#include "config.h"

#include "daemon/counters.h"

void
counters_add(struct counters *sum, const struct counters *delta)
{
	/* Most readings of a loop at rest bring nothing. */
	if (delta->iterations)
		histogram_add(&sum->iteration, &delta->iteration);
	band_histogram_add(&sum->wakeup, &delta->wakeup);
	sum->iterations = saturated_sum(sum->iterations, delta->iterations);
	sum->life_ns = saturated_sum(sum->life_ns, delta->life_ns);
	sum->active_ns = saturated_sum(sum->active_ns, delta->active_ns);
	sum->nested_wait_ns = saturated_sum(sum->nested_wait_ns, delta->nested_wait_ns);
	sum->events = saturated_sum(sum->events, delta->events);
	sum->waits = saturated_sum(sum->waits, delta->waits);
	if (delta->max_ns > sum->max_ns)
		sum->max_ns = delta->max_ns;
}

void
counters_subtract(struct counters *sum, const struct counters *part)
{
	histogram_subtract(&sum->iteration, &part->iteration);
	band_histogram_subtract(&sum->wakeup, &part->wakeup);
	sum->iterations = difference(sum->iterations, part->iterations);
	sum->life_ns = difference(sum->life_ns, part->life_ns);
	sum->active_ns = difference(sum->active_ns, part->active_ns);
	sum->nested_wait_ns = difference(sum->nested_wait_ns, part->nested_wait_ns);
	sum->events = difference(sum->events, part->events);
	sum->waits = difference(sum->waits, part->waits);
}

int
counters_active(const struct counters *counters)
{
	return counters->iterations || counters->waits || counters->events ||
	       counters->active_ns || counters->nested_wait_ns ||
	       band_histogram_total(&counters->wakeup);
}

void
counters_record(struct counters *counters, uint64_t length_ns)
{
	histogram_record(&counters->iteration, length_ns);
	counters->iterations++;
	counters->active_ns = saturated_sum(counters->active_ns, length_ns);
	if (length_ns > counters->max_ns)
		counters->max_ns = length_ns;
}
