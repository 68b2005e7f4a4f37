/* SPDX-License-Identifier: MIT */
/*
 * The collector: accepts targets on the probe socket, reads their segments, and keeps the
 * groups. looplagd is this behind HTTP; `looplag run` is this behind a report.
 */
#ifndef LOOPLAG_DAEMON_COLLECTOR_H
#define LOOPLAG_DAEMON_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/captures.h"

struct collector;
struct configuration;
struct configuration_rule;
struct event_loop;
struct fd_store;
struct group_view;
struct groups;
struct past;
struct ledger;
struct processes;
struct stalls;

/* Why a segment or a connection was refused: the label `reason` of
 * looplag_rejected_segments_total, in this order. */
enum collector_reason {
	COLLECTOR_HELLO,      /* not one whole hello message */
	COLLECTOR_VERSION,    /* another version */
	COLLECTOR_DESCRIPTOR, /* none, too many, or one that is not a sealed memfd */
	COLLECTOR_SIZE,       /* not the size that its header and hello say */
	COLLECTOR_SEALS,      /* could still be truncated */
	COLLECTOR_HEADER,     /* offsets or counts that cannot be */
	COLLECTOR_TIMEOUT,    /* connected, and said nothing */
	COLLECTOR_QUOTA,      /* one user had too many */
	COLLECTOR_RESOURCES,  /* the daemon ran out of descriptors or memory */
	COLLECTOR_REASONS
};

const char *
collector_reason_name(enum collector_reason reason);

/* Why loops were not seen: looplag_dropped_loops_total. */
struct collector_stats {
	uint64_t rejected[COLLECTOR_REASONS];
	uint64_t dropped_slots;   /* no free slot in the segment */
	uint64_t dropped_threads; /* no free thread record */
	uint64_t waits;           /* all wait calls that all probes have seen */
	uint64_t targets;         /* segments accepted so far */
	uint64_t hidden;          /* of those, whose processes we cannot see */
	uint64_t dropped_restart; /* lost when a daemon was replaced by another one */
	uint64_t dropped_quota;   /* one user had too many */
	uint64_t captures[CAPTURES_RESULTS];
	uint64_t missed; /* long iterations that were overwritten before they were read */
};

struct collector_options {
	int socket;                /* listening SOCK_SEQPACKET, non-blocking; borrowed */
	const char *doorbell_path; /* made, or NULL for none */
	const char *own_groupname; /* group of this very process, or NULL */
	bool ignore_units;         /* name groups by wish and command alone */
	struct ledger *ledger;     /* where the history is kept, or NULL; borrowed */
	struct fd_store *kept;     /* segments that came back; NULL without a ledger */
	struct past *history; /* to be recovered from the ledger, or NULL; borrowed */
	unsigned processes;   /* how many rows of processes there may be */
	bool socket_kept;     /* `socket` was there all the time: nobody has missed it */
};

/* Start to accept on `loop`. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
collector_open(struct event_loop *loop, const struct collector_options *options,
	struct collector **ret_collector);
void
collector_close(struct collector *collector);

/* Name the groups of targets that come from now on by these rules first. Borrowed. */
void
collector_set_rules(struct collector *collector, const struct configuration_rule *rules,
	size_t count);

/* Take over what the configuration says of stalls, from now on. It may be called again;
 * before the first time its defaults hold. */
void
collector_configure(
	struct collector *collector, const struct configuration *configuration);

/* Read all segments now. Call it before looking at the groups, and collector_save() before
 * anybody is told: that must never be told otherwise. */
void
collector_read(struct collector *collector);

/* The same in parts, each of which is short: begin; read more as long as that returns true;
 * then have each group told, by its index, before looking at it in the same turn of the
 * loop. */
void
collector_read_begin(struct collector *collector);
bool
collector_read_more(struct collector *collector);
void
collector_tell_group(struct collector *collector, size_t index);

/* Instead of collector_read_more(), and without telling groups: only find the stalls that
 * there are by now, which is much less work where most loops wait. */
bool
collector_look_more(struct collector *collector);

/* While somebody holds them no group is forgotten. */
void
collector_hold(struct collector *collector);
void
collector_release(struct collector *collector);

/* From now on fn(arg, group) is called when a group is about to be forgotten. */
void
collector_on_forget(struct collector *collector,
	void (*fn)(void *arg, const struct group_view *group), void *arg);

/* Put all that is known into the ledger now; or, before that, a part of it, which is short, as
 * long as that returns true. */
void
collector_save(struct collector *collector);
bool
collector_save_more(struct collector *collector);

/* How many loops live, as was seen last. */
size_t
collector_count_loops(const struct collector *collector);

/* Borrowed; changes with every read. */
struct groups *
collector_groups(struct collector *collector);
/* Borrowed; found at any time, and up to date after a read. */
struct stalls *
collector_stalls(struct collector *collector);
/* Borrowed; as of the last read. NULL: none were wanted. */
struct processes *
collector_processes(struct collector *collector);
struct collector_stats
collector_stats(const struct collector *collector);

#endif
