/* SPDX-License-Identifier: MIT */
/*
 * When stacks are taken and what becomes of them; see captures.h. A stall that is looked
 * at has an entry, until it has ended and nothing is awaited any more:
 *
 *	quiet --due, helper there--> rung --a record, or the deadline--> quiet
 *	quiet --due, no helper-----> traced --the job is done----------> quiet
 *
 * Records are also looked for when nobody has rung for them: one bell is rung for all
 * loops of a target. A record is taken once; but one whose JavaScript part was asked for
 * and has not come soon is shown without it first, and again when it has come.
 */

#include "config.h"

#include "daemon/captures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/capture_jobs.h"
#include "daemon/capture_reader.h"
#include "daemon/doorbell.h"
#include "daemon/event.h"
#include "daemon/stalls.h"
#include "probes/segment.h"

#define ENTRIES 256
#define GROUPS 256
#define LINGERING_MAX 16
#define MS 1000000ull
#define MINUTE_NS (60000 * MS)
#define ANSWER_NS (2000 * MS) /* so long a helper may take */
#define LINGER_NS (250 * MS)  /* and so long after the stall has ended */
#define LINGER_EVERY_NS (20 * MS)
#define COMPANY_NS (60 * MS) /* a record waits so long for what belongs to it */
#define FORGOTTEN_NS (10000 * MS)

static const char *const result_names[CAPTURES_RESULTS] = {"taken", "late", "limited",
	"off", "handler", "silent", "over", "refused", "failed"};

/* A record of the segment, as this stall knows it. */
struct record {
	uint64_t sequence;
	uint64_t first_ns; /* when it was seen first; 0: not at all */
	enum { RECORD_FRESH, RECORD_SHOWN, RECORD_DONE } state;
};

struct entry {
	uint64_t stall; /* 0: free */
	uint64_t looked_ns;
	uint64_t due_ns;      /* length at which the next capture is wanted */
	uint64_t deadline_ns; /* rung: until then an answer may come; 0: not rung */
	uint64_t end_ns;      /* the iteration's, as the target's clock has it; 0: open */
	uint64_t forget_ns;   /* ended: nothing is awaited beyond this */
	bool told;            /* that there is a stack, or why there is none */
	struct capture_reader_place place;
	struct capture_reader_key key;
	int64_t shift_ns;
	pid_t pid;
	uint32_t runtime;
	struct record records[SEGMENT_CAPTURES];
};

/* What a group has had in this minute. */
struct share {
	const char *groupname; /* names stay: their addresses tell them apart */
	uint64_t minute_ns;
	unsigned used;
};

struct captures {
	struct event_loop *loop;
	struct doorbell *doorbell;
	struct stalls *stalls;
	struct capture_jobs *jobs;
	struct event_watch *watch; /* while there are those that linger */
	struct captures_settings settings;
	struct entry entries[ENTRIES];
	struct share shares[GROUPS];
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
captures_new(struct event_loop *loop, struct doorbell *doorbell, struct stalls *stalls)
{
	struct captures *captures = calloc(1, sizeof(*captures));

	if (!captures)
		return NULL;
	captures->loop = loop;
	captures->doorbell = doorbell;
	captures->stalls = stalls;
	captures->jobs = capture_jobs_new(loop, take_outcome, captures);
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
		close(entry->place.segment);
		captures->lingering--;
	}
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
	if (entry->told || !missing)
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
	case SEGMENT_RESULT_SILENT:
		tell(captures, entry, CAPTURES_SILENT,
			"the thread did not take the signal in time", now_ns);
		return;
	case SEGMENT_RESULT_OVER:
		tell(captures, entry, CAPTURES_OVER, NULL, now_ns);
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
	bool waits_gil, bool provisional)
{
	struct capture_jobs_request request = {
		.stall = entry->stall,
		.pid = entry->pid,
		.runtime = entry->runtime,
		.shift_ns = entry->shift_ns,
		.end_ns = entry->end_ns,
		.waits_gil = waits_gil,
		.provisional = provisional,
	};

	entry->told = true;
	entry->deadline_ns = 0;
	if (capture_jobs_name(captures->jobs, &request, capture) < 0) {
		capture_free(capture);
		captures->counts[CAPTURES_FAILED]++;
	}
}

/* Nothing will come for the record any more: a stack whose JavaScript part has not come is
 * one nevertheless. */
static void
finish(struct captures *captures, struct record *record)
{
	if (record->state == RECORD_SHOWN)
		captures->counts[CAPTURES_TAKEN]++;
	record->state = RECORD_DONE;
}

/* What stands in all records of the segment; sequence 0: nothing of ours. */
struct view {
	struct capture_reader_glance glances[SEGMENT_CAPTURES];
};

static struct view
glance(struct captures *captures, struct entry *entry, uint64_t now_ns)
{
	struct view view = {0};

	for (unsigned i = 0; i < entry->place.count; i++) {
		struct capture_reader_glance *seen = &view.glances[i];

		if (capture_reader_glance(&entry->place, i, &entry->key, seen) &&
			entry->records[i].sequence != seen->sequence) {
			finish(captures, &entry->records[i]);
			entry->records[i] = (struct record){
				.sequence = seen->sequence, .first_ns = now_ns};
		}
	}
	return view;
}

