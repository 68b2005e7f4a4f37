/* SPDX-License-Identifier: MIT */
/* From samples to shares; see cause.h. */

#include "config.h"

#include "daemon/cause.h"

#include <string.h>

/* Less than that has been watched: nothing is known. The kernel accounts at its ticks,
 * every 4 or 10 ms. */
#define WATCHED_MIN_NS 8e6
/* A rest that short may be a tick that is not accounted yet. */
#define TICK_NS 10e6

static bool
is_stopped(char state)
{
	return state == 'T' || state == 't';
}

static bool
sleeps(char state)
{
	return state == 'S' || state == 'D' || state == 'I';
}

static double
grown(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) : 0;
}

/* Keep the system call that most samples saw. */
static void
vote(struct cause *cause, const char *system_call)
{
	if (!system_call)
		return;
	if (cause->system_call == system_call) {
		cause->votes++;
	} else if (cause->votes == 0) {
		cause->system_call = system_call;
		cause->votes = 1;
	} else {
		cause->votes--;
	}
}

/* Put the time since the last sample, in which the thread neither ran nor is known to have
 * waited for a CPU, where it belongs. */
static void
add_rest(struct cause *cause, const struct cause_sample *sample, double rest)
{
	const struct cause_sample *last = &cause->last;

	if (is_stopped(sample->state))
		cause->stopped_ns += rest;
	else if (sleeps(sample->state))
		cause->blocked_ns += rest;
	else if (is_stopped(last->state))
		cause->stopped_ns += rest;
	/* It got no CPU since it was able to run: it waits for one, which is not counted
	 * before it has got it, or runs, which is counted at the next tick. */
	else if (sample->slices == last->slices && !sleeps(last->state))
		cause->queued_ns += rest;
	else
		cause->blocked_ns += rest;
}

void
cause_add(struct cause *cause, const struct cause_sample *sample)
{
	const struct cause_sample *last = &cause->last;
	double rest;

	vote(cause, sample->system_call);
	cause->without_times = cause->without_times || !sample->has_times;
	if (!cause->samples++) {
		cause->first = cause->last = *sample;
		return;
	}
	cause->states_differ = cause->states_differ || sample->state != last->state;
	rest = grown(last->now_ns, sample->now_ns);
	if (!cause->without_times)
		rest -= grown(last->cpu_ns, sample->cpu_ns) +
			grown(last->wait_ns, sample->wait_ns);
	if (rest > 0)
		add_rest(cause, sample, rest);
	cause->last = *sample;
}

/* Without times only what all samples agree on is known. */
static void
find_by_state(const struct cause *cause, double watched, double shares[STALL_CAUSES])
{
	char state = cause->states_differ ? 0 : cause->last.state;

	if (is_stopped(state))
		shares[STALL_STOPPED] = watched;
	else if (sleeps(state))
		shares[STALL_BLOCKED] = watched;
	else
		shares[STALL_UNKNOWN] = watched;
}

static void
find_by_times(const struct cause *cause, double watched, double shares[STALL_CAUSES])
{
	double cpu = grown(cause->first.cpu_ns, cause->last.cpu_ns);
	double delay = grown(cause->first.wait_ns, cause->last.wait_ns);
	double rest = watched - cpu - delay, queued = cause->queued_ns, known;

	/* What was queued may have been accounted meanwhile; of the other states the
	 * proportions hold. */
	if (queued > rest - cause->blocked_ns - cause->stopped_ns)
		queued = rest - cause->blocked_ns - cause->stopped_ns;
	if (queued < 0)
		queued = 0;
	known = cause->blocked_ns + cause->stopped_ns;
	if (rest - queued > 0 && known > 0) {
		shares[STALL_BLOCKED] = (rest - queued) * cause->blocked_ns / known;
		shares[STALL_STOPPED] = (rest - queued) * cause->stopped_ns / known;
	}
	shares[STALL_CPU] = cpu;
	shares[STALL_STARVED] = delay;
	if (queued > TICK_NS)
		shares[STALL_STARVED] += queued;
	else
		shares[STALL_CPU] += queued;
}

/* Of what looks blocked, some was in the waits of others. */
static void
find_nested(double shares[STALL_CAUSES], double nested)
{
	if (nested > shares[STALL_BLOCKED])
		nested = shares[STALL_BLOCKED];
	shares[STALL_NESTED_WAIT] = nested;
	shares[STALL_BLOCKED] -= nested;
}

/* Make the shares sum up to 1, and find the largest. */
static void
finish(struct stalls_cause *cause)
{
	double sum = 0;

	for (int i = 0; i < STALL_CAUSES; i++)
		sum += cause->shares[i];
	cause->cause = STALL_UNKNOWN;
	for (int i = 0; i < STALL_CAUSES; i++) {
		cause->shares[i] = sum > 0 ? cause->shares[i] / sum : 0;
		if (cause->shares[i] > cause->shares[cause->cause])
			cause->cause = (enum stall_cause)i;
	}
}

void
cause_find(const struct cause *cause, uint64_t length_ns, uint64_t nested_ns,
	struct stalls_cause *ret_cause)
{
	double watched = grown(cause->first.now_ns, cause->last.now_ns);
	double nested = grown(cause->first.nested_ns, cause->last.nested_ns);

	memset(ret_cause, 0, sizeof(*ret_cause));
	if (cause->samples >= 2 && watched >= WATCHED_MIN_NS) {
		if (cause->without_times)
			find_by_state(cause, watched, ret_cause->shares);
		else
			find_by_times(cause, watched, ret_cause->shares);
		/* Waits that had not ended at the last sample count from their end on. */
		if (nested < (double)nested_ns - (double)length_ns + watched)
			nested = (double)nested_ns - (double)length_ns + watched;
		find_nested(ret_cause->shares, nested);
		ret_cause->system_call = cause->system_call;
	} else if (length_ns && nested_ns > length_ns / 2) {
		/* It was over before it was watched, but the probe has measured that. */
		ret_cause->shares[STALL_NESTED_WAIT] = (double)nested_ns;
		ret_cause->shares[STALL_UNKNOWN] = grown(nested_ns, length_ns);
	}
	finish(ret_cause);
	if (ret_cause->cause != STALL_BLOCKED)
		ret_cause->system_call = NULL;
}

void
cause_waits_gil(struct stalls_cause *cause)
{
	cause->shares[STALL_GIL] += cause->shares[STALL_BLOCKED];
	cause->shares[STALL_BLOCKED] = 0;
	cause->system_call = NULL;
	finish(cause);
	/* Nothing else is known. */
	if (cause->shares[cause->cause] == 0) {
		cause->shares[STALL_GIL] = 1;
		cause->cause = STALL_GIL;
	}
}
