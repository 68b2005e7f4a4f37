/* SPDX-License-Identifier: MIT */
/* Groups and their series: who belongs together, the totals and the windows. */

#include "config.h"

#include "daemon/groups_private.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/identity.h"
#include "daemon/quota.h"

/* Take the lowest number that is free: there is one, as the most that there can be is known.
 */
static uint32_t
take_id(bool *ids, size_t count)
{
	bool *id = memchr(ids, false, count);

	*id = true;
	return (uint32_t)(id - ids);
}

/* Make room for one more pointer. Returns whether there is. */
static int
grow(void *array, size_t count)
{
	void **pointers = *(void ***)array;

	/* Whenever the count is a power of two the array may be full. */
	if (count & (count - 1))
		return 1;
	pointers = realloc(pointers, (count ? 2 * count : 1) * sizeof(*pointers));
	if (pointers)
		*(void ***)array = pointers;
	return !!pointers;
}

static void
series_free(struct series *series)
{
	window_fini(&series->window);
	free(series->open_ns);
	free(series->loop);
	free(series);
}

void
group_free(struct group *group)
{
	for (size_t i = 0; i < group->series_count; i++)
		series_free(group->series[i]);
	free(group->series);
	free(group->runtime);
	free(group->user);
	free(group->name);
	free(group);
}

struct groups *
groups_new(void)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups)
		groups->max = GROUPS_MAX;
	return groups;
}

void
groups_free(struct groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; i < groups->count; i++)
		group_free(groups->groups[i]);
	free(groups->groups);
	free(groups);
}

void
groups_set_quota(struct groups *groups, struct quota *quota)
{
	groups->quota = quota;
	quota_set_total(quota, QUOTA_GROUPS, groups->max);
	quota_set_total(quota, QUOTA_SERIES, GROUPS_SERIES_TOTAL_MAX);
}

void
groups_set_max(struct groups *groups, size_t max)
{
	groups->max = max < GROUPS_MAX ? max : GROUPS_MAX;
	quota_set_total(groups->quota, QUOTA_GROUPS, groups->max);
}

struct group *
groups_find(const struct groups *groups, const char *name)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->groups[i]->name, name) == 0)
			return groups->groups[i];
	return NULL;
}

static struct group *
group_new(struct groups *groups, const struct groups_name *name)
{
	struct group *group;

	if (!grow(&groups->groups, groups->count))
		return NULL;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->groups = groups;
	group->uid = name->uid;
	group->given = name->given;
	group->name = strdup(name->name);
	if (!group->name) {
		free(group);
		return NULL;
	}
	group->id = take_id(groups->ids, GROUPS_MAX_ID);
	groups->groups[groups->count++] = group;
	return group;
}

/* Where those are that have no group of their own. */
static struct group *
get_overflow(struct groups *groups)
{
	const struct groups_name name = {.name = GROUPS_OVERFLOW, .given = true};
	struct group *group = groups_find(groups, GROUPS_OVERFLOW);

	return group ? group : group_new(groups, &name);
}

static bool
is_for(const struct group *group, const struct groups_name *name)
{
	return group->given ? name->given : !name->given && group->uid == name->uid;
}

/* Find the group; if it is not there, what it must be called (`room` for that), or NULL: as
 * it cannot be. */
static struct group *
search(const struct groups *groups, const struct groups_name *name,
	char room[IDENTITY_NAME_BYTES], const char **ret_name)
{
	struct group *group = groups_find(groups, name->name);

	*ret_name = name->name;
	if (!group || is_for(group, name))
		return group;
	identity_clean(name->name, IDENTITY_NAME_BYTES, room);
	identity_qualify(room, name->uid);
	*ret_name = room;
	group = groups_find(groups, room);
	if (!group || is_for(group, name))
		return group;
	*ret_name = NULL;
	return NULL;
}

struct group *
groups_join(struct groups *groups, const struct groups_name *name)
{
	char room[IDENTITY_NAME_BYTES];
	struct groups_name made = *name;
	struct group *group;

	if (strcmp(name->name, GROUPS_OVERFLOW) == 0)
		return get_overflow(groups);
	group = search(groups, name, room, &made.name);
	if (group)
		return group;
	if (!made.name || groups->count >= groups->max ||
		quota_take(groups->quota, name->given ? 0 : name->uid, QUOTA_GROUPS, 1) <
			0)
		return get_overflow(groups);
	group = group_new(groups, &made);
	if (group)
		group->paid = true;
	return group;
}

