/* SPDX-License-Identifier: MIT */
/* What each thread is doing, and which of its wait calls make a loop: see waits.h. */

#include "probes/waits.h"

#include <stddef.h>
#include <string.h>

#include "probes/loops.h"

#define TLS __thread __attribute__((tls_model("initial-exec")))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define HOT inline __attribute__((always_inline)) /* in every wait call */
#define COLD __attribute__((cold, noinline))

#define WAITS_EPOLL 2
#define WAITS_SITE 16
#define WAITS_NESTED 64
#define WAITS_REFUSED 1024 /* until we look for room again */
#define CANDIDATES 8

/* Waits at a place that is no loop yet. */
struct candidate {
	intptr_t key;
	uint32_t kind;
	uint32_t waits; /* that came back in order, since it was refused if it was */
	uint32_t refused;
	uint32_t in_row; /* waits since the thread's own loop was attended last */
	uint64_t own_ns; /* when that was */
	uint64_t enter_ns, leave_ns;
};

struct thread {
	uint32_t epoch;
	uint32_t has_epoll_loop;
	uintptr_t busy; /* frame of the wrapper for which we are at work; 0: none */
	struct loop_ref waiting; /* in which the thread is counted as a waiter */
	uintptr_t waiting_frame;
	intptr_t early; /* as in struct wait; the last one's that has not returned */
	uintptr_t early_frame;
	struct loop_ref own;   /* the outermost loop */
	struct loop_ref inner; /* the last one nested in it */
	struct loop_ref last;  /* the one that was looked up last, and how */
	intptr_t last_key;
	uint32_t last_kind;
	uint32_t next_candidate;
	uint32_t held; /* the next wait call has to settle something first */
	struct loops_thread record;
	struct candidate candidates[CANDIDATES];
};

static struct waits_calls calls;
static uint32_t first_loop_epoch; /* process in which on_first_loop was called last */
static TLS struct thread self;

void
waits_start(const struct waits_calls *waits_calls)
{
	calls = *waits_calls;
}

/* Be at work for the wrapper at `frame`. */
static HOT struct thread *
keep(struct thread *thread, uintptr_t frame)
{
	thread->busy = frame;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return thread;
}

static HOT void
give(struct thread *thread)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->busy = 0;
}

/* Tell whether nothing is in the way of taking the thread's state. A thread that has none yet
 * may seem free in a new child, but has no usual wait. */
static HOT int
is_free(const struct thread *thread)
{
	return loops_is_process(thread->epoch) && !thread->busy;
}

/* The thread's state, taken for the wrapper at `frame`; NULL when nothing is recorded. A
 * frame below the one at work is a signal handler's; one above it tells that the handler
 * left that one by longjmp. */
static COLD struct thread *
take(uintptr_t frame)
{
	struct thread *thread = &self;
	uint32_t epoch = loops_epoch();

	if (!epoch)
		return NULL;
	if (thread->busy && frame < thread->busy && thread->epoch == epoch)
		return NULL;
	if (thread->epoch != epoch) {
		memset(thread, 0, sizeof(*thread));
		thread->epoch = epoch;
	}
	return keep(thread, frame);
}

static struct loop_ref
refer(struct loop *loop)
{
	return (struct loop_ref){.loop = loop, .life = loop_life(loop)};
}

/* The loop, or NULL if it is over. */
static HOT struct loop *
deref(struct loop_ref *ref)
{
	if (ref->loop && loop_life(ref->loop) != ref->life)
		ref->loop = NULL;
	return ref->loop;
}

static void
count_other(uint32_t kind)
{
	__atomic_fetch_add(&loops_header()->other_waits[kind - 1], 1, __ATOMIC_RELAXED);
}

/* The candidate of that kind and key, made in place of the oldest if need be. */
static struct candidate *
find_candidate(struct thread *thread, uint32_t kind, intptr_t key)
{
	struct candidate *candidate;

	for (size_t i = 0; i < CANDIDATES; i++) {
		candidate = &thread->candidates[i];
		if (candidate->key == key && candidate->kind == kind)
			return candidate;
	}
	candidate = &thread->candidates[thread->next_candidate++ % CANDIDATES];
	*candidate = (struct candidate){.key = key, .kind = kind};
	return candidate;
}

/* Tell whether waits at such a place may make a loop at all. */
static int
eligible(const struct thread *thread, uint32_t kind, intptr_t key, unsigned descriptors)
{
	if (kind == SEGMENT_KIND_EPOLL)
		return key >= 0;
	return descriptors >= 2 && !thread->has_epoll_loop;
}

