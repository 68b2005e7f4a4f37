/* SPDX-License-Identifier: MIT */
/*
 * The collector: the reception lets guests in, the targets are read once a second and
 * whenever somebody wants to know, and the groups hold what came of it. The watch looks
 * for stalls all the time.
 */

#include "config.h"

#include "daemon/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/configuration.h"
#include "daemon/doorbell.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/past.h"
#include "daemon/ledger.h"
#include "daemon/log.h"
#include "daemon/naming.h"
#include "daemon/processes.h"
#include "daemon/quota.h"
#include "daemon/reception.h"
#include "daemon/recovery.h"
#include "daemon/stalls.h"
#include "daemon/target.h"
#include "daemon/targets.h"
#include "daemon/watch.h"

/* Windows and deaths are right without anybody who asks: a round in each period. */
#define PERIOD_NS 1000000000ull
#define PAUSE_NS 2000000ull
/* What nobody has asked for can be counted again, so there is time to keep it. */
#define SAVE_NS 10000000000ull
/* Until somebody knows better. */
#define THRESHOLD_NS 100000000ull
#define CAPTURES_PER_MINUTE 30
/* Between two looks for groups to forget. */
#define SWEEP_NS 60000000000ull

struct collector {
	struct event_loop *loop;
	struct quota *quota;
	struct groups *groups;
	struct targets *targets;
	struct reception *reception;
	struct doorbell *doorbell;
	struct event_watch *period, *pause;
	struct target_stalls stalls;
	struct watch *watch;
	struct naming naming;
	char *own_groupname; /* the name in it */
	struct ledger *ledger;
	uint64_t save_ns;  /* when at the latest */
	uint64_t keep_ns;  /* how long groups are kept in which nobody lives */
	uint64_t sweep_ns; /* when to look for those again */
	unsigned holders;
	void (*on_forget)(void *arg, const struct group_view *group);
	void *on_forget_arg;
	uint64_t past_captures[CAPTURES_RESULTS];
	uint64_t told_quota; /* of the loops that were dropped for that */
	struct collector_stats stats;
};

const char *
collector_reason_name(enum collector_reason reason)
{
	static const char *const names[COLLECTOR_REASONS] = {
		[COLLECTOR_HELLO] = "hello",
		[COLLECTOR_VERSION] = "version",
		[COLLECTOR_DESCRIPTOR] = "descriptor",
		[COLLECTOR_SIZE] = "size",
		[COLLECTOR_SEALS] = "seals",
		[COLLECTOR_HEADER] = "header",
		[COLLECTOR_TIMEOUT] = "timeout",
		[COLLECTOR_QUOTA] = "quota",
		[COLLECTOR_RESOURCES] = "resources",
	};

	return names[reason];
}

/* The same for people. */
static const char *
reason_words(enum collector_reason reason)
{
	static const char *const words[COLLECTOR_REASONS] = {
		[COLLECTOR_HELLO] = "it was no proper message",
		[COLLECTOR_VERSION] = "its probe is of another version",
		[COLLECTOR_DESCRIPTOR] = "not one sealed memfd came with it",
		[COLLECTOR_SIZE] = "its segment has another size than it says",
		[COLLECTOR_SEALS] = "its segment could still be truncated",
		[COLLECTOR_HEADER] = "its segment's header cannot be",
		[COLLECTOR_TIMEOUT] = "it said nothing",
		[COLLECTOR_QUOTA] = "that user has too many",
		[COLLECTOR_RESOURCES] = "looplagd has no descriptors or memory left",
	};

	return words[reason];
}

static void
refuse(void *arg, enum collector_reason reason, uid_t uid)
{
	static struct log_limit limits[COLLECTOR_REASONS];
	struct collector *collector = arg;
	char user[32] = "an unknown user";

	collector->stats.rejected[reason]++;
	if (uid != (uid_t)-1)
		snprintf(user, sizeof(user), "user %u", uid);
	log_warn_limited(&limits[reason], event_now_ns(), "collector",
		"refused a registration of %s: %s", user, reason_words(reason));
}

