/* SPDX-License-Identifier: MIT */
/* The list of targets; see targets.h. */

#include "config.h"

#include "daemon/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/fd_store.h"
#include "daemon/hello.h"
#include "daemon/quota.h"
#include "daemon/reader.h"
#include "daemon/reception.h"
#include "daemon/target.h"
#include "daemon/targets_private.h"

/* So long may a part of a round take: of one that reads, of quick looks. */
#define READ_NS 500000ull
#define WATCH_NS 2000000ull
/* Descriptors that are left for all else. */
#define DESCRIPTORS_KEPT 512
/* A process without a segment that has died leaves no child that is longer in coming. */
#define ABSENT_NS 2000000000ull

struct targets *
targets_new(struct event_loop *loop, struct groups *groups, const struct naming *naming,
	struct target_stalls *stalls, struct collector_stats *stats, struct quota *quota)
{
	struct targets *targets = calloc(1, sizeof(*targets));

	if (!targets)
		return NULL;
	TAILQ_INIT(&targets->entries);
	for (size_t i = 0; i < TARGETS_CHAINS; i++)
		TAILQ_INIT(&targets->chains[i]);
	targets->loop = loop;
	targets->groups = groups;
	targets->naming = naming;
	targets->stalls = stalls;
	targets->stats = stats;
	targets->quota = quota;
	targets->orphan_ns = TARGETS_ORPHAN_NS;
	return targets;
}

/* Where the entries of a group are, and those of some others. */
static struct entries *
find_chain(struct targets *targets, const struct group *group)
{
	return &targets->chains[(uintptr_t)group / 64 % TARGETS_CHAINS];
}

static void
insert_entry(struct targets *targets, struct entry *entry)
{
	TAILQ_INSERT_TAIL(&targets->entries, entry, entry);
	entry->group = target_group(entry->target);
	TAILQ_INSERT_TAIL(find_chain(targets, entry->group), entry, member);
}

/* The target may have found its group, which it keeps. */
static void
follow_group(struct entry *entry)
{
	struct targets *targets = entry->targets;

	if (entry->group || !target_group(entry->target))
		return;
	TAILQ_REMOVE(find_chain(targets, NULL), entry, member);
	entry->group = target_group(entry->target);
	TAILQ_INSERT_TAIL(find_chain(targets, entry->group), entry, member);
}

static void
remove_entry(struct entry *entry)
{
	struct targets *targets = entry->targets;
	const struct segment_header *header;
	struct entry *other;

	if (targets->next == entry)
		targets->next = TAILQ_NEXT(entry, entry);
	if (targets->asked == entry)
		targets->asked = TAILQ_NEXT(entry, entry);
	if (targets->watched == entry)
		targets->watched = TAILQ_NEXT(entry, entry);
	if (targets->saved == entry)
		targets->saved = TAILQ_NEXT(entry, entry);
	TAILQ_REMOVE(&targets->entries, entry, entry);
	TAILQ_REMOVE(find_chain(targets, entry->group), entry, member);
	TAILQ_FOREACH (other, &targets->entries, entry)
		if (target_older(other->target) == entry->target)
			target_set_older(other->target, target_older(entry->target));
	event_watch_free(entry->death);
	/* What it had before it registered anew is known there. */
	targets->stats->dropped_restart +=
		target_count_lost(entry->target, !entry->superseded);
	targets->changed = targets->partial = true;
	target_unsave(entry->target, targets->ledger);
	if (entry->kept && target_segment(entry->target, &header) >= 0)
		fd_store_drop(header);
	quota_return(
		targets->quota, target_uid(entry->target), QUOTA_SEGMENTS, entry->units);
	target_free(entry->target);
	free(entry);
}

void
targets_free(struct targets *targets)
{
	struct entry *entry;

	if (!targets)
		return;
	/* Who comes after us will find what was saved, and what the manager has. */
	if (targets->ledger)
		TAILQ_FOREACH (entry, &targets->entries, entry)
			entry->kept = false;
	targets->ledger = NULL;
	while (!TAILQ_EMPTY(&targets->entries))
		remove_entry(TAILQ_FIRST(&targets->entries));
	free(targets->registrants);
	free(targets);
}

static void
read_entry(struct entry *entry, uint64_t now_ns, bool routine)
{
	struct target_reading reading = {
		.now_ns = now_ns, .stats = entry->targets->stats, .routine = routine};

	/* What it has found goes on, whatever kept the loop from telling that it woke. */
	if (target_read(entry->target, &reading))
		entry->rest.wakes = NULL;
	follow_group(entry);
}

