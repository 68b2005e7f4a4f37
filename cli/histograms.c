/* SPDX-License-Identifier: MIT */
/* From JSON to rows and back. The answer is that of a program at a URL: nothing in it is taken
 * for granted. */

#include "config.h"

#include "cli/histograms.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SECONDS 1e15

/* Take numbers that are not negative. Returns whether all are some. */
static bool
read_numbers(const json_t *array, size_t count, double *ret_numbers)
{
	if (json_array_size(array) != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(array, i);

		ret_numbers[i] = json_is_number(value) ? json_number_value(value) : NAN;
		if (!(ret_numbers[i] >= 0 && ret_numbers[i] <= LONGEST_SECONDS))
			return false;
	}
	return true;
}

static bool
read_bounds(const json_t *answer, struct histograms *histograms)
{
	const json_t *bounds = json_object_get(answer, "bounds");

	histograms->rows = json_array_size(bounds) + 1;
	if (histograms->rows < 2 || histograms->rows > HISTOGRAMS_ROWS_MAX ||
		!read_numbers(bounds, histograms->rows - 1, histograms->bounds))
		return false;
	for (size_t i = 1; i + 1 < histograms->rows; i++)
		if (histograms->bounds[i] <= histograms->bounds[i - 1])
			return false;
	return true;
}

int
histograms_read(const json_t *answer, struct histograms *ret_histograms)
{
	const json_t *array = json_object_get(answer, "histograms"), *object;
	struct histograms histograms = {0};
	size_t i;

	if (!json_is_array(array) || !read_bounds(answer, &histograms))
		return -EPROTO;
	histograms.loops = calloc(json_array_size(array) + 1, sizeof *histograms.loops);
	if (!histograms.loops)
		return -ENOMEM;
	json_array_foreach(array, i, object)
	{
		struct histograms_loop *loop = &histograms.loops[histograms.count];

		loop->groupname = json_string_value(json_object_get(object, "groupname"));
		loop->loop = json_string_value(json_object_get(object, "loop"));
		if (!loop->groupname || !loop->loop ||
			!read_numbers(json_object_get(object, "seconds"), histograms.rows,
				loop->seconds)) {
			histograms_fini(&histograms);
			return -EPROTO;
		}
		histograms.count++;
	}
	*ret_histograms = histograms;
	return 0;
}

void
histograms_fini(struct histograms *histograms)
{
	free(histograms->loops);
	*histograms = (struct histograms){0};
}

double
histograms_life(const struct histograms *histograms, const struct histograms_loop *loop)
{
	double life = 0;

	for (size_t i = 0; i < histograms->rows; i++)
		life += loop->seconds[i];
	return life;
}

void
histograms_fold(struct histograms *histograms, double seconds)
{
	size_t folded = 0;

	while (folded + 2 < histograms->rows && histograms->bounds[folded + 1] <= seconds)
		folded++;
	histograms->rows -= folded;
	memmove(histograms->bounds, histograms->bounds + folded,
		(histograms->rows - 1) * sizeof(*histograms->bounds));
	for (size_t i = 0; i < histograms->count; i++) {
		double *rows = histograms->loops[i].seconds;

		for (size_t row = 0; row < folded; row++)
			rows[folded] += rows[row];
		memmove(rows, rows + folded, histograms->rows * sizeof(*rows));
	}
}

/* The same loop in other histograms, if it has no more there. */
static const struct histograms_loop *
find_before(const struct histograms *histograms, const struct histograms_loop *loop)
{
	for (size_t i = 0; i < histograms->count; i++) {
		const struct histograms_loop *other = &histograms->loops[i];

		if (strcmp(other->groupname, loop->groupname) != 0 ||
			strcmp(other->loop, loop->loop) != 0)
			continue;
		for (size_t row = 0; row < histograms->rows; row++)
			if (other->seconds[row] > loop->seconds[row])
				return NULL;
		return other;
	}
	return NULL;
}

void
histograms_subtract(struct histograms *histograms, const struct histograms *before)
{
	if (histograms->rows != before->rows)
		return;
	for (size_t i = 0; i < histograms->count; i++) {
		struct histograms_loop *loop = &histograms->loops[i];
		const struct histograms_loop *other = find_before(before, loop);

		for (size_t row = 0; other && row < histograms->rows; row++)
			loop->seconds[row] -= other->seconds[row];
	}
}

/* Whole nanoseconds: more digits would say more than is known. */
static json_t *
numbers(const double *values, size_t count, double unit)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array,
			json_real(unit > 0 ? round(values[i] / unit) * unit : values[i]));
	return array;
}

json_t *
histograms_json(const struct histograms *histograms)
{
	json_t *root = json_object(), *array = json_array();

	json_object_set_new(
		root, "bounds", numbers(histograms->bounds, histograms->rows - 1, 0));
	for (size_t i = 0; i < histograms->count; i++) {
		const struct histograms_loop *loop = &histograms->loops[i];
		json_t *object = json_object();

		json_object_set_new(object, "groupname", json_string(loop->groupname));
		json_object_set_new(object, "loop", json_string(loop->loop));
		json_object_set_new(object, "seconds",
			numbers(loop->seconds, histograms->rows, 1e-9));
		json_array_append_new(array, object);
	}
	json_object_set_new(root, "histograms", array);
	return root;
}