/* Count, and say once in a while, that a process is in a pid namespace that is not ours. */
static void
note_hidden(struct collector *collector, const struct reception_guest *guest)
{
	static struct log_limit limit;

	collector->stats.hidden++;
	log_warn_limited(&limit, event_now_ns(), "collector",
		"cannot see a process of user %u that registered, as it is in another "
		"pid namespace: it is measured, but it names its group itself, and "
		"causes "
		"of stalls and names of threads are unknown; run looplagd with the pids "
		"of the host",
		guest->uid);
}

static void
admit(void *arg, const struct reception_guest *guest)
{
	struct collector *collector = arg;
	enum collector_reason reason;

	if (targets_admit(collector->targets, guest, &reason) < 0) {
		refuse(collector, reason, guest->uid);
		return;
	}
	if (guest->pid <= 0)
		note_hidden(collector, guest);
	ledger_admit(collector->ledger);
	/* Nobody else has its segment. */
	if (collector->ledger && !targets_keep_newest(collector->targets))
		collector_save(collector);
	watch_soon(collector->watch);
}

/* Say when loops are left out, once in a while. */
static void
tell_dropped(struct collector *collector)
{
	static struct log_limit limit;

	if (collector->stats.dropped_quota > collector->told_quota)
		log_warn_limited(&limit, event_now_ns(), "collector",
			"not following all loops: one user has too many");
	collector->told_quota = collector->stats.dropped_quota;
}

static void
set_in_hand(void *arg, unsigned connections)
{
	struct collector *collector = arg;

	ledger_set_in_hand(collector->ledger, connections);
}

static void
forget_group(void *arg, const struct group_view *group)
{
	struct collector *collector = arg;

	if (collector->on_forget)
		collector->on_forget(collector->on_forget_arg, group);
	processes_forget_group(collector->stalls.processes, group->groupname);
	captures_forget_group(collector->stalls.captures, group->groupname);
	stalls_forget_group(collector->stalls.stalls, group->groupname);
}

/* Forget the groups in which nobody has lived for long, if it is time to look for them. Our
 * own one stays in any case. */
static void
sweep(struct collector *collector, uint64_t now_ns)
{
	struct group *own = collector->own_groupname ? groups_find(collector->groups,
							       collector->own_groupname)
						     : NULL;
	uint64_t period_ns = collector->keep_ns / 16;

	if (collector->keep_ns == UINT64_MAX || collector->holders ||
		now_ns < collector->sweep_ns)
		return;
	collector->sweep_ns = now_ns + (period_ns < SWEEP_NS ? period_ns : SWEEP_NS);
	groups_begin_sweep(collector->groups);
	targets_keep_groups(collector->targets, now_ns);
	if (own)
		group_keep(own, true, now_ns);
	/* What targets are known to tell of is saved with what is gone, or not at all. */
	if (groups_forget(collector->groups, now_ns, collector->keep_ns, forget_group,
		    collector))
		collector_save(collector);
}

/* Save a part of what has changed, and the rest after a pause. */
static void
save_some(void *arg)
{
	struct collector *collector = arg;

	event_watch_free(collector->pause);
	collector->pause = NULL;
	if (collector_save_more(collector))
		collector->pause =
			event_after(collector->loop, PAUSE_NS, save_some, collector);
	else
		collector_save(collector);
}

/* Read some targets, and the others of this round after a pause. */
static void
read_some(void *arg)
{
	struct collector *collector = arg;

	event_watch_free(collector->pause);
	collector->pause = NULL;
	tell_dropped(collector);
	sweep(collector, event_now_ns());
	if (targets_read_some(collector->targets, event_now_ns()))
		collector->pause =
			event_after(collector->loop, PAUSE_NS, read_some, collector);
	else if (targets_have_changed(collector->targets) ||
		 event_now_ns() >= collector->save_ns)
		save_some(collector);
}