struct group *
groups_get(struct groups *groups, const char *groupname)
{
	const struct groups_name name = {.name = groupname, .given = true};

	return groups_join(groups, &name);
}

struct group *
groups_seek(const struct groups *groups, const struct groups_name *name)
{
	char room[IDENTITY_NAME_BYTES];
	const char *made;

	return search(groups, name, room, &made);
}

void
group_set_runtime(struct group *group, const char *runtime)
{
	if (!group->runtime && runtime)
		group->runtime = strdup(runtime);
}

void
group_set_user(struct group *group, const char *user)
{
	if (!group->user && user)
		group->user = strdup(user);
}

void
group_add_process(struct group *group, int change)
{
	if (change >= 0)
		group->processes += (unsigned)change;
	else if (group->processes >= (unsigned)-change)
		group->processes -= (unsigned)-change;
	else
		group->processes = 0;
}

static struct series *
series_new(struct group *group, const char *loop, uid_t uid, bool paid)
{
	struct groups *groups = group->groups;
	struct series *series;

	if (!grow(&group->series, group->series_count))
		return NULL;
	series = calloc(1, sizeof(*series));
	if (!series)
		return NULL;
	series->group = group;
	series->uid = uid;
	series->paid = paid;
	series->changed = true;
	series->loop = strdup(loop);
	if (!series->loop) {
		free(series);
		return NULL;
	}
	series->id = take_id(groups->series_ids, GROUPS_SERIES_MAX_ID);
	group->series[group->series_count++] = series;
	groups->series_count++;
	return series;
}

struct series *
group_series_for(struct group *group, const char *loop, uid_t uid)
{
	struct groups *groups = group->groups;
	bool overflow = strcmp(loop, GROUPS_OVERFLOW) == 0;

	for (size_t i = 0; i < group->series_count; i++)
		if (strcmp(group->series[i]->loop, loop) == 0)
			return group->series[i];
	if (!overflow && (group->series_count >= GROUPS_SERIES_MAX ||
				 groups->series_count >= GROUPS_SERIES_TOTAL_MAX ||
				 quota_take(groups->quota, uid, QUOTA_SERIES, 1) < 0))
		return group_series_for(group, GROUPS_OVERFLOW, uid);
	return series_new(group, loop, uid, !overflow);
}

struct series *
group_series(struct group *group, const char *loop)
{
	return group_series_for(group, loop, 0);
}

void
series_add(struct series *series, const struct counters *delta, uint64_t now_ns)
{
	series->changed = true;
	if (!series->started) {
		series->started = true;
		series->started_ns = difference(now_ns, delta->life_ns);
	}
	if (delta->max_ns > series->longest_ns)
		series->longest_ns = delta->max_ns;
	counters_add(&series->total, delta);
	window_add(&series->window, delta, now_ns);
}

void
series_restore(struct series *series, const struct counters *total,
	const struct stall_counters *stalls, uint64_t started_ns)
{
	series->changed = true;
	if (!series->started || started_ns < series->started_ns)
		series->started_ns = started_ns;
	series->started = true;
	counters_add(&series->total, total);
	for (int i = 0; i < STALL_CAUSES; i++) {
		series->stalls.count[i] =
			saturated_sum(series->stalls.count[i], stalls->count[i]);
		series->stalls.length_ns[i] =
			saturated_sum(series->stalls.length_ns[i], stalls->length_ns[i]);
	}
	if (stalls->last_unix_ns > series->stalls.last_unix_ns)
		series->stalls.last_unix_ns = stalls->last_unix_ns;
}

void
group_begin_reading(struct group *group, uint64_t now_ns)
{
	for (size_t i = 0; i < group->series_count; i++) {
		struct series *series = group->series[i];

		series->loops = 0;
		series->open_count = 0;
		series->stalled = 0;
		series->stall_age_ns = 0;
		window_advance(&series->window, now_ns);
	}
}

void
groups_begin_reading(struct groups *groups, uint64_t now_ns)
{
	for (size_t i = 0; i < groups->count; i++)
		group_begin_reading(groups->groups[i], now_ns);
}

