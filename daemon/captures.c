/* SPDX-License-Identifier: MIT */
/*
 * When stacks are taken and what becomes of them; see captures.h. A stall that is looked
 * at has an entry, until it has ended and nothing is awaited any more:
 *
 *	quiet --due, helper there--> rung --a record, or the deadline--> quiet
 *	quiet --due, no helper-----> traced --the job is done----------> quiet
 *
 * Records (capture_records.h) are also looked for when nobody has rung for them.
 */

#include "config.h"

#include "daemon/captures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/capture_jobs.h"
#include "daemon/capture_records.h"
#include "daemon/doorbell.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/quota.h"
#include "daemon/stalls.h"
#include "probes/segment.h"

#define ENTRIES 256
#define LINGERING_MAX 16
#define MS 1000000ull
#define MINUTE_NS (60000 * MS)
#define ANSWER_NS (2000 * MS) /* so long a helper may take */
#define LINGER_NS (250 * MS)  /* and so long after the stall has ended */
#define LINGER_EVERY_NS (20 * MS)
#define FORGOTTEN_NS (10000 * MS)

static const char over[] = "it was over before its stack was taken";
static const char no_means[] = "looplagd has no descriptors or memory left, or too many "
			       "other stacks to look at";

static const char *const result_names[CAPTURES_RESULTS] = {"taken", "late", "limited",
	"off", "handler", "silent", "over", "refused", "failed"};

struct entry {
	uint64_t stall; /* 0: free */
	uint64_t looked_ns;
	uint64_t due_ns;      /* length at which the next capture is wanted */
	uint64_t deadline_ns; /* rung: until then an answer may come; 0: not rung */
	uint64_t end_ns;      /* the iteration's, as the target's clock has it; 0: open */
	uint64_t forget_ns;   /* ended: nothing is awaited beyond this */
	bool asked;           /* for a stack, at least once */
	bool told;            /* that there is a stack, or why there is none */
	int64_t shift_ns;
	pid_t pid;
	uid_t uid;
	uint32_t runtime;
	struct capture_records records;
};

/* What a group has had in this minute. */
struct share {
	const char *groupname; /* the address tells them apart; NULL: free */
	uint64_t minute_ns;
	unsigned used;
};

struct captures {
	struct event_loop *loop;
	struct doorbell *doorbell;
	struct stalls *stalls;
	struct quota *quota;
	struct capture_jobs *jobs;
	struct event_watch *watch; /* while there are those that linger */
	struct captures_settings settings;
	struct entry entries[ENTRIES];
	struct share shares[GROUPS_MAX_ID];
	unsigned lingering;
	uint64_t counts[CAPTURES_RESULTS];
};

const char *
captures_result_name(enum captures_result result)
{
	return result < CAPTURES_RESULTS ? result_names[result] : "failed";
}

uint64_t
captures_count(const struct captures *captures, enum captures_result result)
{
	return captures->counts[result];
}

/* A job has ended: with a stack, or why there is none. */
static void
take_outcome(void *arg, struct capture_jobs_outcome *outcome)
{
	struct captures *captures = arg;

	if (outcome->result != CAPTURES_RESULTS)
		captures->counts[outcome->result]++;
	stalls_add_sample(captures->stalls, outcome->stall, &outcome->sample);
}

struct captures *
captures_new(struct event_loop *loop, struct doorbell *doorbell, struct stalls *stalls,
	struct quota *quota)
{
	struct captures *captures = calloc(1, sizeof(*captures));

	if (!captures)
		return NULL;
	captures->loop = loop;
	captures->doorbell = doorbell;
	captures->stalls = stalls;
	captures->quota = quota;
	captures->jobs = capture_jobs_new(loop, quota, take_outcome, captures);
	if (!captures->jobs) {
		free(captures);
		return NULL;
	}
	return captures;
}

static void
forget(struct captures *captures, struct entry *entry)
{
	if (entry->forget_ns) {
		close(entry->records.place.segment);
		captures->lingering--;
	}
	quota_return(captures->quota, entry->uid, QUOTA_STACKS, 1);
	*entry = (struct entry){0};
}

