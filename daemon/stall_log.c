/* SPDX-License-Identifier: MIT */
/*
 * What is to be written about a stall that was found:
 *
 *	opened --at the loop's next turn--> "began" --ended, and its stack known-> "ended"
 *	   \                                            or 0.5 s later      /
 *	    +---- ended before that turn ----------------------------------+
 *
 * A stack takes some milliseconds, and often comes after the end: V8 answers when a native
 * call has returned, and symbols are looked up in a thread.
 *
 * A group may have ten stalls at once and one a second; of those that are left out the
 * next entry tells.
 */

#include "config.h"

#include "daemon/stall_log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/event.h"
#include "daemon/journal.h"
#include "daemon/stall_words.h"
#include "daemon/stalls.h"

#define TOKEN "stalls"
#define STACK_WAIT_NS 500000000ull
#define AT_ONCE 10u
#define REFILL_NS 1000000000ull
#define STACK_BYTES 16384
#define FIELDS 12

/* A stall of which there is something to tell. */
struct pending {
	uint64_t id;
	uint64_t due_ns; /* UINT64_MAX: it was told that it began, now it has to end */
};

/* How many stalls of a group may still be told of. */
struct budget {
	const char *groupname; /* the pointer is the key */
	uint64_t full_ns;      /* when it will be full again */
	uint64_t left_out;
};

struct stall_log {
	struct event_loop *loop;
	struct stalls *stalls;
	struct event_watch *timer;
	struct pending *pending;
	size_t pending_count, pending_room;
	struct budget *budgets;
	size_t budget_count, budget_room;
};

/* Make room for one more. Returns false without memory. */
static bool
grow(void **array, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? 2 * *room : 16;
	void *grown;

	if (count < *room)
		return true;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return false;
	*array = grown;
	*room = more;
	return true;
}

static struct budget *
budget_of(struct stall_log *log, const char *groupname)
{
	for (size_t i = 0; i < log->budget_count; i++)
		if (log->budgets[i].groupname == groupname)
			return &log->budgets[i];
	if (!grow((void **)&log->budgets, &log->budget_room, log->budget_count,
		    sizeof(*log->budgets)))
		return NULL;
	log->budgets[log->budget_count] = (struct budget){.groupname = groupname};
	return &log->budgets[log->budget_count++];
}

/* Take one stall from its group's budget. Returns false if nothing is left. */
static bool
spend(struct budget *budget, uint64_t now_ns)
{
	if (budget->full_ns < now_ns)
		budget->full_ns = now_ns;
	if (budget->full_ns - now_ns > (AT_ONCE - 1) * REFILL_NS) {
		budget->left_out++;
		return false;
	}
	budget->full_ns += REFILL_NS;
	return true;
}

static struct pending *
find(struct stall_log *log, uint64_t id)
{
	for (size_t i = 0; i < log->pending_count; i++)
		if (log->pending[i].id == id)
			return &log->pending[i];
	return NULL;
}