/* Tell once that this process has a loop. */
static void
announce(struct thread *thread)
{
	if (__atomic_exchange_n(&first_loop_epoch, thread->epoch, __ATOMIC_RELAXED) !=
		thread->epoch)
		calls.on_first_loop();
}

/* Make a loop of the candidate. */
static struct loop *
promote(struct thread *thread, struct candidate *candidate)
{
	struct loop *loop = loops_make(&thread->record, candidate->kind, candidate->key,
		candidate->enter_ns, candidate->leave_ns, NULL);

	if (!loop) {
		candidate->refused = 1;
		candidate->waits = 0;
		return NULL;
	}
	candidate->kind = 0;
	announce(thread);
	return loop;
}

/* Inside an iteration of `own` the candidate is waited for again: tell whether `own` still
 * is a loop, and end it if not. The end of an epoll instance can be asked for. That of a
 * call site shows in that others are waited for again and again. */
static int
still_own(struct loop *own, struct candidate *candidate)
{
	uint64_t last_ns = __atomic_load_n(&loop_slot(own)->last_ns, __ATOMIC_RELAXED);

	if (loop_descriptor(own) >= 0) {
		if (candidate->kind != SEGMENT_KIND_EPOLL ||
			candidate->waits + 1 != WAITS_EPOLL ||
			calls.is_epoll(loop_descriptor(own)))
			return 1;
	} else {
		if (candidate->own_ns != last_ns)
			candidate->in_row = 0;
		candidate->own_ns = last_ns;
		if (loop_is(own, SEGMENT_KIND_CUSTOM, 0) ||
			++candidate->in_row < WAITS_SITE)
			return 1;
	}
	loops_end(own);
	return 0;
}

/* The loop that this wait is for, which may begin with this very wait. Otherwise NULL, and
 * the candidate, if it is one. */
static struct loop *
find_loop(struct thread *thread, struct wait *wait, uint32_t kind, intptr_t key,
	unsigned descriptors)
{
	struct candidate *candidate;
	struct loop *loop = NULL, *own;
	uint32_t needed;

	if (thread->last_key == key && thread->last_kind == kind && deref(&thread->last))
		return thread->last.loop;
	own = deref(&thread->own);
	if (kind == SEGMENT_KIND_EPOLL)
		loop = loops_find(key);
	else if (own && loop_is(own, kind, key))
		loop = own;
	else if (deref(&thread->inner) && loop_is(thread->inner.loop, kind, key))
		loop = thread->inner.loop;
	if (!loop) {
		if (!eligible(thread, kind, key, descriptors))
			return NULL;
		candidate = find_candidate(thread, kind, key);
		if (own && !still_own(own, candidate))
			own = NULL;
		needed = candidate->refused           ? WAITS_REFUSED
			 : own                        ? WAITS_NESTED
			 : kind == SEGMENT_KIND_EPOLL ? WAITS_EPOLL
						      : WAITS_SITE;
		if (candidate->waits + 1 < needed ||
			!(loop = promote(thread, candidate))) {
			wait->candidate = candidate;
			return NULL;
		}
	}
	if (kind == SEGMENT_KIND_EPOLL)
		thread->has_epoll_loop = 1;
	thread->last = refer(loop);
	thread->last_key = key;
	thread->last_kind = kind;
	return loop;
}

/* A wait for something else begins in the loop's iteration, or ends with 0. */
static void
mark_nested(struct loop *outer, uint64_t since_ns)
{
	__atomic_store_n(&loop_slot(outer)->nested_since_ns, since_ns, __ATOMIC_RELAXED);
}

/* The wait blocks the thread's own loop. */
static void
block_own(const struct thread *thread, struct wait *wait)
{
	wait->outer = thread->own;
	mark_nested(wait->outer.loop, wait->begin_ns);
}

/* The thread waits in the loop. Returns whether it is counted there. */
static HOT int
wait_in(struct thread *thread, struct wait *wait, struct loop *loop)
{
	if (unlikely(!loop_attend(loop, &thread->record, wait->begin_ns)))
		return 0;
	wait->loop = loop;
	thread->waiting.loop = loop;
	thread->waiting.life = loop_life(loop);
	thread->waiting_frame = wait->frame;
	return 1;
}

/* The same, be it the thread's own loop or one nested in that. */
static int
attend(struct thread *thread, struct wait *wait, struct loop *loop)
{
	struct loop *own = deref(&thread->own);

	if (!own)
		thread->own = refer(loop);
	if (own && own != loop) {
		block_own(thread, wait);
		thread->inner = refer(loop);
	} else if (deref(&thread->inner)) {
		loop_rest(thread->inner.loop);
	}
	return wait_in(thread, wait, loop);
}