/* The registrant is no more. What it has left is read when its turn comes: a thousand may
 * end at once. */
static void
on_death(void *arg)
{
	struct entry *entry = arg;

	event_watch_free(entry->death);
	entry->death = NULL;
	entry->targets->changed = true;
	target_died(entry->target, event_now_ns());
}

/* The one that has been an orphan longest, of one user or (-1) of all. */
static struct entry *
find_orphan(struct targets *targets, uid_t uid)
{
	struct entry *entry, *oldest = NULL;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		if (entry->orphan_since_ns &&
			(uid == (uid_t)-1 || target_uid(entry->target) == uid) &&
			(!oldest || entry->orphan_since_ns < oldest->orphan_since_ns))
			oldest = entry;
	return oldest;
}

/* How many targets we have descriptors for. */
static size_t
find_capacity(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit.rlim_cur = 1024;
	return limit.rlim_cur > 2 * DESCRIPTORS_KEPT
		       ? (limit.rlim_cur - DESCRIPTORS_KEPT) / 2
		       : limit.rlim_cur / 4;
}

/* How much of a quota a segment is. */
static unsigned
find_units(uint32_t slot_count)
{
	return (slot_count + SEGMENT_SLOTS_DEFAULT - 1) / SEGMENT_SLOTS_DEFAULT;
}

/* See to it that the user has room for so much more, and take that. Returns 0, or -1 with
 * the reason. */
static int
make_room(struct targets *targets, uid_t uid, unsigned units,
	enum collector_reason *ret_reason)
{
	struct entry *orphan;
	int r;

	quota_set_total(targets->quota, QUOTA_SEGMENTS, find_capacity());
	while ((r = quota_take(targets->quota, uid, QUOTA_SEGMENTS, units)) < 0) {
		*ret_reason = r == -EDQUOT ? COLLECTOR_QUOTA : COLLECTOR_RESOURCES;
		orphan = find_orphan(targets, r == -EDQUOT ? uid : (uid_t)-1);
		if (!orphan)
			return -1;
		remove_entry(orphan);
	}
	return 0;
}

/* Whether the process has, or had before its segment was lost, a loop in the target. */
static bool
has_member(const struct entry *entry, pid_t pid)
{
	return target_is_absent(entry->target)
		       ? target_had_member(entry->target, pid)
		       : family_has_member(target_family(entry->target), pid);
}

/* The process of the other one has registered anew, with this one, and may tell that its loops
 * wake there from now on. */
static void
replace(struct entry *entry, struct entry *other)
{
	target_set_older(entry->target, other->target);
	other->rest.wakes = NULL;
}

/* Find what is known of the target's process already. Returns 0, or -1 if this very
 * registration is. */
static int
relate(struct targets *targets, struct entry *entry, const struct segment_hello *hello,
	uint64_t now_ns)
{
	struct entry *other;

	targets->partial = targets->partial || hello->registrations;
	TAILQ_FOREACH (other, &targets->entries, entry) {
		if (other->pid != entry->pid && !hello->registrations)
			continue;
		if (!target_is_same_process(other->target, entry->target)) {
			if (hello->registrations && target_pid(entry->target) > 0 &&
				has_member(other, target_pid(entry->target)))
				replace(entry, other);
			continue;
		}
		if (target_repeats(entry->target, other->target))
			return -1;
		other->superseded = targets->partial = true;
		target_touch(other->target);
		if (target_is_absent(other->target) &&
			!target_is_same_program(other->target, entry->target))
			target_died(other->target, now_ns);
		replace(entry, other);
	}
	return 0;
}

/* Make an entry of a guest. Returns NULL with the reason; the guest's descriptors are
 * closed then. */
static struct entry *
entry_new(struct targets *targets, const struct reception_guest *guest, uint64_t now_ns,
	enum collector_reason *ret_reason)
{
	struct entry *entry = NULL;
	struct segment_header header;
	unsigned units = 0;

	*ret_reason = COLLECTOR_HEADER;
	if (reader_read_header(guest->fd, &header) < 0 ||
		hello_check_header(&guest->hello, &header, ret_reason) < 0 ||
		make_room(targets, guest->uid, find_units(header.slot_count),
			ret_reason) < 0)
		goto fail;
	units = find_units(header.slot_count);
	*ret_reason = COLLECTOR_RESOURCES;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		goto fail;
	entry->target = target_new(guest, &header, targets->groups, targets->naming,
		targets->stalls, targets->quota, now_ns);
	if (!entry->target)
		goto fail;
	entry->targets = targets;
	entry->pid = guest->pid;
	entry->units = units;
	return entry;
fail:
	quota_return(targets->quota, guest->uid, QUOTA_SEGMENTS, units);
	free(entry);
	close(guest->fd);
	if (guest->pidfd >= 0)
		close(guest->pidfd);
	return NULL;
}