/* The stack as text, a frame a line; NULL without one. Caller frees. */
static char *
stack_text(const struct stall_sample *sample)
{
	char words[STALL_WORDS_BYTES], *text = NULL;
	size_t size = 0;
	FILE *out;

	if (!sample->count || !(out = open_memstream(&text, &size)))
		return NULL;
	for (size_t i = 0; i < sample->count && ftell(out) < STACK_BYTES; i++)
		fprintf(out, "%s%s", i ? "\n" : "",
			stall_words_frame(&sample->frames[i], words));
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static void
tell(struct stall_log *log, const struct stall *stall)
{
	struct budget *budget = budget_of(log, stall->groupname);
	char words[STALL_WORDS_BYTES * 4], *text = NULL, stack_id[17];
	char *stack = stack_text(&stall->sample);
	struct log_field fields[FIELDS];
	size_t count = 0;

	stall_words_all(stall, words);
	if (budget && budget->left_out &&
		asprintf(&text, "%s (and %llu more stalls of this group, left out)",
			words, (unsigned long long)budget->left_out) < 0)
		text = NULL;
	fields[count++] = (struct log_field){"group", stall->groupname, 0};
	fields[count++] = (struct log_field){"loop", stall->loop, 0};
	if (stall->pid)
		fields[count++] = (struct log_field){"pid", NULL, (uint64_t)stall->pid};
	if (stall->tid)
		fields[count++] = (struct log_field){"tid", NULL, (uint64_t)stall->tid};
	fields[count++] = (struct log_field){"stall_id", NULL, stall->id};
	fields[count++] = (struct log_field){"stall_usec", NULL, stall->length_ns / 1000};
	fields[count++] = (struct log_field){"cause", stall_cause_name(stall->cause), 0};
	if (stall->system_call)
		fields[count++] = (struct log_field){"syscall", stall->system_call, 0};
	if (stack) {
		snprintf(stack_id, sizeof(stack_id), "%016llx",
			(unsigned long long)stall->stack_id);
		fields[count++] = (struct log_field){"stack_id", stack_id, 0};
		fields[count++] = (struct log_field){"stack", stack, 0};
	}
	if (!stall->open && stall->sample.missing)
		fields[count++] = (struct log_field){"missing", stall->sample.missing, 0};
	if (budget && budget->left_out)
		fields[count++] = (struct log_field){"left_out", NULL, budget->left_out};
	journal_write(stall->open ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, TOKEN,
		stall->open ? JOURNAL_STALL_BEGAN : JOURNAL_STALL_ENDED,
		text ? text : words, fields, count);
	if (budget)
		budget->left_out = 0;
	free(stack);
	free(text);
}

static void
set_timer(struct stall_log *log, uint64_t now_ns);

/* Tell what is due by now. */
static void
tell_due(struct stall_log *log, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < log->pending_count; i++) {
		struct pending *pending = &log->pending[i];
		const struct stall *stall = stalls_find(log->stalls, pending->id);
		bool due = pending->due_ns <= now_ns;

		if (!stall)
			continue;
		if (due) {
			tell(log, stall);
			pending->due_ns = UINT64_MAX;
		}
		if (!due || stall->open)
			log->pending[kept++] = *pending;
	}
	log->pending_count = kept;
}

static void
time_is_up(void *arg)
{
	struct stall_log *log = arg;
	uint64_t now_ns = event_now_ns();

	tell_due(log, now_ns);
	set_timer(log, now_ns);
}

/* Come back when the next one is due. */
static void
set_timer(struct stall_log *log, uint64_t now_ns)
{
	uint64_t due_ns = UINT64_MAX;

	event_watch_free(log->timer);
	log->timer = NULL;
	for (size_t i = 0; i < log->pending_count; i++)
		if (log->pending[i].due_ns < due_ns)
			due_ns = log->pending[i].due_ns;
	if (due_ns != UINT64_MAX)
		log->timer = event_after(log->loop, due_ns > now_ns ? due_ns - now_ns : 0,
			time_is_up, log);
}

static void
take_event(void *arg, const struct stall *stall, enum stalls_event event)
{
	struct pending *pending;
	struct stall_log *log = arg;
	struct budget *budget;
	uint64_t now_ns = event_now_ns();

	if (event == STALLS_OPENED) {
		budget = budget_of(log, stall->groupname);
		if (!budget || !spend(budget, now_ns) ||
			!grow((void **)&log->pending, &log->pending_room,
				log->pending_count, sizeof(*log->pending)))
			return;
		log->pending[log->pending_count++] =
			(struct pending){.id = stall->id, .due_ns = now_ns};
	} else {
		pending = find(log, stall->id);
		if (!pending || stall->open)
			return;
		if (stall_words_are_whole(&stall->sample))
			pending->due_ns = now_ns;
		else if (event == STALLS_ENDED)
			pending->due_ns = now_ns + STACK_WAIT_NS;
	}
	set_timer(log, now_ns);
}

struct stall_log *
stall_log_new(struct event_loop *loop, struct stalls *stalls)
{
	struct stall_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->loop = loop;
	log->stalls = stalls;
	if (stalls_subscribe(stalls, take_event, log)) {
		stall_log_free(log);
		return NULL;
	}
	return log;
}

void
stall_log_forget_group(struct stall_log *log, const char *groupname)
{
	for (size_t i = 0; log && i < log->budget_count; i++)
		if (log->budgets[i].groupname == groupname)
			log->budgets[i--] = log->budgets[--log->budget_count];
}

void
stall_log_free(struct stall_log *log)
{
	if (!log)
		return;
	stalls_unsubscribe(log->stalls, take_event, log);
	event_watch_free(log->timer);
	for (size_t i = 0; i < log->pending_count; i++)
		if (log->pending[i].due_ns != UINT64_MAX)
			log->pending[i].due_ns = 0;
	tell_due(log, 0);
	free(log->pending);
	free(log->budgets);
	free(log);
}
