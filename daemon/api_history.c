/* SPDX-License-Identifier: MIT */
/* Histories of groups as JSON; see api_history.h. */

#include "config.h"

#include "daemon/api_history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/api_time.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/past.h"
#include "daemon/http.h"
#include "daemon/query.h"

/* A share of less than that is one of 1 / PAST_WHOLE. */
#define DIGITS "%.4g"

struct answer {
	struct http_work work; /* first: it is this one */
	struct collector *collector;
	const struct past *history;
	struct query query;
	const char *groupname; /* NULL: all */
	uint64_t since;        /* columns after this one are wanted */
	bool begun, some;      /* written */
	uint64_t first, last;  /* columns that are written */
	size_t index;          /* of the group that is next */
};

/* Write a value as JSON; takes the reference. */
static int
print(json_t *value, FILE *out)
{
	int r = value ? json_dumpf(value, out, JSON_COMPACT | JSON_ENCODE_ANY) : -1;

	json_decref(value);
	return r ? -ENOMEM : 0;
}

static void
write_separator(uint64_t number, uint64_t first, FILE *out)
{
	if (number != first)
		fputc(',', out);
}

/* Begin: find out which columns there may be, and write what is of all groups. */
static int
begin(struct answer *answer, FILE *out)
{
	uint64_t now_ns = event_now_ns(), end_ns;

	collector_hold(answer->collector);
	answer->begun = true;
	answer->last = past_last(answer->history);
	answer->first =
		answer->last >= PAST_COLUMNS ? answer->last - PAST_COLUMNS + 1 : 0;
	if (answer->since >= answer->first)
		answer->first = answer->since < answer->last ? answer->since + 1
							     : answer->last + 1;
	end_ns = (answer->last + 1) * PAST_COLUMN_NS;
	fprintf(out, "{\"seconds\":%d,\"last\":%" PRIu64 ",\"end\":",
		(int)(PAST_COLUMN_NS / 1000000000), answer->last);
	if (print(api_time_json((int64_t)(event_unix_ns() - now_ns + end_ns)), out) < 0)
		return -ENOMEM;
	fputs(",\"bounds\":[", out);
	for (unsigned row = 0; row < PAST_BOUNDS; row++) {
		write_separator(row, 0, out);
		fprintf(out, "%.9g", past_bound(row));
	}
	fputs("],\"groups\":[", out);
	return 1;
}

static void
write_p99(const struct past_column *column, FILE *out)
{
	fprintf(out, DIGITS, past_quantile(column, 0.99));
}

static void
write_max(const struct past_column *column, FILE *out)
{
	fprintf(out, DIGITS, column->longest_us / 1e6);
}

static void
write_shares(const struct past_column *column, FILE *out)
{
	unsigned count = PAST_ROWS;

	while (count && !column->shares[count - 1])
		count--;
	fputc('[', out);
	for (unsigned row = 0; row < count; row++) {
		write_separator(row, 0, out);
		fprintf(out, DIGITS, (double)column->shares[row] / PAST_WHOLE);
	}
	fputc(']', out);
}

static void
write_columns(const struct answer *answer, const struct group_view *group,
	const char *name, void (*write)(const struct past_column *column, FILE *out),
	FILE *out)
{
	fprintf(out, ",\"%s\":[", name);
	for (uint64_t number = answer->first; number <= answer->last; number++) {
		const struct past_column *column =
			past_column(answer->history, group, number);

		write_separator(number, answer->first, out);
		if (column)
			write(column, out);
		else
			fputs("null", out);
	}
	fputc(']', out);
}

static int
write_group(struct answer *answer, const struct group_view *group, FILE *out)
{
	fputs(answer->some ? ",{\"groupname\":" : "{\"groupname\":", out);
	answer->some = true;
	if (print(json_string(group->groupname), out) < 0)
		return -ENOMEM;
	write_columns(answer, group, "p99", write_p99, out);
	write_columns(answer, group, "max", write_max, out);
	if (answer->groupname)
		write_columns(answer, group, "shares", write_shares, out);
	fputc('}', out);
	return 1;
}

static int
step(struct http_work *work, FILE *out)
{
	struct answer *answer = (struct answer *)work;
	const struct groups *groups = collector_groups(answer->collector);

	if (!answer->begun)
		return begin(answer, out);
	while (answer->index < groups_count(groups)) {
		struct group_view group = groups_view(groups, answer->index++);

		if (!answer->groupname || !strcmp(answer->groupname, group.groupname))
			return write_group(answer, &group, out);
	}
	fputs("]}\n", out);
	return 0;
}

static void
free_answer(struct http_work *work)
{
	struct answer *answer = (struct answer *)work;

	if (answer->begun)
		collector_release(answer->collector);
	query_fini(&answer->query);
	free(answer);
}

static bool
number_in(const char *text, uint64_t *ret_number)
{
	size_t length = strlen(text);

	if (!length || length > 18 || text[strspn(text, "0123456789")])
		return false;
	*ret_number = strtoull(text, NULL, 10);
	return true;
}

/* Returns 0, or -EINVAL with the reason, which the caller frees, or NULL without memory. */
static int
read_query(struct answer *answer, char **ret_reason)
{
	for (size_t i = 0; i < answer->query.count; i++) {
		const char *name = answer->query.parameters[i].name;
		const char *value = answer->query.parameters[i].value;
		int n = 0;

		if (!strcmp(name, "group"))
			answer->groupname = value;
		else if (strcmp(name, "since"))
			n = asprintf(ret_reason,
				"There is no parameter \"%s\"; there are since and "
				"group.\n",
				name);
		else if (!number_in(value, &answer->since))
			n = asprintf(ret_reason,
				"since=%s: expected the number of a column.\n", value);
		if (n < 0)
			*ret_reason = NULL;
		if (n)
			return -EINVAL;
	}
	return 0;
}

struct http_work *
api_history(struct collector *collector, const struct past *history,
	const char *query_text, char **ret_reason)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	*ret_reason = NULL;
	if (!answer)
		return NULL;
	answer->work = (struct http_work){.step = step, .free = free_answer};
	answer->collector = collector;
	answer->history = history;
	if (query_parse(query_text, &answer->query) < 0)
		*ret_reason = strdup("The query cannot be read.\n");
	else if (read_query(answer, ret_reason) == 0)
		return &answer->work;
	free_answer(&answer->work);
	return NULL;
}
