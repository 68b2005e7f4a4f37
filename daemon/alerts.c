/* SPDX-License-Identifier: MIT */
/* The states of alerts; see alerts.h. */

#include "config.h"

#include "daemon/alerts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/pattern.h"

/* One rule in one group. */
struct cell {
	bool judged, applies;
	enum alerts_state state;
	uint64_t since_ns;
	uint64_t last_high_ns; /* when it was last not below `below` */
	double value;
};

/* One rule and its cells, by the id of the group. */
struct row {
	const struct configuration_alert *rule;
	char *name; /* rules come and go */
	enum configuration_alert_type type;
	struct cell *cells;
	size_t count;
};

struct alerts {
	struct row *rows;
	size_t count;
};

const char *
alerts_state_name(enum alerts_state state)
{
	static const char *const names[] = {
		[ALERTS_INACTIVE] = "inactive",
		[ALERTS_PENDING] = "pending",
		[ALERTS_FIRING] = "firing",
	};

	return names[state];
}

static void
free_rows(struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(rows[i].cells);
		free(rows[i].name);
	}
	free(rows);
}

struct alerts *
alerts_new(void)
{
	return calloc(1, sizeof(struct alerts));
}

void
alerts_free(struct alerts *alerts)
{
	if (!alerts)
		return;
	free_rows(alerts->rows, alerts->count);
	free(alerts);
}

/* Hand the states of an alert on to what has its name now. */
static void
inherit(struct alerts *alerts, struct row *row)
{
	for (size_t i = 0; i < alerts->count; i++) {
		struct row *before = &alerts->rows[i];

		if (strcmp(before->name, row->name) != 0 || before->type != row->type)
			continue;
		row->cells = before->cells;
		row->count = before->count;
		before->cells = NULL;
		before->count = 0;
		/* Whether the rule applies is seen at the next judgement. */
		for (size_t j = 0; j < row->count; j++)
			row->cells[j].judged = false;
	}
}

int
alerts_set_rules(
	struct alerts *alerts, const struct configuration_alert *rules, size_t count)
{
	struct row *rows = calloc(count ? count : 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		rows[i].rule = &rules[i];
		rows[i].type = rules[i].type;
		rows[i].name = strdup(rules[i].name);
		if (!rows[i].name) {
			free_rows(rows, count);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < count; i++)
		inherit(alerts, &rows[i]);
	free_rows(alerts->rows, alerts->count);
	alerts->rows = rows;
	alerts->count = count;
	return 0;
}

void
alerts_clear(struct alerts *alerts)
{
	free_rows(alerts->rows, alerts->count);
	alerts->rows = NULL;
	alerts->count = 0;
}

size_t
alerts_rules(const struct alerts *alerts)
{
	return alerts->count;
}

const struct configuration_alert *
alerts_rule(const struct alerts *alerts, size_t rule)
{
	return alerts->rows[rule].rule;
}

/* The cell of a group, made if need be. NULL without memory. */
static struct cell *
find_cell(struct row *row, size_t group)
{
	size_t count = group + 1;
	struct cell *cells;

	if (group >= row->count) {
		cells = realloc(row->cells, count * sizeof(*cells));
		if (!cells)
			return NULL;
		memset(cells + row->count, 0, (count - row->count) * sizeof(*cells));
		row->cells = cells;
		row->count = count;
	}
	return &row->cells[group];
}

static enum alerts_change
resolve(struct cell *cell)
{
	enum alerts_change change =
		cell->state == ALERTS_FIRING ? ALERTS_RESOLVED : ALERTS_NO_CHANGE;

	cell->state = ALERTS_INACTIVE;
	return change;
}

/* Whether a rule applies to a group; it is asked once. */
static bool
applies(const struct row *row, struct cell *cell, const char *groupname)
{
	const struct pattern *groups = row->rule->groups;

	if (!cell->judged) {
		cell->judged = true;
		cell->applies = !groups || pattern_match(groups, groupname, NULL);
	}
	return cell->applies;
}

enum alerts_change
alerts_judge(struct alerts *alerts, size_t rule, size_t group, const char *groupname,
	double value, uint64_t now_ns)
{
	struct row *row = &alerts->rows[rule];
	const struct configuration_alert *wanted = row->rule;
	struct cell *cell = find_cell(row, group);
	/* Both are false of NAN. */
	bool above = value > wanted->above, high = value >= wanted->below;

	if (!cell)
		return ALERTS_NO_CHANGE;
	if (!applies(row, cell, groupname))
		return resolve(cell);
	cell->value = value;
	if (cell->state == ALERTS_FIRING) {
		if (high)
			cell->last_high_ns = now_ns;
		else if (now_ns - cell->last_high_ns >= wanted->keep_ns)
			return resolve(cell);
		return ALERTS_NO_CHANGE;
	}
	if (!above)
		return resolve(cell);
	if (cell->state == ALERTS_INACTIVE) {
		cell->state = ALERTS_PENDING;
		cell->since_ns = now_ns;
	}
	if (now_ns - cell->since_ns < wanted->for_ns)
		return ALERTS_NO_CHANGE;
	cell->state = ALERTS_FIRING;
	cell->last_high_ns = now_ns;
	return ALERTS_FIRED;
}

void
alerts_forget_group(struct alerts *alerts, size_t group)
{
	for (size_t i = 0; i < alerts->count; i++)
		if (group < alerts->rows[i].count)
			alerts->rows[i].cells[group] = (struct cell){0};
}

bool
alerts_view(const struct alerts *alerts, size_t rule, size_t group,
	struct alerts_view *ret_view)
{
	const struct row *row = &alerts->rows[rule];
	const struct cell *cell = group < row->count ? &row->cells[group] : NULL;

	if (!cell || !cell->judged || !cell->applies)
		return false;
	*ret_view = (struct alerts_view){
		.rule = row->rule,
		.state = cell->state,
		.since_ns = cell->since_ns,
		.value = cell->value,
	};
	return true;
}