static void
set_stalls(struct collector *collector, uint64_t threshold_ns, bool stacks,
	unsigned captures_per_minute)
{
	struct captures_settings settings = {
		.stacks = stacks,
		.per_minute = captures_per_minute,
		.threshold_ns = threshold_ns,
	};

	collector->stalls.threshold_ns = threshold_ns;
	collector->stalls.tick_ns = watch_tick_ns(threshold_ns);
	collector->stalls.rest_ns = watch_rest_ns(collector->stalls.tick_ns);
	watch_set_tick(collector->watch, collector->stalls.tick_ns);
	captures_set(collector->stalls.captures, &settings);
}

static int
make_targets(struct collector *collector)
{
	collector->quota = quota_new();
	collector->groups = groups_new();
	if (collector->quota && collector->groups) {
		groups_set_quota(collector->groups, collector->quota);
		collector->targets = targets_new(collector->loop, collector->groups,
			&collector->naming, &collector->stalls, &collector->stats,
			collector->quota);
	}
	return collector->targets ? 0 : -ENOMEM;
}

/* Go on where the daemon before us was ended. Without its history there is nobody. */
static int
recover(struct collector *collector, struct fd_store *kept, struct past *history)
{
	struct ledger *ledger = collector->ledger;
	struct collector_stats *stats = &collector->stats;

	if (ledger_has_history(ledger) &&
		recovery_run(ledger, kept, collector->groups, collector->targets, stats,
			history) < 0) {
		ledger_reject_history(ledger);
		if (history)
			past_clear(history);
		targets_free(collector->targets);
		groups_free(collector->groups);
		quota_free(collector->quota);
		collector->targets = NULL;
		*stats = (struct collector_stats){0};
		if (make_targets(collector) < 0)
			return -ENOMEM;
	}
	collector->stalls.history = ledger_has_history(ledger);
	/* Nobody will ever know what they were. */
	stats->dropped_restart += ledger_in_hand(ledger);
	collector->stalls.lost = stats->missed;
	collector->told_quota = stats->dropped_quota;
	memcpy(collector->past_captures, stats->captures, sizeof(stats->captures));
	targets_set_ledger(collector->targets, ledger);
	return 0;
}

/* Whether there may be targets that we do not know. */
static bool
may_miss_any(const struct collector *collector, const struct collector_options *options)
{
	return !options->socket_kept || !collector->stalls.history ||
	       ledger_in_hand(collector->ledger) || targets_miss_any(collector->targets);
}

int
collector_open(struct event_loop *loop, const struct collector_options *options,
	struct collector **ret_collector)
{
	struct collector *collector = calloc(1, sizeof(*collector));
	struct reception_calls calls = {admit, refuse, set_in_hand, collector};
	int r = -ENOMEM;

	if (!collector)
		return r;
	collector->loop = loop;
	collector->ledger = options->ledger;
	collector->keep_ns = UINT64_MAX;
	if (options->own_groupname)
		collector->own_groupname = strdup(options->own_groupname);
	collector->naming.own_groupname = collector->own_groupname;
	collector->naming.ignore_units = options->ignore_units;
	collector->stalls.stalls = stalls_new();
	collector->stalls.processes = processes_new(options->processes);
	if (collector->stalls.stalls &&
		!collector->own_groupname == !options->own_groupname &&
		make_targets(collector) == 0 &&
		recover(collector, options->kept, options->history) == 0)
		collector->watch =
			watch_new(loop, collector->targets, collector->stalls.tick_ns);
	collector->period = event_every(loop, PERIOD_NS, read_some, collector);
	if (!collector->watch || !collector->period)
		goto fail;
	r = reception_open(
		loop, options->socket, collector->quota, &calls, &collector->reception);
	if (r == 0 && options->doorbell_path)
		r = doorbell_open(options->doorbell_path, &collector->doorbell);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	collector->stalls.captures = captures_new(
		loop, collector->doorbell, collector->stalls.stalls, collector->quota);
	if (!collector->stalls.captures)
		goto fail;
	set_stalls(collector, THRESHOLD_NS, true, CAPTURES_PER_MINUTE);
	collector_save(collector);
	if (collector->doorbell && may_miss_any(collector, options))
		doorbell_ring_daemon(collector->doorbell);
	set_in_hand(collector, 0);
	*ret_collector = collector;
	return 0;
fail:
	collector_close(collector);
	return r;
}

