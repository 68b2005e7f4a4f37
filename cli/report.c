/* SPDX-License-Identifier: MIT */
/* Writes the report: the line above, the table, the bars of the latest loops. */

#include "config.h"

#include "cli/report.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/format.h"
#include "cli/spread.h"
#include "cli/style.h"
#include "daemon/groups.h"

#define QUANTILES 5
#define CELLS (QUANTILES + 3)
#define NAME_COLUMNS 32
#define NAME_BYTES (4 * NAME_COLUMNS + 1)
#define END_BYTES 64 /* at most STYLE_COLUMNS_MIN */
#define FELT_SECONDS 0.001
#define SPREADS_MAX 5 /* loops whose delay is drawn */

static const double quantiles[QUANTILES] = {0.5, 0.9, 0.99, 0.999, 1};
static const char *const headings[CELLS] = {
	"p50", "p90", "p99", "p99.9", "max", "ITERATIONS", "ACTIVE", "NESTED"};
enum { CELL_ITERATIONS = QUANTILES, CELL_ACTIVE, CELL_NESTED };

/* One loop, ready to be printed. */
struct row {
	struct series_view view;
	char group[NAME_BYTES];
	char loop[NAME_BYTES];
	char cells[CELLS][FORMAT_BYTES];
	double delays[QUANTILES];
	double active_seconds;
	double max_seconds;
};

/* The columns of the table. */
struct layout {
	size_t group;
	size_t loop;
	bool apart; /* names stand on a line of their own */
	size_t cells[CELLS];
};

struct page {
	struct row *rows;
	size_t count;
	const struct style *style;
	FILE *out;
};

size_t
report_loops(const struct groups *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < groups_count(groups); i++)
		count += groups_view(groups, i).series_count;
	return count;
}

static void
fill_row(struct row *row, const char *groupname, struct series_view view, bool utf8)
{
	const struct counters *total = view.total;
	double life;

	row->view = view;
	row->active_seconds = series_active_seconds(&view, total);
	life = row->active_seconds + series_idle_seconds(&view, total);
	row->max_seconds = series_max_seconds(&view, total);
	series_delay_quantiles(&view, total, quantiles, QUANTILES, row->delays);
	format_name(groupname, NAME_COLUMNS, utf8, row->group);
	format_name(view.loop, NAME_COLUMNS, utf8, row->loop);
	for (int i = 0; i < QUANTILES; i++)
		format_seconds(row->delays[i], utf8, row->cells[i]);
	snprintf(row->cells[CELL_ITERATIONS], FORMAT_BYTES, "%llu",
		(unsigned long long)total->iterations);
	format_share(life > 0 ? row->active_seconds / life : 0, row->cells[CELL_ACTIVE]);
	format_seconds(
		(double)total->nested_wait_ns / 1e9, utf8, row->cells[CELL_NESTED]);
}

/* All loops of all groups. Returns false without memory. */
static bool
fill_rows(const struct groups *groups, struct page *page)
{
	page->rows = calloc(report_loops(groups) + 1, sizeof *page->rows);
	if (!page->rows)
		return false;
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		for (size_t j = 0; j < group.series_count; j++)
			fill_row(&page->rows[page->count++], group.groupname,
				groups_series_view(groups, i, j), page->style->utf8);
	}
	return true;
}

/* For how long it ran, and how it ended if not well. */
static void
describe_end(const struct report_run *run, bool utf8, char ret_text[END_BYTES])
{
	char seconds[FORMAT_BYTES];

	format_seconds(run->seconds, utf8, seconds);
	if (WIFSIGNALED(run->status))
		snprintf(ret_text, END_BYTES, ": %s, ended by signal %d (%s)", seconds,
			WTERMSIG(run->status), strsignal(WTERMSIG(run->status)));
	else if (WEXITSTATUS(run->status))
		snprintf(ret_text, END_BYTES, ": %s, exit status %d", seconds,
			WEXITSTATUS(run->status));
	else
		snprintf(ret_text, END_BYTES, ": %s", seconds);
}

/* The line above all: what was run, as much of it as there is room for, and its end. */
static void
print_title(const struct page *page, const struct report_run *run)
{
	const struct style *style = page->style;
	char command[4 * STYLE_COLUMNS_MAX + 1], end[END_BYTES], *line = NULL;
	size_t size = 0;
	FILE *words = open_memstream(&line, &size);

	if (!words)
		return;
	for (char *const *arg = run->argv; *arg; arg++)
		fprintf(words, "%s%s", arg == run->argv ? "" : " ", *arg);
	if (!fclose(words)) {
		for (char *c = line; (c = strpbrk(c, "\n\t"));)
			*c = ' ';
		describe_end(run, style->utf8, end);
		format_name(
			line, style->columns - format_width(end), style->utf8, command);
		fprintf(page->out, "%s%s%s%s\n\n", style_bold(style), command,
			style_end(style), end);
	}
	free(line);
}

