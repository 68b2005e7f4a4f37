/* SPDX-License-Identifier: MIT */
/*
 * One table of users; see quota.h. A user has an entry as long as it holds something or has
 * done something of late. Those for whom there is no entry share the first one, and go on
 * with that until nobody holds anything in it, so that what was taken in an entry is
 * returned to it.
 */

#include "config.h"

#include "daemon/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull

/* Of one user, and of root. */
static const struct {
	uint64_t total; /* unless told otherwise */
	uint64_t user, root;
} shares[QUOTA_HELD] = {
	[QUOTA_SEGMENTS] = {65536, 4096, 65536},
	[QUOTA_LOOPS] = {131072, 4096, 65536},
	[QUOTA_GROUPS] = {200, 500, 500}, /* and half of the total at most */
	[QUOTA_SERIES] = {2048, 512, 2048},
	[QUOTA_STACKS] = {256, 64, 256},
	[QUOTA_JOBS] = {64, 16, 64},
};

struct pace {
	uint64_t burst, per_second;
};

static const struct {
	struct pace user, root;
} paces[QUOTA_DONE] = {
	[QUOTA_HANDSHAKES] = {{2048, 256}, {32768, 4096}},
	[QUOTA_LOOKUPS] = {{1024, 512}, {8192, 2048}},
	[QUOTA_LOOKS] = {{4000, 2000}, {32000, 16000}},
	[QUOTA_CAPTURES] = {{240, 4}, {3840, 64}},
};

struct user {
	uid_t uid;
	bool used;
	uint64_t held[QUOTA_HELD];
	uint64_t full_ns[QUOTA_DONE]; /* when it may do a whole burst again */
};

struct quota {
	struct user users[QUOTA_USERS + 1]; /* the first one is of all without */
	struct user *last;                  /* who was looked for last */
	uint64_t totals[QUOTA_HELD], held[QUOTA_HELD];
	uint64_t now_ns;
	uid_t own_uid;
};

struct quota *
quota_new(void)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	if (!quota)
		return NULL;
	for (int i = 0; i < QUOTA_HELD; i++)
		quota->totals[i] = shares[i].total;
	quota->own_uid = geteuid();
	quota->last = &quota->users[0];
	return quota;
}

void
quota_free(struct quota *quota)
{
	free(quota);
}

void
quota_set_total(struct quota *quota, enum quota_held what, uint64_t total)
{
	if (quota)
		quota->totals[what] = total;
}

static bool
holds_anything(const struct user *user)
{
	static const uint64_t nothing[QUOTA_HELD];

	return memcmp(user->held, nothing, sizeof(nothing)) != 0;
}

/* Whether the entry tells nothing that a new one would not. */
static bool
is_idle(const struct quota *quota, const struct user *user)
{
	for (int i = 0; i < QUOTA_DONE; i++)
		if (user->full_ns[i] > quota->now_ns)
			return false;
	return !holds_anything(user);
}

/* The user's entry, or the shared one. */
static struct user *
find(struct quota *quota, uid_t uid)
{
	struct user *room = NULL;

	if (quota->last->used && quota->last->uid == uid)
		return quota->last;
	for (size_t i = 1; i <= QUOTA_USERS; i++) {
		struct user *user = &quota->users[i];

		if (user->used && user->uid == uid)
			return quota->last = user;
		if (!room && (!user->used || is_idle(quota, user)))
			room = user;
	}
	if (!room || holds_anything(&quota->users[0]))
		return &quota->users[0];
	*room = (struct user){.uid = uid, .used = true};
	return quota->last = room;
}

/* Those who could do worse anyway. */
static bool
is_privileged(const struct quota *quota, uid_t uid)
{
	return uid == 0 || uid == quota->own_uid;
}

int
quota_take(struct quota *quota, uid_t uid, enum quota_held what, unsigned count)
{
	uint64_t left, share;
	struct user *user;

	if (!quota)
		return 0;
	user = find(quota, uid);
	left = quota->totals[what] > quota->held[what]
		       ? quota->totals[what] - quota->held[what]
		       : 0;
	if (count > left)
		return -ENOSPC;
	share = is_privileged(quota, uid) ? shares[what].root : shares[what].user;
	if (user->held[what] + count > share)
		return -EDQUOT;
	if (!is_privileged(quota, uid) && user->held[what] + count > left)
		return -EDQUOT;
	user->held[what] += count;
	quota->held[what] += count;
	return 0;
}

void
quota_return(struct quota *quota, uid_t uid, enum quota_held what, unsigned count)
{
	if (!quota)
		return;
	find(quota, uid)->held[what] -= count;
	quota->held[what] -= count;
}

static const struct pace *
pace_of(const struct quota *quota, uid_t uid, enum quota_done what)
{
	return is_privileged(quota, uid) ? &paces[what].root : &paces[what].user;
}

int
quota_do(struct quota *quota, uid_t uid, enum quota_done what, uint64_t now_ns)
{
	const struct pace *pace;
	uint64_t period_ns;
	struct user *user;

	if (!quota)
		return 0;
	if (now_ns > quota->now_ns)
		quota->now_ns = now_ns;
	user = find(quota, uid);
	pace = pace_of(quota, uid, what);
	period_ns = NS_PER_SECOND / pace->per_second;
	if (user->full_ns[what] < quota->now_ns)
		user->full_ns[what] = quota->now_ns;
	if (user->full_ns[what] - quota->now_ns > (pace->burst - 1) * period_ns)
		return -EDQUOT;
	user->full_ns[what] += period_ns;
	return 0;
}

void
quota_owe(struct quota *quota, uid_t uid, enum quota_done what, unsigned count)
{
	if (quota)
		find(quota, uid)->full_ns[what] +=
			count * NS_PER_SECOND / pace_of(quota, uid, what)->per_second;
}