void
collector_close(struct collector *collector)
{
	if (!collector)
		return;
	reception_close(collector->reception);
	if (collector->watch && collector->stalls.captures)
		collector_save(collector);
	event_watch_free(collector->pause);
	event_watch_free(collector->period);
	watch_free(collector->watch);
	targets_free(collector->targets);
	captures_free(collector->stalls.captures);
	stalls_free(collector->stalls.stalls);
	processes_free(collector->stalls.processes);
	doorbell_close(collector->doorbell);
	groups_free(collector->groups);
	quota_free(collector->quota);
	free(collector->own_groupname);
	free(collector);
}

void
collector_set_rules(
	struct collector *collector, const struct configuration_rule *rules, size_t count)
{
	collector->naming.rules = rules;
	collector->naming.rule_count = count;
}

void
collector_configure(
	struct collector *collector, const struct configuration *configuration)
{
	set_stalls(collector, configuration->threshold_ns, configuration->stacks,
		configuration->captures_per_minute);
	groups_set_max(collector->groups, configuration->max_groups);
	targets_keep_orphans(collector->targets, configuration->keep_groups_ns);
	collector->keep_ns = configuration->keep_groups_ns;
	collector->sweep_ns = 0;
}

void
collector_hold(struct collector *collector)
{
	collector->holders++;
}

void
collector_release(struct collector *collector)
{
	collector->holders--;
	/* There may be no other moment when nobody does. */
	sweep(collector, event_now_ns());
}

void
collector_on_forget(struct collector *collector,
	void (*fn)(void *arg, const struct group_view *group), void *arg)
{
	collector->on_forget = fn;
	collector->on_forget_arg = arg;
}

void
collector_read_begin(struct collector *collector)
{
	targets_read_begin(collector->targets);
	processes_begin_reading(collector->stalls.processes);
}

bool
collector_read_more(struct collector *collector)
{
	if (targets_read_more(collector->targets, event_now_ns()))
		return true;
	targets_tell(collector->targets, NULL);
	return false;
}

bool
collector_look_more(struct collector *collector)
{
	return targets_look_more(collector->targets, event_now_ns());
}

void
collector_tell_group(struct collector *collector, size_t index)
{
	struct group *group = groups_at(collector->groups, index);

	group_begin_reading(group, event_now_ns());
	targets_tell(collector->targets, group);
}

void
collector_read(struct collector *collector)
{
	collector_read_begin(collector);
	while (collector_read_more(collector))
		;
	groups_begin_reading(collector->groups, event_now_ns());
	for (size_t i = 0; i < groups_count(collector->groups); i++)
		targets_tell(collector->targets, groups_at(collector->groups, i));
}

void
collector_save(struct collector *collector)
{
	struct collector_stats stats = collector_stats(collector);

	collector->save_ns = event_now_ns() + SAVE_NS;
	if (!collector->ledger)
		return;
	recovery_save_groups(collector->ledger, collector->groups);
	recovery_save_stats(collector->ledger, &stats);
	targets_save(collector->targets);
	ledger_commit(collector->ledger);
	targets_keep_segments(collector->targets);
}

bool
collector_save_more(struct collector *collector)
{
	return collector->ledger && targets_save_some(collector->targets, event_now_ns());
}

size_t
collector_count_loops(const struct collector *collector)
{
	return targets_count_loops(collector->targets);
}

struct groups *
collector_groups(struct collector *collector)
{
	return collector->groups;
}

struct stalls *
collector_stalls(struct collector *collector)
{
	return collector->stalls.stalls;
}

struct processes *
collector_processes(struct collector *collector)
{
	return collector->stalls.processes;
}

struct collector_stats
collector_stats(const struct collector *collector)
{
	struct collector_stats stats = collector->stats;

	for (int i = 0; i < CAPTURES_RESULTS; i++)
		stats.captures[i] = collector->past_captures[i] +
				    captures_count(collector->stalls.captures,
					    (enum captures_result)i);
	stats.missed = collector->stalls.lost;
	return stats;
}
