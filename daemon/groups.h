/* SPDX-License-Identifier: MIT */
/*
 * Groups: what is reported together. A group has series, one for each loop label ("main",
 * a thread's name), and a series adds up the counters of all its loops, living and dead.
 *
 * Pure: takes counters and time as arguments. Totals only grow. What an iteration that
 * still lasts adds is not in the totals: it is set anew at each reading (groups_open), so
 * that readers add it themselves and nothing is counted twice when it ends.
 *
 * A group in which nobody has lived for long can be forgotten, with all its series, in a
 * sweep. Who keeps a series has to say so in each sweep; who goes by names or numbers is
 * told, and forgets them, too. A group that comes again later is a new one.
 */
#ifndef LOOPLAG_DAEMON_GROUPS_H
#define LOOPLAG_DAEMON_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/counters.h"
#include "daemon/stall.h"

#define GROUPS_MAX 500               /* whatever is set; less is the default */
#define GROUPS_SERIES_MAX 64         /* in a group */
#define GROUPS_SERIES_TOTAL_MAX 2048 /* in all of them */
#define GROUPS_OVERFLOW "other"

struct groups;
struct group;
struct quota;
struct series;

/* The stalls of a series that have ended, by cause. */
struct stall_counters {
	uint64_t count[STALL_CAUSES];
	uint64_t length_ns[STALL_CAUSES];
	int64_t last_unix_ns; /* when the last one began, ended or not; 0: there was none */
};

/* A stall that has ended, by which others can be found. */
struct series_stall {
	uint64_t id; /* 0: none */
	pid_t pid;   /* 0: unknown */
	uint64_t length_ns;
	int64_t ended_unix_ns;
};

/* The last stall is kept of each power of two of milliseconds. */
#define SERIES_LAST_STALLS 16

/* What a reader sees of a series. Borrowed until the next call that changes the groups. */
struct series_view {
	const char *loop;              /* label */
	const struct counters *total;  /* all ended iterations since the start */
	const struct counters *window; /* those of the last minute or so */
	const uint64_t *open_ns;       /* ages of the iterations that still last */
	size_t open_count;
	unsigned loops; /* living loops */
	const struct stall_counters *stalls;
	unsigned stalled;                       /* loops with an open stall */
	uint64_t stall_age_ns;                  /* of the oldest of those */
	const struct series_stall *last_stalls; /* SERIES_LAST_STALLS of them */
	uint64_t started_ns; /* its totals were 0 then, after the machine was booted */
};

struct group_view {
	const char *groupname;
	uint32_t
		id; /* a number of its own among those that are there, below GROUPS_MAX_ID */
	const char *runtime; /* "node", "python", ...; NULL: unknown */
	const char *user;    /* of its first process; NULL: unknown */
	unsigned processes;  /* living targets */
	unsigned loops;      /* living loops */
	size_t series_count;
};

struct groups *
groups_new(void);
void
groups_free(struct groups *groups);

#define GROUPS_MAX_ID (GROUPS_MAX + 1)

/* From now on users take groups and series from that quota. Borrowed. */
void
groups_set_quota(struct groups *groups, struct quota *quota);

/* From now on no group is made when there are so many, "other" aside; at first it is
 * GROUPS_MAX, which is the most. Those that are there stay. */
void
groups_set_max(struct groups *groups, size_t max);

/*
 * What a target is to be called. A name that is given, by the kernel or a rule, is one group
 * whoever is in it. One that a process has chosen is a group of that user's alone: if the
 * group of that name is not, it is called NAME@UID instead.
 */
struct groups_name {
	const char *name;
	uid_t uid;
	bool given;
};

/* The target's group, made if need be; past the maximum, or the user's quota, the one called
 * "other". Borrowed from `groups`. NULL without memory. */
struct group *
groups_join(struct groups *groups, const struct groups_name *name);

/* The same if it is there, or NULL. */
struct group *
groups_seek(const struct groups *groups, const struct groups_name *name);

/* groups_join() for a name that is given. */
struct group *
groups_get(struct groups *groups, const char *groupname);

/* The group of that name, or NULL. Borrowed from `groups`. */
struct group *
groups_find(const struct groups *groups, const char *groupname);

/* Remember the group's runtime; the first one told stays. */
void
group_set_runtime(struct group *group, const char *runtime);

/* The same for the name of the user. */
void
group_set_user(struct group *group, const char *user);

/* One more, or one less, living target. */
void
group_add_process(struct group *group, int change);

/* The group's series of that label, made if need be for that user; past either maximum, or
 * the user's quota, the one called "other". Borrowed. NULL without memory. */
struct series *
group_series_for(struct group *group, const char *loop, uid_t uid);

/* The same for root. */
struct series *
group_series(struct group *group, const char *loop);

/* Add what a loop did since it was last added. `now_ns` places it in the window. */
void
series_add(struct series *series, const struct counters *delta, uint64_t now_ns);

