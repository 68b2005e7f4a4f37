/* SPDX-License-Identifier: MIT */
/* Adds columns to the history, and keeps it; see historian.h. */

#include "config.h"

#include "daemon/historian.h"

#include <stdbool.h>
#include <stdlib.h>

#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/past.h"
#include "daemon/ledger.h"
#include "daemon/record.h"

/* Each loop is read once a second: of one at work that was, on average, when the five seconds
 * were over. */
#define LATE_NS 500000000ull
#define SLICE_NS 500000ull
#define PAUSE_NS 2000000ull
/* Between two records of a group. */
#define SAVED_COLUMNS 4

struct historian {
	struct event_loop *loop;
	struct collector *collector;
	struct past *history;
	struct ledger *ledger;
	struct event_watch *next;
	bool adding; /* and the collector is held */
	uint64_t number;
	size_t index; /* of the group that is next */
};

static void
save(struct historian *historian, const struct group_view *group)
{
	static struct record record;
	const struct ledger_key key = {LEDGER_HISTORY, 0, group->id};

	if (!historian->ledger)
		return;
	past_save(historian->history, group, &record);
	ledger_put(historian->ledger, &key, &record);
}

static void
add(struct historian *historian, size_t index)
{
	struct groups *groups = collector_groups(historian->collector);
	struct group_view group = groups_view(groups, index);

	collector_tell_group(historian->collector, index);
	past_add(historian->history, groups, index, historian->number);
	if (group.id % SAVED_COLUMNS == historian->number % SAVED_COLUMNS)
		save(historian, &group);
}

static void
wait_for_column(struct historian *historian);

/* Add the column to some groups, and after a pause to others. */
static void
add_some(void *arg)
{
	struct historian *historian = arg;
	struct groups *groups = collector_groups(historian->collector);
	uint64_t started_ns = event_now_ns();

	event_watch_free(historian->next);
	historian->next = NULL;
	while (historian->index < groups_count(groups)) {
		add(historian, historian->index++);
		if (event_now_ns() - started_ns < SLICE_NS)
			continue;
		historian->next =
			event_after(historian->loop, PAUSE_NS, add_some, historian);
		if (historian->next)
			return;
	}
	past_finish(historian->history, historian->number);
	historian->adding = false;
	collector_release(historian->collector);
	wait_for_column(historian);
}

static void
begin(void *arg)
{
	struct historian *historian = arg;

	collector_hold(historian->collector);
	historian->adding = true;
	historian->index = 0;
	historian->number = past_number(event_now_ns() - LATE_NS) - 1;
	add_some(historian);
}

/* Wait until the five seconds are over. */
static void
wait_for_column(struct historian *historian)
{
	uint64_t past_ns = (event_now_ns() - LATE_NS) % PAST_COLUMN_NS;

	/* Never too early. */
	historian->next = event_after(
		historian->loop, PAST_COLUMN_NS - past_ns + PAUSE_NS, begin, historian);
}

struct historian *
historian_open(struct event_loop *loop, struct collector *collector, struct past *history,
	struct ledger *ledger)
{
	struct historian *historian = calloc(1, sizeof(*historian));

	if (!historian)
		return NULL;
	historian->loop = loop;
	historian->collector = collector;
	historian->history = history;
	historian->ledger = ledger;
	past_begin(history, collector_groups(collector));
	wait_for_column(historian);
	if (historian->next)
		return historian;
	free(historian);
	return NULL;
}

void
historian_close(struct historian *historian)
{
	struct groups *groups;

	if (!historian)
		return;
	groups = collector_groups(historian->collector);
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		save(historian, &group);
	}
	event_watch_free(historian->next);
	if (historian->adding)
		collector_release(historian->collector);
	free(historian);
}

void
historian_forget_group(struct historian *historian, const struct group_view *group)
{
	const struct ledger_key key = {LEDGER_HISTORY, 0, group->id};

	past_forget(historian->history, group);
	ledger_forget(historian->ledger, &key);
}