/* A wait is called inside one of this thread that has not returned. Returns 0 if a signal
 * handler calls it, or the program's own loop. Otherwise the other one was left by longjmp,
 * as one for the same loop tells, and the thread does not wait there any more. */
static int
leave_earlier(struct thread *thread, uint32_t kind, intptr_t key, uintptr_t frame)
{
	uint64_t now_ns;

	if (thread->waiting.loop && frame < thread->waiting_frame &&
		!loop_is(thread->waiting.loop, kind, key))
		return 0;
	now_ns = clock_read(calls.clock_gettime);
	if (deref(&thread->waiting))
		loop_unattend(thread->waiting.loop, now_ns, 0);
	thread->waiting.loop = NULL;
	if (thread->early &&
		(frame >= thread->early_frame ||
			(kind == SEGMENT_KIND_EPOLL && key == thread->early - 1))) {
		loops_return_early(thread->early - 1, now_ns, 0);
		thread->early = 0;
	}
	return 1;
}

/* Wait for what is no loop of ours, but may become one, or has just become one by another
 * thread. */
static void
wait_outside(struct thread *thread, struct wait *wait, uint32_t kind, intptr_t key)
{
	struct loop *loop = NULL;

	wait->early = 0;
	if (wait->candidate && kind == SEGMENT_KIND_EPOLL) {
		if (loops_wait_early(key)) {
			wait->early = thread->early = key + 1;
			thread->early_frame = wait->frame;
		} else {
			loop = loops_find(key);
		}
	}
	if (loop && attend(thread, wait, loop)) {
		wait->candidate = NULL;
		return;
	}
	if (deref(&thread->own))
		block_own(thread, wait);
	count_other(kind);
}

void
waits_hold(void)
{
	self.held = 1;
}

/* Fill in what is known of the wait call. */
static HOT void
begin_wait(const struct thread *thread, struct wait *wait, int64_t timeout_ns,
	uintptr_t frame)
{
	wait->loop = NULL;
	wait->outer.loop = NULL;
	wait->candidate = NULL;
	wait->timeout_ns = timeout_ns;
	wait->frame = frame;
	wait->epoch = thread->epoch;
}

/* A wait begins, whatever it is. */
static COLD void
enter(struct wait *wait, uint32_t kind, intptr_t key, unsigned descriptors,
	int64_t timeout_ns, uintptr_t frame)
{
	struct thread *thread = take(frame);
	struct loop *loop;

	wait->frame = 0;
	if (!thread)
		return;
	if ((thread->waiting.loop || thread->early) &&
		!leave_earlier(thread, kind, key, frame)) {
		count_other(kind);
		give(thread);
		return;
	}
	if (thread->held) {
		thread->held = 0;
		calls.settle();
	}
	begin_wait(thread, wait, timeout_ns, frame);
	loop = find_loop(thread, wait, kind, key, descriptors);
	if (loop || wait->candidate || thread->own.loop)
		wait->begin_ns = clock_read(calls.clock_gettime);
	if (!loop || !attend(thread, wait, loop))
		wait_outside(thread, wait, kind, key);
	give(thread);
}

/* Tell whether it is what nearly all waits are: for the thread's own loop, which is the one
 * that it has waited for before, with nothing else going on. */
static HOT int
is_usual(struct thread *thread, uint32_t kind, intptr_t key)
{
	return thread->last_key == key && thread->last_kind == kind &&
	       thread->own.loop == thread->last.loop &&
	       thread->own.life == thread->last.life && deref(&thread->own) &&
	       !thread->inner.loop && !thread->waiting.loop && !thread->early &&
	       !thread->held;
}

void
waits_enter(struct wait *wait, uint32_t kind, intptr_t key, unsigned descriptors,
	int64_t timeout_ns, uintptr_t frame)
{
	struct thread *thread = &self;

	/* What enter() comes to, for the usual wait. */
	if (likely(is_free(thread))) {
		keep(thread, frame);
		if (likely(is_usual(thread, kind, key))) {
			begin_wait(thread, wait, timeout_ns, frame);
			loop_expect(thread->own.loop);
			wait->begin_ns = clock_read(calls.clock_gettime);
			if (unlikely(!wait_in(thread, wait, thread->own.loop)))
				wait_outside(thread, wait, thread->last_kind,
					thread->last_key);
			give(thread);
			return;
		}
		give(thread);
	}
	enter(wait, kind, key, descriptors, timeout_ns, frame);
}

/* What a wait's result says of the load. */
static HOT uint64_t
count_events(int result)
{
	return result > 0 ? (uint64_t)result : 0;
}

