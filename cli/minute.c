/* SPDX-License-Identifier: MIT */
/* See minute.h. */

#include "config.h"

#include "cli/minute.h"

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
	float seconds[MINUTE_READINGS][HISTOGRAMS_ROWS_MAX];
	bool known[MINUTE_READINGS];
	unsigned long seen; /* the number of the last reading with it */
};

struct minute {
	struct histograms shape; /* rows and bounds of the last reading */
	struct track **tracks;
	size_t count;
	unsigned long readings;
};

struct minute *
minute_new(void)
{
	return calloc(1, sizeof(struct minute));
}

static void
free_track(struct track *track)
{
	free(track->groupname);
	free(track->loop);
	free(track);
}

static void
clear(struct minute *minute)
{
	for (size_t i = 0; i < minute->count; i++)
		free_track(minute->tracks[i]);
	free(minute->tracks);
	minute->tracks = NULL;
	minute->count = 0;
}

void
minute_free(struct minute *minute)
{
	if (!minute)
		return;
	clear(minute);
	free(minute);
}

static bool
is_of(const struct track *track, const char *groupname, const char *loop)
{
	return !strcmp(track->loop, loop) && !strcmp(track->groupname, groupname);
}

/* The loop's track, or NULL; readings mostly have them in the same order. */
static struct track *
find(const struct minute *minute, size_t hint, const char *groupname, const char *loop)
{
	if (hint < minute->count && is_of(minute->tracks[hint], groupname, loop))
		return minute->tracks[hint];
	for (size_t i = 0; i < minute->count; i++)
		if (is_of(minute->tracks[i], groupname, loop))
			return minute->tracks[i];
	return NULL;
}

static struct track *
add_track(struct minute *minute, const struct histograms_loop *loop)
{
	struct track **tracks =
		reallocarray(minute->tracks, minute->count + 1, sizeof(*minute->tracks));
	struct track *track;

	if (!tracks)
		return NULL;
	minute->tracks = tracks;
	track = calloc(1, sizeof(*track));
	if (!track)
		return NULL;
	track->groupname = strdup(loop->groupname);
	track->loop = strdup(loop->loop);
	if (!track->groupname || !track->loop) {
		free_track(track);
		return NULL;
	}
	tracks[minute->count++] = track;
	return track;
}

/* Enter what has come since the last reading; of one with less than it had, all. */
static void
enter(struct minute *minute, struct track *track, const struct histograms_loop *loop,
	bool is_new)
{
	size_t slot = minute->readings % MINUTE_READINGS;
	bool anew = false;

	for (size_t i = 0; i < minute->shape.rows; i++)
		anew |= loop->seconds[i] < track->total[i];
	/* What there was before the first reading of all is no second's. */
	if (!is_new || minute->readings) {
		track->known[slot] = true;
		for (size_t i = 0; i < minute->shape.rows; i++)
			track->seconds[slot][i] =
				(float)(loop->seconds[i] - (anew ? 0 : track->total[i]));
	}
	memcpy(track->total, loop->seconds, sizeof(track->total));
	track->seen = minute->readings;
}

static void
forget_old(struct minute *minute)
{
	size_t left = 0;

	for (size_t i = 0; i < minute->count; i++) {
		struct track *track = minute->tracks[i];

		if (minute->readings - track->seen < MINUTE_READINGS)
			minute->tracks[left++] = track;
		else
			free_track(track);
	}
	minute->count = left;
}

void
minute_add(struct minute *minute, const struct histograms *reading)
{
	/* Another daemon has other rows: nothing can be compared. */
	if (minute->readings && minute->shape.rows != reading->rows) {
		clear(minute);
		minute->readings = 0;
	}
	minute->shape.rows = reading->rows;
	memcpy(minute->shape.bounds, reading->bounds, sizeof(reading->bounds));
	for (size_t i = 0; i < minute->count; i++)
		minute->tracks[i]->known[minute->readings % MINUTE_READINGS] = false;
	for (size_t i = 0; i < reading->count; i++) {
		const struct histograms_loop *loop = &reading->loops[i];
		struct track *track = find(minute, i, loop->groupname, loop->loop);
		bool is_new = !track;

		if (is_new)
			track = add_track(minute, loop);
		if (track)
			enter(minute, track, loop, is_new);
	}
	forget_old(minute);
	minute->readings++;
}

/* The least that the longest delay in a slot can have been. */
static double
longest(const struct minute *minute, const struct track *track, size_t slot)
{
	if (!track->known[slot])
		return -1;
	for (size_t row = minute->shape.rows; row-- > 1;)
		if (track->seconds[slot][row] > 0)
			return minute->shape.bounds[row - 1];
	return track->seconds[slot][0] > 0 ? 0 : -1;
}

void
minute_longest(const struct minute *minute, const char *groupname, const char *loop,
	size_t cells, double *ret_seconds)
{
	const struct track *track = find(minute, 0, groupname, loop);

	for (size_t i = 0; i < cells; i++)
		ret_seconds[i] = -1;
	for (size_t i = 0; track && i < MINUTE_READINGS; i++) {
		size_t slot = (minute->readings + i) % MINUTE_READINGS;
		size_t cell = i * cells / MINUTE_READINGS;
		double seconds = longest(minute, track, slot);

		if (seconds > ret_seconds[cell])
			ret_seconds[cell] = seconds;
	}
}

int
minute_sum(const struct minute *minute, const char *groupname, struct histograms *ret_sum)
{
	struct histograms sum = minute->shape;

	sum.loops = calloc(minute->count + 1, sizeof(*sum.loops));
	if (!sum.loops)
		return -ENOMEM;
	for (size_t i = 0; i < minute->count; i++) {
		const struct track *track = minute->tracks[i];
		struct histograms_loop *loop = &sum.loops[sum.count];

		if (strcmp(track->groupname, groupname) != 0)
			continue;
		loop->groupname = track->groupname;
		loop->loop = track->loop;
		for (size_t slot = 0; slot < MINUTE_READINGS; slot++)
			for (size_t row = 0; track->known[slot] && row < sum.rows; row++)
				loop->seconds[row] += (double)track->seconds[slot][row];
		sum.count++;
	}
	*ret_sum = sum;
	return 0;
}
