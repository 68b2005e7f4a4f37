/* SPDX-License-Identifier: MIT */
/* See history.h. */

#include "config.h"

#include "cli/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One loop. */
struct track {
	char *groupname;
	char *loop;
	double total[HISTOGRAMS_ROWS_MAX]; /* as it was read last */
	/* What came in each reading, by the number of the reading; not all are known. */
	float seconds[HISTORY_READINGS][HISTOGRAMS_ROWS_MAX];
	bool known[HISTORY_READINGS];
	unsigned long seen; /* the number of the last reading with it */
};

struct history {
	struct histograms shape; /* rows and bounds of the last reading */
	struct track **tracks;
	size_t count;
	unsigned long readings;
};

struct history *
history_new(void)
{
	return calloc(1, sizeof(struct history));
}

static void
free_track(struct track *track)
{
	free(track->groupname);
	free(track->loop);
	free(track);
}

static void
clear(struct history *history)
{
	for (size_t i = 0; i < history->count; i++)
		free_track(history->tracks[i]);
	free(history->tracks);
	history->tracks = NULL;
	history->count = 0;
}

void
history_free(struct history *history)
{
	if (!history)
		return;
	clear(history);
	free(history);
}

static bool
is_of(const struct track *track, const char *groupname, const char *loop)
{
	return !strcmp(track->loop, loop) && !strcmp(track->groupname, groupname);
}

/* The loop's track, or NULL; readings mostly have them in the same order. */
static struct track *
find(const struct history *history, size_t hint, const char *groupname, const char *loop)
{
	if (hint < history->count && is_of(history->tracks[hint], groupname, loop))
		return history->tracks[hint];
	for (size_t i = 0; i < history->count; i++)
		if (is_of(history->tracks[i], groupname, loop))
			return history->tracks[i];
	return NULL;
}

static struct track *
add_track(struct history *history, const struct histograms_loop *loop)
{
	struct track **tracks = reallocarray(
		history->tracks, history->count + 1, sizeof(*history->tracks));
	struct track *track;

	if (!tracks)
		return NULL;
	history->tracks = tracks;
	track = calloc(1, sizeof(*track));
	if (!track)
		return NULL;
	track->groupname = strdup(loop->groupname);
	track->loop = strdup(loop->loop);
	if (!track->groupname || !track->loop) {
		free_track(track);
		return NULL;
	}
	tracks[history->count++] = track;
	return track;
}

/* Enter what has come since the last reading; of one with less than it had, all. */
static void
enter(struct history *history, struct track *track, const struct histograms_loop *loop,
	bool is_new)
{
	size_t slot = history->readings % HISTORY_READINGS;
	bool anew = false;

	for (size_t i = 0; i < history->shape.rows; i++)
		anew |= loop->seconds[i] < track->total[i];
	/* What there was before the first reading of all is no second's. */
	if (!is_new || history->readings) {
		track->known[slot] = true;
		for (size_t i = 0; i < history->shape.rows; i++)
			track->seconds[slot][i] =
				(float)(loop->seconds[i] - (anew ? 0 : track->total[i]));
	}
	memcpy(track->total, loop->seconds, sizeof(track->total));
	track->seen = history->readings;
}

static void
forget_old(struct history *history)
{
	size_t left = 0;

	for (size_t i = 0; i < history->count; i++) {
		struct track *track = history->tracks[i];

		if (history->readings - track->seen < HISTORY_READINGS)
			history->tracks[left++] = track;
		else
			free_track(track);
	}
	history->count = left;
}

void
history_add(struct history *history, const struct histograms *reading)
{
	/* Another daemon has other rows: nothing can be compared. */
	if (history->readings && history->shape.rows != reading->rows) {
		clear(history);
		history->readings = 0;
	}
	history->shape.rows = reading->rows;
	memcpy(history->shape.bounds, reading->bounds, sizeof(reading->bounds));
	for (size_t i = 0; i < history->count; i++)
		history->tracks[i]->known[history->readings % HISTORY_READINGS] = false;
	for (size_t i = 0; i < reading->count; i++) {
		const struct histograms_loop *loop = &reading->loops[i];
		struct track *track = find(history, i, loop->groupname, loop->loop);
		bool is_new = !track;

		if (is_new)
			track = add_track(history, loop);
		if (track)
			enter(history, track, loop, is_new);
	}
	forget_old(history);
	history->readings++;
}

/* The least that the longest delay in a slot can have been. */
static double
longest(const struct history *history, const struct track *track, size_t slot)
{
	if (!track->known[slot])
		return -1;
	for (size_t row = history->shape.rows; row-- > 1;)
		if (track->seconds[slot][row] > 0)
			return history->shape.bounds[row - 1];
	return track->seconds[slot][0] > 0 ? 0 : -1;
}

void
history_longest(const struct history *history, const char *groupname, const char *loop,
	size_t cells, double *ret_seconds)
{
	const struct track *track = find(history, 0, groupname, loop);

	for (size_t i = 0; i < cells; i++)
		ret_seconds[i] = -1;
	for (size_t i = 0; track && i < HISTORY_READINGS; i++) {
		size_t slot = (history->readings + i) % HISTORY_READINGS;
		size_t cell = i * cells / HISTORY_READINGS;
		double seconds = longest(history, track, slot);

		if (seconds > ret_seconds[cell])
			ret_seconds[cell] = seconds;
	}
}

int
history_sum(
	const struct history *history, const char *groupname, struct histograms *ret_sum)
{
	struct histograms sum = history->shape;

	sum.loops = calloc(history->count + 1, sizeof(*sum.loops));
	if (!sum.loops)
		return -ENOMEM;
	for (size_t i = 0; i < history->count; i++) {
		const struct track *track = history->tracks[i];
		struct histograms_loop *loop = &sum.loops[sum.count];

		if (strcmp(track->groupname, groupname) != 0)
			continue;
		loop->groupname = track->groupname;
		loop->loop = track->loop;
		for (size_t slot = 0; slot < HISTORY_READINGS; slot++)
			for (size_t row = 0; track->known[slot] && row < sum.rows; row++)
				loop->seconds[row] += (double)track->seconds[slot][row];
		sum.count++;
	}
	*ret_sum = sum;
	return 0;
}