static void
await_death(struct entry *entry)
{
	if (target_is_alive(entry->target) && target_pidfd(entry->target) >= 0)
		entry->death = event_readable(entry->targets->loop,
			target_pidfd(entry->target), on_death, entry);
}

int
targets_admit(struct targets *targets, const struct reception_guest *guest,
	enum collector_reason *ret_reason)
{
	uint64_t now_ns = event_now_ns();
	struct entry *entry = entry_new(targets, guest, now_ns, ret_reason);

	if (!entry)
		return -1;
	if (relate(targets, entry, &guest->hello, now_ns) < 0) {
		quota_return(targets->quota, guest->uid, QUOTA_SEGMENTS, entry->units);
		target_free(entry->target);
		free(entry);
		*ret_reason = COLLECTOR_HEADER;
		return -1;
	}
	insert_entry(targets, entry);
	targets->stats->targets++;
	await_death(entry);
	return 0;
}

/* Whether the registrant is a process that is counted here. */
static bool
is_counted(const struct entry *entry)
{
	return !entry->superseded && target_is_alive(entry->target) &&
	       !target_is_absent(entry->target);
}

static int
compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* Note who is counted by itself, wherever else it has loops. */
static void
find_registrants(struct targets *targets)
{
	size_t count = 0;
	struct entry *entry;
	pid_t *pids;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		count++;
	targets->registrant_count = 0;
	pids = reallocarray(targets->registrants, count + 1, sizeof(*pids));
	if (!pids)
		return;
	targets->registrants = pids;
	TAILQ_FOREACH (entry, &targets->entries, entry)
		if (is_counted(entry))
			pids[targets->registrant_count++] = target_pid(entry->target);
	qsort(pids, targets->registrant_count, sizeof(*pids), compare_pids);
}

/* Whether a process is the registrant of any target, which is counted there. */
static bool
is_registrant(void *arg, pid_t pid)
{
	const struct targets *targets = arg;

	return bsearch(&pid, targets->registrants, targets->registrant_count, sizeof(pid),
		compare_pids);
}

/* Whether nobody has loops in a target any more, and its process will have none. */
static bool
is_left(const struct entry *entry)
{
	struct family *family = target_family(entry->target);
	bool unseen = target_pidfd(entry->target) < 0 && target_pid(entry->target) <= 0;

	/* The process's threads keep their records here when their loops have moved. */
	if (entry->superseded && !target_count_loops(entry->target))
		return !family_has_living(family, true);
	/* Its loops may still come back, wherever the process has registered since. */
	if (target_is_absent(entry->target) && target_is_alive(entry->target))
		return unseen && !family_has_living(family, false);
	return (entry->superseded || unseen || !target_is_alive(entry->target)) &&
	       !family_has_living(family, false);
}

/* Forget orphans that are too old or too many. */
static void
forget_orphans(struct targets *targets, uint64_t now_ns)
{
	struct entry *entry, *next;
	unsigned count = 0;

	for (entry = TAILQ_FIRST(&targets->entries); entry; entry = next) {
		next = TAILQ_NEXT(entry, entry);
		if (!is_left(entry))
			entry->orphan_since_ns = 0;
		else if (!entry->orphan_since_ns)
			entry->orphan_since_ns = now_ns;
		else if (now_ns - entry->orphan_since_ns >
			 (target_is_absent(entry->target) ? ABSENT_NS
							  : targets->orphan_ns)) {
			remove_entry(entry);
			continue;
		}
		count += entry->orphan_since_ns != 0;
	}
	while (count-- > TARGETS_ORPHANS)
		remove_entry(find_orphan(targets, (uid_t)-1));
}

void
targets_keep_orphans(struct targets *targets, uint64_t kept_ns)
{
	targets->orphan_ns = kept_ns < TARGETS_ORPHAN_NS ? kept_ns : TARGETS_ORPHAN_NS;
}

void
targets_keep_groups(const struct targets *targets, uint64_t now_ns)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		target_keep_groups(entry->target,
			(target_is_alive(entry->target) && !entry->superseded) ||
				family_has_living(target_family(entry->target), false),
			now_ns);
}

void
targets_read_begin(struct targets *targets)
{
	targets->asked = TAILQ_FIRST(&targets->entries);
}

