/* SPDX-License-Identifier: MIT */
/* Groups in which nobody lives any more; see groups.h. */

#include "config.h"

#include "daemon/groups_private.h"

#include <string.h>

#include "daemon/quota.h"

void
groups_each_forgotten(
	struct groups *groups, void (*tell)(void *arg, uint32_t series_id), void *arg)
{
	for (uint32_t id = 0; id < GROUPS_SERIES_MAX_ID; id++) {
		if (groups->forgotten[id])
			tell(arg, id);
		groups->forgotten[id] = false;
	}
}

void
groups_begin_sweep(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		groups->groups[i]->kept =
			strcmp(groups->groups[i]->name, GROUPS_OVERFLOW) == 0;
}

void
group_keep(struct group *group, bool living, uint64_t now_ns)
{
	group->kept = true;
	if (living)
		group->living_ns = now_ns;
}

void
series_keep(struct series *series, bool living, uint64_t now_ns)
{
	group_keep(series->group, living, now_ns);
}

/* Remove a group, and give back what it had. */
static void
forget(struct groups *groups, struct group *group)
{
	for (size_t i = 0; i < group->series_count; i++) {
		const struct series *series = group->series[i];

		quota_return(groups->quota, series->uid, QUOTA_SERIES, series->paid);
		groups->series_ids[series->id] = false;
		groups->forgotten[series->id] = true;
	}
	groups->series_count -= group->series_count;
	quota_return(
		groups->quota, group->given ? 0 : group->uid, QUOTA_GROUPS, group->paid);
	groups->ids[group->id] = false;
	group_free(group);
}

size_t
groups_forget(struct groups *groups, uint64_t now_ns, uint64_t kept_ns,
	void (*tell)(void *arg, const struct group_view *group), void *arg)
{
	size_t left = 0, before = groups->count;

	for (size_t i = 0; i < before; i++) {
		struct group *group = groups->groups[i];
		struct group_view view = groups_view(groups, i);

		/* Of what was there before the first sweep nobody knows more. */
		if (!group->living_ns)
			group->living_ns = now_ns;
		if (group->kept || now_ns - group->living_ns < kept_ns) {
			groups->groups[left++] = group;
			continue;
		}
		tell(arg, &view);
		forget(groups, group);
	}
	groups->count = left;
	return before - left;
}