void
captures_free(struct captures *captures)
{
	if (!captures)
		return;
	capture_jobs_free(captures->jobs);
	for (unsigned i = 0; i < ENTRIES; i++)
		if (captures->entries[i].stall)
			forget(captures, &captures->entries[i]);
	event_watch_free(captures->watch);
	free(captures);
}

void
captures_set(struct captures *captures, const struct captures_settings *settings)
{
	uint64_t us = settings->threshold_ns / 1000;

	captures->settings = *settings;
	if (captures->doorbell)
		doorbell_set_stall(captures->doorbell, !settings->stacks ? 0
						       : us == 0         ? 1
						       : us < UINT32_MAX ? (uint32_t)us
									 : UINT32_MAX);
}

/* Say in the stall, once, why there is no stack. */
static void
tell(struct captures *captures, struct entry *entry, enum captures_result result,
	const char *missing, uint64_t now_ns)
{
	struct stall_sample sample = {.taken_ns = now_ns, .missing = missing};

	captures->counts[result]++;
	if (entry->told)
		return;
	entry->told = true;
	stalls_add_sample(captures->stalls, entry->stall, &sample);
}

/* What a helper says instead of a stack. */
static void
tell_result(
	struct captures *captures, struct entry *entry, uint32_t result, uint64_t now_ns)
{
	switch (result) {
	case SEGMENT_RESULT_HANDLER:
		tell(captures, entry, CAPTURES_HANDLER,
			"the program has a SIGURG handler of its own", now_ns);
		return;
	case SEGMENT_RESULT_BLOCKED:
		tell(captures, entry, CAPTURES_HANDLER,
			"the thread blocks SIGURG, by which stacks are taken", now_ns);
		return;
	case SEGMENT_RESULT_SILENT:
		tell(captures, entry, CAPTURES_SILENT,
			"the thread did not take the signal in time", now_ns);
		return;
	case SEGMENT_RESULT_OVER:
		tell(captures, entry, CAPTURES_OVER, over, now_ns);
		return;
	case SEGMENT_RESULT_SANDBOX:
		tell(captures, entry, CAPTURES_REFUSED,
			"the program has shut itself in with a system call filter",
			now_ns);
		return;
	default:
		tell(captures, entry, CAPTURES_FAILED,
			"the helper in the program could not take it", now_ns);
	}
}

/* Give a capture away, to become a stack. */
static void
show(struct captures *captures, struct entry *entry, struct capture *capture,
	bool waits_gil, bool provisional, uint64_t now_ns)
{
	struct capture_jobs_request request = {
		.stall = entry->stall,
		.pid = entry->pid,
		.uid = entry->uid,
		.runtime = entry->runtime,
		.shift_ns = entry->shift_ns,
		.end_ns = entry->end_ns,
		.waits_gil = waits_gil,
		.provisional = provisional,
	};

	entry->deadline_ns = 0;
	if (capture_jobs_name(captures->jobs, &request, capture) == 0) {
		entry->told = true;
		return;
	}
	capture_free(capture);
	tell(captures, entry, CAPTURES_FAILED, no_means, now_ns);
}

/* Show what has come. */
static void
collect(struct captures *captures, struct entry *entry, uint64_t now_ns)
{
	struct capture_answer answer;

	capture_records_look(&entry->records, entry->end_ns, now_ns, &answer);
	captures->counts[CAPTURES_TAKEN] += answer.settled;
	if (answer.refused) {
		entry->deadline_ns = 0;
		tell_result(captures, entry, answer.result, now_ns);
	}
	if (answer.capture)
		show(captures, entry, answer.capture, answer.waits_gil,
			answer.provisional, now_ns);
}

/* Whether something may still come that was asked for. */
static bool
awaits(const struct entry *entry)
{
	return entry->deadline_ns || capture_records_await(&entry->records);
}

/* One of the group's share of this minute; half of it is for stalls that have had none.
 * Returns whether there was one left. */
