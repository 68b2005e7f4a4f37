/* SPDX-License-Identifier: MIT */
/* Writes the worst stalls. */

#include "config.h"

#include "cli/report_stalls.h"

#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/format.h"
#include "cli/stall_text.h"
#include "cli/style.h"
#include "cli/worst.h"
#include "daemon/api.h"
#include "daemon/api_stalls.h"
#include "daemon/stall_words.h"

#define PLACES 10
#define FRAMES 5
#define NAME_COLUMNS 32

/* One place: a line, and the top of its stack. */
static void
print_place(const struct worst_entry *entry, const struct style *style, FILE *out)
{
	const struct stall *stall = &entry->longest;
	char total[FORMAT_BYTES], longest[FORMAT_BYTES], cause[STALL_WORDS_BYTES];
	char name[4 * NAME_COLUMNS + 1];
	double seconds = (double)stall->length_ns / 1e9;
	const char *colour = style_delay(style, seconds);

	format_seconds((double)entry->total_ns / 1e9, style->utf8, total);
	format_seconds(seconds, style->utf8, longest);
	stall_words_cause(worst_cause(entry), stall->system_call, cause);
	fprintf(out, "\n%s%s%s", colour, total, *colour ? style_end(style) : "");
	if (entry->count > 1)
		fprintf(out, " in %llu times, longest %s",
			(unsigned long long)entry->count, longest);
	fprintf(out, ": %s, ",
		format_name(stall->groupname, NAME_COLUMNS, style->utf8, name));
	fputs(format_name(stall->loop, NAME_COLUMNS, style->utf8, name), out);
	fprintf(out, "%s%s\n", *cause ? ", " : "", cause);
	stall_text_stack(stall, FRAMES, style, out);
}

void
report_stalls_text(const struct worst *worst, uint64_t threshold_ns,
	const struct style *style, FILE *out)
{
	uint64_t count = worst_left_out(worst), left_out = worst_left_out(worst);
	char threshold[FORMAT_BYTES];

	for (size_t i = 0; i < worst_count(worst); i++) {
		count += worst_at(worst, i)->count;
		left_out += i < PLACES ? 0 : worst_at(worst, i)->count;
	}
	if (!count)
		return;
	format_seconds((double)threshold_ns / 1e9, style->utf8, threshold);
	fprintf(out, "\n%sStuck for over %s: %llu %s%s\n", style_bold(style), threshold,
		(unsigned long long)count, count == 1 ? "time" : "times",
		style_end(style));
	for (size_t i = 0; i < worst_count(worst) && i < PLACES; i++)
		print_place(worst_at(worst, i), style, out);
	if (left_out)
		fprintf(out, "\nNot shown: %llu %s in other places.\n",
			(unsigned long long)left_out, left_out == 1 ? "time" : "times");
}

static json_t *
place_object(const struct worst_entry *entry)
{
	json_t *object = json_object();

	json_object_set_new(object, "groupname", json_string(entry->longest.groupname));
	json_object_set_new(
		object, "cause", json_string(stall_cause_name(worst_cause(entry))));
	json_object_set_new(object, "count", json_integer((json_int_t)entry->count));
	json_object_set_new(
		object, "seconds", json_real(round((double)entry->total_ns) / 1e9));
	json_object_set_new(object, "longest", api_stall_object(&entry->longest));
	return object;
}

char *
report_stalls_json(const struct groups *groups, const struct worst *worst)
{
	char *text = api_groups(groups, NULL, API_RUN), *line = NULL;
	json_t *root = text ? json_loads(text, 0, NULL) : NULL, *array = json_array();

	free(text);
	for (size_t i = 0; i < worst_count(worst); i++)
		json_array_append_new(array, place_object(worst_at(worst, i)));
	json_object_set_new(root, "stalls", array);
	text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