/* What the series had in another life of the daemon's, and since when; not in its window. */
void
series_restore(struct series *series, const struct counters *total,
	const struct stall_counters *stalls, uint64_t started_ns);

/* Begin a new reading, of all groups or of one: forget which loops live and which
 * iterations are open. */
void
groups_begin_reading(struct groups *groups, uint64_t now_ns);
void
group_begin_reading(struct group *group, uint64_t now_ns);

/* In this reading the series has a living loop, whose iteration has lasted open_ns so
 * far (0: it is attended). */
void
series_saw_loop(struct series *series, uint64_t open_ns);

/* In this reading the iteration counts as one that still lasts, though nobody knows whether
 * its loop lives. */
void
series_saw_open(struct series *series, uint64_t open_ns);

/* In this reading one of its loops has a stall that is open, of that age. */
void
series_saw_stall(struct series *series, uint64_t age_ns);

/* A stall begins; one has ended. */
void
series_begin_stall(struct series *series, int64_t started_unix_ns);
void
series_add_stall(
	struct series *series, enum stall_cause cause, const struct series_stall *stall);

/* Its label, and its group's name. They stay as long as the group does. */
const char *
series_loop(const struct series *series);
const char *
series_groupname(const struct series *series);

/* For whom it was made, and whose the group is. */
uid_t
series_uid(const struct series *series);
uid_t
series_group_uid(const struct series *series, bool *ret_given);

/* A number of its own among all series that are there, below GROUPS_SERIES_MAX_ID. */
#define GROUPS_SERIES_MAX_ID (GROUPS_SERIES_TOTAL_MAX + GROUPS_MAX + 1)
uint32_t
series_id(const struct series *series);

/* Tell of each series whose totals have changed since it was told of. */
void
groups_each_changed(struct groups *groups,
	void (*tell)(void *arg, const struct series *series,
		const struct group_view *group, const struct series_view *view),
	void *arg);

/* Tell of the number of each series that was forgotten since it was told of, before those
 * that have changed: it may be another's by now. */
void
groups_each_forgotten(
	struct groups *groups, void (*tell)(void *arg, uint32_t series_id), void *arg);

/*
 * A sweep: begin it; say of each group and series that is kept that it is, and whether
 * anybody lives there; then forget the groups of which nobody said so and in which nobody
 * has lived for so long, but never "other". Before that it is told of each, to somebody who
 * does not look at the groups then. Returns how many were forgotten.
 */
void
groups_begin_sweep(struct groups *groups);
void
group_keep(struct group *group, bool living, uint64_t now_ns);
void
series_keep(struct series *series, bool living, uint64_t now_ns);
size_t
groups_forget(struct groups *groups, uint64_t now_ns, uint64_t kept_ns,
	void (*tell)(void *arg, const struct group_view *group), void *arg);

/* The longest iteration of a group that has ended since this was asked last. */
uint64_t
groups_take_longest_ns(struct groups *groups, size_t index);

/* For readers: groups and series in the order in which they appeared. */
size_t
groups_count(const struct groups *groups);
struct group *
groups_at(const struct groups *groups, size_t index);
struct group_view
groups_view(const struct groups *groups, size_t index);
struct series_view
groups_series_view(const struct groups *groups, size_t group, size_t series);

/*
 * What users ask of a series, with its open iterations counted in.
 * delay_quantiles: fills ret[i] with the quantile q[i] of the delay, in seconds; from
 * `counters`, which is the view's total or its window.
 */
void
series_delay_quantiles(const struct series_view *view, const struct counters *counters,
	const double *q, size_t count, double *ret);

/*
 * For each limit in seconds, the seconds of loop life in which an event would have waited
 * at most that long: the buckets of the delay's histogram. Of the total they never go back,
 * not even by a rounding, which the difference of two of the numbers below may.
 */
void
series_delay_buckets(const struct series_view *view, const struct counters *counters,
	const double *limits, size_t count, double *ret_seconds);

/*
 * The seconds of loop life by how long an event would have waited: ret_seconds[i] for the
 * band i of histogram.h. They add up to the life. Exact but for nanoseconds, and of the
 * total none ever goes back.
 */
void
series_delay_bands(const struct series_view *view, const struct counters *counters,
	double ret_seconds[HISTOGRAM_BANDS]);

/* Seconds of loop life in which an event would have waited longer than `limit` seconds. */
double
series_excess_seconds(
	const struct series_view *view, const struct counters *counters, double limit);

/* Unattended seconds, attended seconds, and half the sum of squares, open iterations
 * included. */
double
series_active_seconds(const struct series_view *view, const struct counters *counters);
double
series_idle_seconds(const struct series_view *view, const struct counters *counters);
double
series_half_squares(const struct series_view *view, const struct counters *counters);

/* Longest iteration in seconds, open ones included. */
double
series_max_seconds(const struct series_view *view, const struct counters *counters);

#endif