/* A record with that role that is new, or NULL. */
static struct capture *
find_new(struct entry *entry, const struct view *view, uint32_t role,
	struct record **ret_record)
{
	for (unsigned i = 0; i < entry->place.count; i++) {
		const struct capture_reader_glance *seen = &view->glances[i];
		struct record *record = &entry->records[i];
		struct capture *capture;

		if (!seen->sequence || seen->role != role ||
			record->state == RECORD_DONE ||
			(record->state == RECORD_SHOWN &&
				seen->js_state != SEGMENT_JS_TAKEN))
			continue;
		capture = capture_reader_read(&entry->place, i, &entry->key);
		if (!capture)
			continue;
		*ret_record = record;
		return capture;
	}
	return NULL;
}

/* Take a record of that role which holds a stack; what else it says is told. */
static struct capture *
find_stack(struct captures *captures, struct entry *entry, const struct view *view,
	uint32_t role, uint64_t now_ns, struct record **ret_record)
{
	struct capture *capture = find_new(entry, view, role, ret_record);

	if (!capture || capture->result == SEGMENT_RESULT_TAKEN)
		return capture;
	(*ret_record)->state = RECORD_DONE;
	if (role == SEGMENT_ROLE_LOOP) {
		entry->deadline_ns = 0;
		tell_result(captures, entry, capture->result, now_ns);
	}
	capture_free(capture);
	return NULL;
}

/* Look what has come. A record waits a little for what belongs to it: the thread that
 * holds the lock, whose stack is the one to show then, or V8's answer. */
static void
collect(struct captures *captures, struct entry *entry, uint64_t now_ns)
{
	struct record *loop_record = NULL, *holder_record = NULL;
	const struct view view = glance(captures, entry, now_ns);
	struct capture *loop = find_stack(
		captures, entry, &view, SEGMENT_ROLE_LOOP, now_ns, &loop_record);
	struct capture *holder = find_stack(
		captures, entry, &view, SEGMENT_ROLE_HOLDER, now_ns, &holder_record);
	bool waits = holder || (loop && loop->flags & SEGMENT_CAPTURE_WAITS_GIL);
	bool asked = loop && loop->js_state == SEGMENT_JS_ASKED;
	bool complete = waits ? loop && holder : !asked || entry->end_ns;
	uint64_t first_ns;

	if (!loop && !holder)
		return;
	first_ns = loop ? loop_record->first_ns : holder_record->first_ns;
	if (complete || now_ns - first_ns >= COMPANY_NS) {
		/* V8 may answer until the stall is over. */
		if (loop)
			loop_record->state =
				asked && !entry->end_ns ? RECORD_SHOWN : RECORD_DONE;
		if (holder) {
			holder_record->state = RECORD_DONE;
			show(captures, entry, holder, true, false);
			holder = NULL;
		} else {
			show(captures, entry, loop, waits,
				loop_record->state == RECORD_SHOWN);
			loop = NULL;
		}
	}
	capture_free(loop);
	capture_free(holder);
}

/* Whether something may still come that was asked for. */
static bool
awaits(const struct entry *entry)
{
	if (entry->deadline_ns)
		return true;
	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++)
		if (entry->records[i].first_ns && entry->records[i].state != RECORD_DONE)
			return true;
	return false;
}

/* One of the group's share of this minute. Returns whether there was one left. */
static bool
take_share(struct captures *captures, const char *groupname, uint64_t now_ns)
{
	struct share *share = NULL;

	for (unsigned i = 0; i < GROUPS && !share; i++)
		if (!captures->shares[i].groupname ||
			captures->shares[i].groupname == groupname)
			share = &captures->shares[i];
	/* More groups than there ever are: they share the last one. */
	if (!share)
		share = &captures->shares[GROUPS - 1];
	if (!share->groupname || now_ns - share->minute_ns >= MINUTE_NS)
		*share = (struct share){.groupname = groupname, .minute_ns = now_ns};
	if (share->used >= captures->settings.per_minute)
		return false;
	share->used++;
	return true;
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
	if (r < 0)
		tell(captures, entry, r == -ESRCH ? CAPTURES_OVER : CAPTURES_FAILED, NULL,
			now_ns);
}

/* The next capture is due at twice the length of this one. */
static void
ask_if_due(struct captures *captures, struct entry *entry,
	const struct captures_place *place, uint64_t now_ns)
{
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
	} else if (!take_share(captures, place->groupname, now_ns)) {
		tell(captures, entry, CAPTURES_LIMITED,
			"the group had its captures of this minute", now_ns);
	} else {
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
	if (!found)
		return NULL;
	*found = (struct entry){
		.stall = place->stall,
		.due_ns = captures->settings.threshold_ns
				  ? captures->settings.threshold_ns
				  : 1,
		.key = {.slot = place->slot, .since_ns = place->since_ns},
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
			entry->end_ns ? NULL : "the program did not answer in time",
			now_ns);
	entry->deadline_ns = 0;
	for (unsigned i = 0; entry->end_ns && i < SEGMENT_CAPTURES; i++)
		finish(captures, &entry->records[i]);
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
	fd = captures->watch ? fcntl(entry->place.segment, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return false;
	entry->place.segment = fd;
	entry->forget_ns = now_ns + LINGER_NS;
	captures->lingering++;
	return true;
}

void
captures_look(struct captures *captures, const struct captures_place *place, bool ended,
	uint64_t now_ns)
{
	struct entry *entry = ended ? entry_that_is(captures, place->stall)
				    : entry_of(captures, place, now_ns);

	if (!entry || entry->forget_ns) {
		if (!ended && place->length_ns < 2 * captures->settings.threshold_ns)
			captures->counts[CAPTURES_LIMITED]++;
		return;
	}
	entry->looked_ns = now_ns;
	entry->place = capture_reader_place(place->segment, place->header);
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