static bool
take_share(struct captures *captures, const char *groupname, bool has_had_one,
	uint64_t now_ns)
{
	unsigned limit = captures->settings.per_minute;
	struct share *share = NULL;

	for (unsigned i = 0; i < GROUPS_MAX_ID && !share; i++)
		if (!captures->shares[i].groupname ||
			captures->shares[i].groupname == groupname)
			share = &captures->shares[i];
	/* More groups than there ever are: they share the last one. */
	if (!share)
		share = &captures->shares[GROUPS_MAX_ID - 1];
	if (!share->groupname || now_ns - share->minute_ns >= MINUTE_NS)
		*share = (struct share){.groupname = groupname, .minute_ns = now_ns};
	if (share->used >= (has_had_one ? (limit + 1) / 2 : limit))
		return false;
	share->used++;
	return true;
}

void
captures_forget_group(struct captures *captures, const char *groupname)
{
	struct share *gone = NULL, *last = NULL;

	for (unsigned i = 0; i < GROUPS_MAX_ID && captures->shares[i].groupname; i++) {
		last = &captures->shares[i];
		if (last->groupname == groupname)
			gone = last;
	}
	if (!gone)
		return;
	*gone = *last;
	*last = (struct share){0};
}

/* Ask for a stack in the way that the target allows. */
static void
ask(struct captures *captures, struct entry *entry, const struct captures_place *place,
	uint64_t now_ns)
{
	struct capture_jobs_request request = {
		.stall = entry->stall,
		.pid = place->pid,
		.runtime = place->header->runtime,
		.shift_ns = place->shift_ns,
	};
	int r;

	if (place->header->helper == SEGMENT_HELPER_AWAKE && captures->doorbell) {
		doorbell_ring(captures->doorbell, place->header->id[0]);
		/* One that has not answered the last time has no more time for that. */
		if (!entry->deadline_ns)
			entry->deadline_ns = now_ns + ANSWER_NS;
		return;
	}
	r = capture_jobs_trace(captures->jobs, &request, place);
	if (r == -ESRCH)
		tell(captures, entry, CAPTURES_OVER, over, now_ns);
	else if (r < 0)
		tell(captures, entry, CAPTURES_FAILED, no_means, now_ns);
}

/* The next capture is due at twice the length of this one. */
static void
ask_if_due(struct captures *captures, struct entry *entry,
	const struct captures_place *place, uint64_t now_ns)
{
	bool has_had_one = entry->asked;

	if (place->length_ns < entry->due_ns)
		return;
	while (entry->due_ns <= place->length_ns)
		entry->due_ns *= 2;
	if (!captures->settings.stacks) {
		entry->due_ns = UINT64_MAX;
		tell(captures, entry, CAPTURES_OFF, "stacks are switched off", now_ns);
	} else if (place->header->helper == SEGMENT_HELPER_REFUSED) {
		entry->due_ns = UINT64_MAX;
		tell(captures, entry, CAPTURES_OFF,
			"the program was started with LOOPLAG_STACKS=0", now_ns);
	} else if (!take_share(captures, place->groupname, has_had_one, now_ns)) {
		tell(captures, entry, CAPTURES_LIMITED,
			"the group had its captures of this minute", now_ns);
	} else if (quota_do(captures->quota, place->uid, QUOTA_CAPTURES, now_ns) < 0) {
		tell(captures, entry, CAPTURES_LIMITED,
			"the user had its captures of this minute", now_ns);
	} else {
		entry->asked = true;
		ask(captures, entry, place, now_ns);
	}
}

/* The stall's entry, a fresh one if it has none; NULL when all are taken. */
static struct entry *
entry_of(struct captures *captures, const struct captures_place *place, uint64_t now_ns)
{
	struct entry *found = NULL;

	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry *entry = &captures->entries[i];

		if (entry->stall == place->stall)
			return entry;
		/* One that nobody looks at any more was lost with its target. */
		if (!entry->stall ||
			(!entry->forget_ns && now_ns - entry->looked_ns > FORGOTTEN_NS))
			found = entry;
	}
	if (found && found->stall)
		forget(captures, found);
	if (!found || quota_take(captures->quota, place->uid, QUOTA_STACKS, 1) < 0)
		return NULL;
	*found = (struct entry){
		.stall = place->stall,
		.uid = place->uid,
		.due_ns = captures->settings.threshold_ns
				  ? captures->settings.threshold_ns
				  : 1,
		.records.key = {.slot = place->slot, .since_ns = place->since_ns},
	};
	return found;
}

