/* SPDX-License-Identifier: MIT */
/* See top_group.h. */

#include "config.h"

#include "cli/top_group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/format.h"
#include "cli/hist_text.h"
#include "cli/minute.h"
#include "cli/screen.h"
#include "cli/stall_json.h"
#include "cli/stall_text.h"
#include "cli/style.h"
#include "cli/top_text.h"

#define STALLS_MAX 50
#define FOLDED_SECONDS 0.001 /* shorter delays share a row */
#define NAME_COLUMNS 48

int
top_group_init(struct top_group *group, const char *groupname)
{
	*group = (struct top_group){.groupname = strdup(groupname)};
	return group->groupname ? 0 : -ENOMEM;
}

void
top_group_fini(struct top_group *group)
{
	free(group->groupname);
	free(group->text);
	free(group->lines);
	*group = (struct top_group){0};
}

static void
print_histograms(
	const struct histograms *histograms, const struct style *style, FILE *out)
{
	char name[4 * NAME_COLUMNS + 1];
	bool any = false;

	for (size_t i = 0; i < histograms->count; i++) {
		const struct histograms_loop *loop = &histograms->loops[i];

		if (!(histograms_life(histograms, loop) > 0))
			continue;
		any = true;
		fprintf(out, "loop = %s, the last minute\n",
			format_name(loop->loop, NAME_COLUMNS, style->utf8, name));
		hist_text_print(histograms, loop, style, out);
		putc('\n', out);
	}
	if (!any)
		fputs("Its delays are shown from the next second on.\n\n", out);
}

/* The newest first. */
static void
print_stalls(const json_t *answer, const struct style *style, FILE *out)
{
	const json_t *array = stall_json_array(answer);
	size_t count = 0;

	for (size_t i = json_array_size(array); i-- > 0 && count < STALLS_MAX;) {
		struct stall stall;

		if (stall_json_read(json_array_get(array, i), &stall))
			continue;
		fputs(count++ ? "" : "Last stalls, the newest first\n", out);
		stall_text_print(&stall, style, out);
		stall_sample_fini(&stall.sample);
	}
	if (array && !count)
		fputs("No stalls.\n", out);
}

/* Cut the text into lines. */
static int
cut(char *text, char ***ret_lines, size_t *ret_count)
{
	size_t count = 0;
	char **lines;

	for (const char *c = text; (c = strchr(c, '\n')); c++)
		count++;
	lines = calloc(count + 1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	*ret_count = count;
	*ret_lines = lines;
	while (count--)
		*lines++ = strsep(&text, "\n");
	return 0;
}

int
top_group_take(struct top_group *group, const struct minute *minute, const json_t *stalls,
	bool utf8)
{
	struct style style = {.columns = (unsigned)screen_columns(), .utf8 = utf8};
	struct histograms histograms;
	size_t size, count;
	char *text = NULL, **lines;
	FILE *out;
	int r = minute_sum(minute, group->groupname, &histograms);

	if (r)
		return r;
	if (style.columns < STYLE_COLUMNS_MIN)
		style.columns = STYLE_COLUMNS_MIN;
	histograms_fold(&histograms, FOLDED_SECONDS);
	out = open_memstream(&text, &size);
	if (out) {
		print_histograms(&histograms, &style, out);
		print_stalls(stalls, &style, out);
	}
	histograms_fini(&histograms);
	if (!out || fclose(out) || cut(text, &lines, &count)) {
		free(text);
		return -ENOMEM;
	}
	free(group->text);
	free(group->lines);
	group->text = text;
	group->lines = lines;
	group->count = count;
	return 0;
}

void
top_group_key(struct top_group *group, int key, size_t rows)
{
	size_t last = group->count > rows ? group->count - rows : 0;
	size_t first = top_text_move(key, group->first, last, rows);

	if (first != TOP_TEXT_NO_MOVE)
		group->first = first;
}

void
top_group_draw(struct top_group *group, size_t top, size_t rows)
{
	size_t last = group->count > rows ? group->count - rows : 0;

	if (group->first > last)
		group->first = last;
	for (size_t i = 0; i < rows && group->first + i < group->count; i++) {
		const char *line = group->lines[group->first + i];

		/* The line to look at, as stall_text_print() marks it. */
		top_text_put(top + i, 0, line, screen_columns(),
			strncmp(line, "   > ", 5) ? SCREEN_PLAIN : SCREEN_BOLD);
	}
}