bool
targets_read_more(struct targets *targets, uint64_t now_ns)
{
	while (targets->asked) {
		struct entry *entry = targets->asked;

		targets->asked = TAILQ_NEXT(entry, entry);
		read_entry(entry, now_ns, false);
		if (event_now_ns() - now_ns > READ_NS)
			return true;
	}
	find_registrants(targets);
	return false;
}

void
targets_tell(struct targets *targets, const struct group *group)
{
	struct entry *entry, *next;

	for (entry = TAILQ_FIRST(find_chain(targets, group)); entry; entry = next) {
		next = TAILQ_NEXT(entry, member);
		if (entry->group != group)
			continue;
		target_tell(entry->target);
		target_count_processes(entry->target,
			is_counted(entry) + family_count(target_family(entry->target),
						    is_registrant, targets));
		follow_group(entry);
	}
}

size_t
targets_count_loops(const struct targets *targets)
{
	struct entry *entry;
	size_t count = 0;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		if (!target_is_absent(entry->target))
			count += target_count_loops(entry->target);
	return count;
}

bool
targets_read_some(struct targets *targets, uint64_t now_ns)
{
	if (!targets->next)
		targets->next = TAILQ_FIRST(&targets->entries);
	while (targets->next) {
		struct entry *entry = targets->next;

		targets->next = TAILQ_NEXT(entry, entry);
		read_entry(entry, now_ns, true);
		if (event_now_ns() - now_ns > READ_NS)
			return true;
	}
	forget_orphans(targets, now_ns);
	return false;
}

static void
watch_entry(struct entry *entry, const struct target_reading *reading, uint64_t rest_ns)
{
	if (target_rests(&entry->rest)) {
		entry->watch_ns = target_next_look(rest_ns, reading->now_ns);
		return;
	}
	entry->watch_ns = target_watch(entry->target, reading, &entry->rest);
	follow_group(entry);
}

bool
targets_look_more(struct targets *targets, uint64_t now_ns)
{
	struct target_reading reading = {
		.now_ns = now_ns, .stats = targets->stats, .at_once = true};

	while (targets->asked) {
		struct entry *entry = targets->asked;

		targets->asked = TAILQ_NEXT(entry, entry);
		watch_entry(entry, &reading, targets->stalls->rest_ns);
		if (event_now_ns() - now_ns > READ_NS)
			return true;
	}
	return false;
}

bool
targets_watch(struct targets *targets, uint64_t now_ns, uint64_t *ret_next_ns)
{
	struct target_reading reading = {.now_ns = now_ns, .stats = targets->stats};
	struct entry *first = TAILQ_FIRST(&targets->entries), *entry = targets->watched;
	uint64_t rest_ns = targets->stalls->rest_ns;

	if (!entry) {
		targets->watch_ns = UINT64_MAX;
		entry = first;
	}
	if (!first ||
		(!TAILQ_NEXT(first, entry) && target_pid(first->target) == getpid()))
		entry = NULL;
	for (; entry; entry = TAILQ_NEXT(entry, entry)) {
		/* Where one is late others are not looked at more often for that. */
		if (now_ns >= entry->watch_ns) {
			if (event_now_ns() - now_ns > WATCH_NS)
				break;
			watch_entry(entry, &reading, rest_ns);
		}
		if (entry->watch_ns < targets->watch_ns)
			targets->watch_ns = entry->watch_ns;
	}
	targets->watched = entry;
	if (!entry)
		*ret_next_ns = targets->watch_ns;
	return !entry;
}

struct target *
targets_restore(struct targets *targets, const struct target_past *past, int fd,
	bool kept, struct target *older)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->target = target_restore(past, fd, targets->groups, targets->naming,
		targets->stalls, targets->quota);
	if (!entry->target) {
		free(entry);
		return NULL;
	}
	entry->targets = targets;
	entry->pid = past->pid;
	entry->superseded = past->superseded;
	entry->kept = kept && fd >= 0;
	/* Who was let in once is not put out now. */
	if (quota_take(targets->quota, past->uid, QUOTA_SEGMENTS,
		    find_units(past->header.slot_count)) == 0)
		entry->units = find_units(past->header.slot_count);
	target_set_older(entry->target, older);
	insert_entry(targets, entry);
	await_death(entry);
	return entry->target;
}

bool
targets_miss_any(const struct targets *targets)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, &targets->entries, entry)
		if (target_is_absent(entry->target) && target_is_alive(entry->target))
			return true;
	return false;
}