void
series_saw_loop(struct series *series, uint64_t open_ns)
{
	series->loops++;
	series_saw_open(series, open_ns);
}

void
series_saw_open(struct series *series, uint64_t open_ns)
{
	if (!open_ns)
		return;
	if (series->open_count == series->open_room) {
		size_t room = series->open_room ? 2 * series->open_room : 4;
		uint64_t *larger = realloc(series->open_ns, room * sizeof(*larger));

		if (!larger)
			return;
		series->open_ns = larger;
		series->open_room = room;
	}
	series->open_ns[series->open_count++] = open_ns;
}

void
series_saw_stall(struct series *series, uint64_t age_ns)
{
	series->stalled++;
	if (age_ns > series->stall_age_ns)
		series->stall_age_ns = age_ns;
}

void
series_begin_stall(struct series *series, int64_t started_unix_ns)
{
	series->changed = true;
	if (started_unix_ns > series->stalls.last_unix_ns)
		series->stalls.last_unix_ns = started_unix_ns;
}

/* The power of two of its milliseconds. */
static unsigned
length_class(uint64_t length_ns)
{
	unsigned class = 0;

	for (uint64_t ms = length_ns / 1000000; ms > 1 && class < SERIES_LAST_STALLS - 1;
		ms /= 2)
		class ++;
	return class;
}

void
series_add_stall(
	struct series *series, enum stall_cause cause, const struct series_stall *stall)
{
	series->changed = true;
	if (stall->id)
		series->last_stalls[length_class(stall->length_ns)] = *stall;
	series->stalls.count[cause]++;
	series->stalls.length_ns[cause] =
		saturated_sum(series->stalls.length_ns[cause], stall->length_ns);
}

const char *
series_loop(const struct series *series)
{
	return series->loop;
}

const char *
series_groupname(const struct series *series)
{
	return series->group->name;
}

uid_t
series_uid(const struct series *series)
{
	return series->uid;
}

uid_t
series_group_uid(const struct series *series, bool *ret_given)
{
	*ret_given = series->group->given;
	return series->group->uid;
}

uint32_t
series_id(const struct series *series)
{
	return series->id;
}

void
groups_each_changed(struct groups *groups,
	void (*tell)(void *arg, const struct series *series,
		const struct group_view *group, const struct series_view *view),
	void *arg)
{
	for (size_t i = 0; i < groups->count; i++) {
		struct group_view group = groups_view(groups, i);

		for (size_t j = 0; j < group.series_count; j++) {
			struct series_view view = groups_series_view(groups, i, j);
			struct series *series = groups->groups[i]->series[j];

			if (series->changed)
				tell(arg, series, &group, &view);
			series->changed = false;
		}
	}
}

uint64_t
groups_take_longest_ns(struct groups *groups, size_t index)
{
	const struct group *group = groups->groups[index];
	uint64_t longest_ns = 0;

	for (size_t i = 0; i < group->series_count; i++) {
		struct series *series = group->series[i];

		if (series->longest_ns > longest_ns)
			longest_ns = series->longest_ns;
		series->longest_ns = 0;
	}
	return longest_ns;
}

size_t
groups_count(const struct groups *groups)
{
	return groups->count;
}

struct group *
groups_at(const struct groups *groups, size_t index)
{
	return groups->groups[index];
}

struct group_view
groups_view(const struct groups *groups, size_t index)
{
	const struct group *group = groups->groups[index];
	struct group_view view = {
		.groupname = group->name,
		.id = group->id,
		.runtime = group->runtime,
		.user = group->user,
		.processes = group->processes,
		.series_count = group->series_count,
	};

	for (size_t i = 0; i < group->series_count; i++)
		view.loops += group->series[i]->loops;
	return view;
}

struct series_view
groups_series_view(const struct groups *groups, size_t group, size_t index)
{
	const struct series *series = groups->groups[group]->series[index];

	return (struct series_view){
		.loop = series->loop,
		.total = &series->total,
		.window = &series->window.sum,
		.open_ns = series->open_ns,
		.open_count = series->open_count,
		.loops = series->loops,
		.stalls = &series->stalls,
		.stalled = series->stalled,
		.stall_age_ns = series->stall_age_ns,
		.last_stalls = series->last_stalls,
		.started_ns = series->started_ns,
	};
}