static size_t
larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Find out how wide the columns must be. */
static struct layout
lay_out(const struct page *page)
{
	struct layout layout = {.group = strlen("GROUP"), .loop = strlen("LOOP")};
	size_t numbers = 0;
	bool nested = false;

	for (int i = 0; i < CELLS; i++)
		layout.cells[i] = i < QUANTILES ? 8 : strlen(headings[i]) + 2;
	for (size_t i = 0; i < page->count; i++) {
		const struct row *row = &page->rows[i];

		layout.group = larger(layout.group, format_width(row->group));
		layout.loop = larger(layout.loop, format_width(row->loop));
		nested |= row->view.total->nested_wait_ns > 0;
		for (int j = 0; j < CELLS; j++)
			layout.cells[j] =
				larger(layout.cells[j], format_width(row->cells[j]) + 1);
	}
	if (!nested)
		layout.cells[CELL_NESTED] = 0;
	for (int i = 0; i < CELLS; i++)
		numbers += layout.cells[i];
	layout.apart = layout.group + 2 + layout.loop + numbers > page->style->columns;
	return layout;
}

/* One line of the table, or two; of the headings if there is no row. */
static void
print_row(const struct page *page, const struct layout *layout, const char *group,
	const char *loop, const struct row *row)
{
	style_left(page->out, group, layout->apart ? 0 : layout->group);
	fputs("  ", page->out);
	style_left(page->out, loop, layout->apart ? 0 : layout->loop);
	fputs(layout->apart ? "\n    " : "", page->out);
	for (int i = 0; i < CELLS; i++) {
		const char *colour = style_delay(
			page->style, row && i < QUANTILES ? row->delays[i] : 0);

		if (!layout->cells[i])
			continue;
		fputs(colour, page->out);
		style_right(
			page->out, row ? row->cells[i] : headings[i], layout->cells[i]);
		fputs(*colour ? style_end(page->style) : "", page->out);
	}
	putc('\n', page->out);
}

static void
print_table(const struct page *page)
{
	struct layout layout = lay_out(page);

	fputs(style_bold(page->style), page->out);
	print_row(page, &layout, "GROUP", "LOOP", NULL);
	fputs(style_end(page->style), page->out);
	for (size_t i = 0; i < page->count; i++) {
		const struct row *row = &page->rows[i];
		bool same = i && !layout.apart && !strcmp(row->group, row[-1].group);

		print_row(page, &layout, same ? "" : row->group, row->loop, row);
	}
}

/* Whether the spread of a row is drawn: that of the longest delay is, and those of the next
 * few that anybody could feel. */
static bool
is_drawn(const struct page *page, size_t index)
{
	const struct row *row = &page->rows[index];
	size_t longer = 0;

	for (size_t i = 0; i < page->count; i++)
		longer += page->rows[i].max_seconds > row->max_seconds ||
			  (page->rows[i].max_seconds == row->max_seconds && i < index);
	return row->active_seconds > 0 &&
	       (!longer || (longer < SPREADS_MAX && row->max_seconds >= FELT_SECONDS));
}

void
report_text(const struct groups *groups, const struct report_run *run,
	const struct style *style, FILE *out)
{
	struct page page = {.style = style, .out = out};
	size_t drawn = 0;

	if (!fill_rows(groups, &page))
		return;
	print_title(&page, run);
	print_table(&page);
	fputs("\nDelay: how long an event that arrives at any moment waits for its "
	      "loop.\n",
		out);
	for (size_t i = 0; i < page.count; i++) {
		if (!is_drawn(&page, i))
			continue;
		if (!drawn++)
			fputs("Below: the share of time in which it would have waited so "
			      "long.\n",
				out);
		fprintf(out, "\n%s%s, %s%s\n", style_bold(style), page.rows[i].group,
			page.rows[i].loop, style_end(style));
		spread_print(&page.rows[i].view, style, out);
	}
	if (drawn && drawn < page.count)
		fprintf(out, "\nNot drawn: %zu %s with shorter delays.\n",
			page.count - drawn, page.count - drawn == 1 ? "loop" : "loops");
	free(page.rows);
}