/* Keep what a wait with a timeout says of the kernel. */
static HOT void
record_wakeup(struct loop *loop, const struct wait *wait, uint64_t now_ns, int result)
{
	uint64_t due_ns;

	if (wait->timeout_ns <= 0)
		return;
	due_ns = wait->begin_ns + (uint64_t)wait->timeout_ns;
	/* Who was stopped has been interrupted, or there are events by now. */
	if (result == 0 || now_ns > due_ns)
		band_histogram_record(
			&loop_slot(loop)->wakeup, now_ns > due_ns ? now_ns - due_ns : 0);
}

/* Come back from what may become a loop. */
static void
leave_outside(struct thread *thread, struct wait *wait, uint64_t now_ns, int result)
{
	if (wait->early) {
		thread->early = 0;
		loops_return_early(wait->early - 1, now_ns, count_events(result));
	}
	if (result < 0)
		return;
	wait->candidate->waits++;
	wait->candidate->enter_ns = wait->begin_ns;
	wait->candidate->leave_ns = now_ns;
}

/* Come back from what is no loop, or nested in one. */
static COLD void
leave_other(struct thread *thread, struct wait *wait, uint64_t now_ns, int result)
{
	if (wait->candidate)
		leave_outside(thread, wait, now_ns, result);
	if (deref(&wait->outer)) {
		__atomic_fetch_add(&loop_slot(wait->outer.loop)->nested_wait_ns,
			loop_blocked_ns(wait->outer.loop, wait->begin_ns, now_ns),
			__ATOMIC_RELAXED);
		mark_nested(wait->outer.loop, 0);
	}
}

void
waits_leave(struct wait *wait, int result)
{
	struct thread *thread = &self;
	uint64_t now_ns;

	if (!wait->frame || !(wait->loop || wait->outer.loop || wait->candidate))
		return;
	if (likely(is_free(thread)))
		keep(thread, wait->frame);
	else if (!take(wait->frame))
		return;
	/* In a child that was forked inside the wait, the wait was the parent's. */
	if (unlikely(thread->epoch != wait->epoch)) {
		give(thread);
		return;
	}
	if (likely(wait->loop))
		loop_expect(wait->loop);
	now_ns = clock_read(calls.clock_gettime);
	if (likely(wait->loop && thread->waiting.loop == wait->loop)) {
		if (likely(deref(&thread->waiting))) {
			record_wakeup(wait->loop, wait, now_ns, result);
			loop_unattend(wait->loop, now_ns, count_events(result));
		}
		thread->waiting.loop = NULL;
	}
	if (unlikely(wait->candidate || wait->outer.loop))
		leave_other(thread, wait, now_ns, result);
	give(thread);
}

void
waits_forget(int descriptor)
{
	struct thread *thread = take((uintptr_t)__builtin_frame_address(0));

	if (!thread)
		return;
	loops_forget(descriptor);
	for (size_t i = 0; i < CANDIDATES; i++)
		if (thread->candidates[i].kind == SEGMENT_KIND_EPOLL &&
			thread->candidates[i].key == descriptor)
			thread->candidates[i].kind = 0;
	give(thread);
}

struct loop *
waits_register(const char *label)
{
	struct thread *thread = take((uintptr_t)__builtin_frame_address(0));
	struct loop *loop;

	if (!thread)
		return NULL;
	loop = loops_make(&thread->record, SEGMENT_KIND_CUSTOM, 0,
		clock_read(calls.clock_gettime), 0, label);
	if (loop)
		announce(thread);
	give(thread);
	return loop;
}

void
waits_unregister(struct loop *loop)
{
	struct thread *thread = take((uintptr_t)__builtin_frame_address(0));

	if (!thread)
		return;
	if (thread->waiting.loop == loop)
		thread->waiting.loop = NULL;
	if (loop_is_ours(loop))
		loops_end(loop);
	give(thread);
}

void
waits_begin(struct loop *loop)
{
	struct thread *thread = take((uintptr_t)__builtin_frame_address(0));
	struct wait wait = {0};

	if (!thread)
		return;
	wait.begin_ns = clock_read(calls.clock_gettime);
	wait.frame = UINTPTR_MAX; /* wait calls until the end are inside this one */
	if (thread->waiting.loop || thread->early)
		(void)leave_earlier(thread, SEGMENT_KIND_CUSTOM, 0, UINTPTR_MAX);
	if (loop_is_ours(loop))
		(void)attend(thread, &wait, loop);
	give(thread);
}

void
waits_end(struct loop *loop, int events)
{
	struct thread *thread = take((uintptr_t)__builtin_frame_address(0));

	if (!thread)
		return;
	if (thread->waiting.loop == loop) {
		thread->waiting.loop = NULL;
		loop_unattend(
			loop, clock_read(calls.clock_gettime), count_events(events));
	}
	give(thread);
}