static struct entry *
entry_that_is(struct captures *captures, uint64_t stall)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (captures->entries[i].stall == stall)
			return &captures->entries[i];
	return NULL;
}

/* Nothing will come any more. */
static void
give_up(struct captures *captures, struct entry *entry, uint64_t now_ns)
{
	if (entry->deadline_ns)
		tell(captures, entry, entry->end_ns ? CAPTURES_OVER : CAPTURES_SILENT,
			entry->end_ns ? over : "the program did not answer in time",
			now_ns);
	entry->deadline_ns = 0;
	if (entry->end_ns)
		captures->counts[CAPTURES_TAKEN] +=
			capture_records_settle(&entry->records);
}

/* Look at those whose stalls have ended. */
static void
look_at_lingering(void *arg)
{
	struct captures *captures = arg;
	uint64_t now_ns = event_now_ns();

	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry *entry = &captures->entries[i];

		if (!entry->forget_ns)
			continue;
		collect(captures, entry, now_ns);
		if (awaits(entry) && now_ns < entry->forget_ns)
			continue;
		give_up(captures, entry, now_ns);
		forget(captures, entry);
	}
	if (captures->lingering)
		return;
	event_watch_free(captures->watch);
	captures->watch = NULL;
}

/* The stall has ended, and its segment is only lent: keep a descriptor of our own for a
 * while. Returns whether that worked. */
static bool
linger(struct captures *captures, struct entry *entry, uint64_t now_ns)
{
	int fd;

	if (captures->lingering >= LINGERING_MAX)
		return false;
	if (!captures->watch)
		captures->watch = event_every(
			captures->loop, LINGER_EVERY_NS, look_at_lingering, captures);
	fd = captures->watch ? fcntl(entry->records.place.segment, F_DUPFD_CLOEXEC, 0)
			     : -1;
	if (fd < 0)
		return false;
	entry->records.place.segment = fd;
	entry->forget_ns = now_ns + LINGER_NS;
	captures->lingering++;
	return true;
}

/* More stalls are open than there are entries. */
static void
tell_no_room(struct captures *captures, uint64_t id, uint64_t now_ns)
{
	struct stall_sample sample = {
		.taken_ns = now_ns, .missing = "too many loops are stuck at once"};
	const struct stall *stall = stalls_find(captures->stalls, id);

	if (!stall || stall->sample.missing)
		return;
	captures->counts[CAPTURES_LIMITED]++;
	stalls_add_sample(captures->stalls, id, &sample);
}

void
captures_look(struct captures *captures, const struct captures_place *place, bool ended,
	uint64_t now_ns)
{
	struct entry *entry = ended ? entry_that_is(captures, place->stall)
				    : entry_of(captures, place, now_ns);

	if (!entry && !ended)
		tell_no_room(captures, place->stall, now_ns);
	if (!entry || entry->forget_ns)
		return;
	entry->looked_ns = now_ns;
	entry->records.place = capture_reader_place(place->segment, place->header);
	entry->shift_ns = place->shift_ns;
	entry->pid = place->pid;
	entry->runtime = place->header->runtime;
	if (ended)
		entry->end_ns = place->since_ns + place->length_ns;
	collect(captures, entry, now_ns);
	if (!ended) {
		if (entry->deadline_ns && now_ns > entry->deadline_ns)
			give_up(captures, entry, now_ns);
		ask_if_due(captures, entry, place, now_ns);
		return;
	}
	if (awaits(entry) && linger(captures, entry, now_ns))
		return;
	give_up(captures, entry, now_ns);
	forget(captures, entry);
}
