/* SPDX-License-Identifier: MIT */
/* The bands of the delay as JSON, four of them a row; see api_histograms.h. */

#include "config.h"

#include "daemon/api_histograms.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/groups.h"
#include "daemon/query.h"

#define BANDS_PER_ROW (HISTOGRAM_PER_OCTAVE / HISTOGRAM_PER_BAND)
#define ROWS (HISTOGRAM_MAX_EXPONENT - HISTOGRAM_MIN_EXPONENT + 2)

_Static_assert((ROWS - 2) * BANDS_PER_ROW + 2 == HISTOGRAM_BANDS, "rows are whole bands");

struct api_histograms {
	struct query query;
	const char *groupname; /* NULL: any */
	bool begun, some;      /* written */
};

/* Returns 0, or -EINVAL with the reason, which is NULL without memory. */
static int
read_query(struct api_histograms *answer, char **ret_reason)
{
	const struct query *query = &answer->query;

	for (size_t i = 0; i < query->count; i++) {
		const char *name = query->parameters[i].name;

		if (!strcmp(name, "group")) {
			answer->groupname = query->parameters[i].value;
			continue;
		}
		if (asprintf(ret_reason,
			    "There is no parameter \"%s\"; there is group.\n", name) < 0)
			*ret_reason = NULL;
		return -EINVAL;
	}
	return 0;
}

struct api_histograms *
api_histograms_new(const char *query, char **ret_reason)
{
	struct api_histograms *answer = calloc(1, sizeof(*answer));

	*ret_reason = NULL;
	if (!answer)
		return NULL;
	if (query_parse(query, &answer->query) < 0)
		*ret_reason = strdup("The query cannot be read.\n");
	else if (read_query(answer, ret_reason) == 0)
		return answer;
	api_histograms_free(answer);
	return NULL;
}

void
api_histograms_free(struct api_histograms *answer)
{
	if (!answer)
		return;
	query_fini(&answer->query);
	free(answer);
}

/* Write an object, and free it. */
static int
print(json_t *object, const char *before, FILE *out)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));

	json_decref(object);
	if (!text)
		return -ENOMEM;
	fprintf(out, "%s%s", before, text);
	free(text);
	return 0;
}

/* Write what comes before all of them, once. */
static int
begin(struct api_histograms *answer, FILE *out)
{
	json_t *bounds;

	if (answer->begun)
		return 0;
	answer->begun = true;
	bounds = json_array();
	for (unsigned row = 0; row < ROWS - 1; row++)
		json_array_append_new(bounds,
			json_real(histogram_upper_seconds(row * HISTOGRAM_PER_OCTAVE)));
	if (print(bounds, "{\"bounds\":", out))
		return -ENOMEM;
	fputs(",\"histograms\":[", out);
	return 0;
}

static json_t *
histogram_object(const char *groupname, const struct series_view *view)
{
	json_t *object = json_object(), *seconds = json_array();
	double bands[HISTOGRAM_BANDS], rows[ROWS] = {0};

	series_delay_bands(view, view->total, bands);
	for (unsigned band = 0; band < HISTOGRAM_BANDS; band++)
		rows[(band + BANDS_PER_ROW - 1) / BANDS_PER_ROW] += bands[band];
	for (unsigned row = 0; row < ROWS; row++)
		json_array_append_new(seconds, json_real(round(rows[row] * 1e9) / 1e9));
	json_object_set_new(object, "groupname", json_string(groupname));
	json_object_set_new(object, "loop", json_string(view->loop));
	json_object_set_new(object, "seconds", seconds);
	return object;
}

int
api_histograms_write(struct api_histograms *answer, const struct groups *groups,
	size_t index, FILE *out)
{
	struct group_view group = groups_view(groups, index);

	if (answer->groupname && strcmp(answer->groupname, group.groupname) != 0)
		return 0;
	for (size_t i = 0; i < group.series_count; i++) {
		struct series_view view = groups_series_view(groups, index, i);

		if (begin(answer, out) || print(histogram_object(group.groupname, &view),
						  answer->some ? "," : "", out))
			return -ENOMEM;
		answer->some = true;
	}
	return 0;
}

int
api_histograms_finish(struct api_histograms *answer, FILE *out)
{
	if (begin(answer, out))
		return -ENOMEM;
	fputs("]}\n", out);
	return 0;
}
