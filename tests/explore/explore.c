/* SPDX-License-Identifier: MIT */
/* The coroutines, the choices between them and the way back: see explore.h. */

#include "config.h"

#include "tests/explore/explore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "tests/explore/memory.h"
#include "tests/explore/private.h"
#include "tests/explore/states.h"
#include "tests/explore/trace.h"

#define STACK_BYTES (256 * 1024)
#define BUFFER 64

enum status { NEW, WAITS, DONE, DEAD };
enum ended { BEGUN, COMPLETE, SEEN_BEFORE, MORE_SHARED, FAILED };

/* A store that is not visible yet. */
struct buffered {
	void *address;
	size_t bytes;
	uint64_t value;
	bool release;
	unsigned fence; /* how many fences came before it */
};

struct thread {
	enum status status;
	jmp_buf place;
	ucontext_t start;
	char *stack;
	uint64_t history; /* of all that it has read */
	const struct access *next;
	const void *written; /* by its last step, if that has not been told yet */
	struct buffered buffer[BUFFER];
	unsigned buffer_count, fences;
};

/* A choice: a thread to run, a thread to die, or a store to become visible. */
enum act { RUN, DIE, FLUSH };
struct choice {
	uint8_t act, thread, entry;
};
struct fork {
	struct choice *choices;
	unsigned count, taken;
};

static const struct explore_scenario *scene;
static struct thread threads[EXPLORE_THREADS];
static int self = -1;
static jmp_buf home;
static bool deaths;
static char failure[16384];

static struct {
	struct fork forks[TRACE_MAX];
	unsigned count, depth;
} path;

_Noreturn static void
leave(enum ended ended)
{
	self = -1;
	_longjmp(home, (int)ended);
}

void
explore_fail(const char *format, ...)
{
	va_list args;
	size_t n;

	va_start(args, format);
	n = (size_t)vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	if (n < sizeof(failure))
		trace_tell(scene->name, failure + n, sizeof(failure) - n);
	leave(FAILED);
}

int
explore_self(void)
{
	return self;
}

enum explore_defect
step_defect(void)
{
	return scene ? scene->defect : EXPLORE_SOUND;
}

static bool
is_private(uintptr_t address)
{
	uintptr_t stack = (uintptr_t)threads[self].stack, local = (uintptr_t)scene->local;

	return (address >= stack && address < stack + STACK_BYTES) ||
	       (address >= local && address < local + scene->local_bytes);
}

/* Note that the running thread uses the word. Returns whether others do. */
static bool
note(uintptr_t address, bool writes)
{
	if (memory_use(self, address, writes))
		leave(MORE_SHARED);
	return memory_is_shared(address);
}

void
explore_poke(uint32_t *word, uint32_t value)
{
	memory_keep((uintptr_t)word);
	*word = value;
}

static void
tell_written(unsigned i)
{
	const void *written = threads[i].written;

	threads[i].written = NULL;
	if (written && scene->wrote)
		scene->wrote(i, written);
}

static bool
is_over(const struct thread *thread)
{
	return thread->status == DONE || thread->status == DEAD;
}

/* Whether a buffered store may become visible next: the first, or the one behind it. */
static bool
may_flush(const struct thread *thread, unsigned entry)
{
	const struct buffered *store = &thread->buffer[entry];

	for (unsigned i = 0; i < entry; i++)
		if (store->release || thread->buffer[i].fence < store->fence ||
			thread->buffer[i].address == store->address)
			return false;
	return true;
}

/* Whether what must be visible before the thread's next step is. */
static bool
may_run(unsigned i)
{
	const struct thread *thread = &threads[i];

	if (is_over(thread))
		return false;
	if (thread->status == NEW) {
		for (unsigned j = 0; j < scene->count; j++)
			if (scene->after[i] & 1u << j &&
				(!is_over(&threads[j]) || threads[j].buffer_count))
				return false;
		return true;
	}
	if (thread->next->need == NEED_ALL)
		return !thread->buffer_count;
	for (unsigned j = 0; thread->next->need == NEED_WORD && j < thread->buffer_count;
		j++)
		if (((uintptr_t)thread->buffer[j].address ^
			    (uintptr_t)thread->next->address) < 8)
			return false;
	return true;
}

/* All that may happen next; first that the running thread goes on. */
static unsigned
list_choices(struct choice *choices)
{
	unsigned count = 0, first = self >= 0 ? (unsigned)self : 0;

	for (unsigned j = 0; j < scene->count; j++) {
		unsigned i = (first + j) % scene->count;

		if (may_run(i))
			choices[count++] = (struct choice){RUN, (uint8_t)i, 0};
	}
	for (unsigned i = 0; i < scene->count; i++)
		for (unsigned j = 0; j < 2 && j < threads[i].buffer_count; j++)
			if (may_flush(&threads[i], j))
				choices[count++] =
					(struct choice){FLUSH, (uint8_t)i, (uint8_t)j};
	for (unsigned i = 0; !deaths && i < scene->count; i++)
		if (scene->mortal & 1u << i && threads[i].status == WAITS)
			choices[count++] = (struct choice){DIE, (uint8_t)i, 0};
	return count;
}

static uint64_t
hash_state(void)
{
	uint64_t hash = deaths;

	for (unsigned i = 0; i < scene->count; i++) {
		const struct thread *thread = &threads[i];

		hash = states_mix(states_mix(hash, thread->status), thread->history);
		for (unsigned j = 0; j < thread->buffer_count; j++) {
			hash = states_mix(hash, (uintptr_t)thread->buffer[j].address);
			hash = states_mix(hash, thread->buffer[j].value);
		}
		hash = states_mix(hash, thread->buffer_count);
	}
	hash = memory_hash(hash);
	return hash ? hash : 1;
}

/* What happens next: as it was, or the first of what has not been tried. */
static struct choice
choose(void)
{
	struct choice choices[EXPLORE_THREADS * 4];
	struct fork *fork = &path.forks[path.depth];
	unsigned count;

	if (path.depth < path.count) {
		path.depth++;
		return fork->choices[fork->taken];
	}
	count = list_choices(choices);
	if (!count)
		leave(COMPLETE);
	if (states_was_seen(hash_state()))
		leave(SEEN_BEFORE);
	if (path.depth == TRACE_MAX)
		explore_fail("the work has no end");
	fork->choices = memory_grow(NULL, count * sizeof(*choices));
	memcpy(fork->choices, choices, count * sizeof(*choices));
	fork->count = count;
	fork->taken = 0;
	path.count = ++path.depth;
	return choices[0];
}

static void
put(const struct buffered *store)
{
	memory_keep((uintptr_t)store->address);
	memcpy(store->address, &store->value, store->bytes);
}

static void
flush(unsigned i, unsigned entry)
{
	struct thread *thread = &threads[i];
	struct buffered store = thread->buffer[entry];

	trace_add(i, "store", store.address, store.value);
	put(&store);
	thread->buffer_count--;
	memmove(&thread->buffer[entry], &thread->buffer[entry + 1],
		(thread->buffer_count - entry) * sizeof(store));
	if (scene->wrote)
		scene->wrote(i, store.address);
}

static void
die(unsigned i)
{
	while (threads[i].buffer_count)
		flush(i, 0);
	trace_add(i, "dies", NULL, 0);
	deaths = true;
	threads[i].status = DEAD;
	if (scene->died)
		scene->died(i);
}

static void
go_on(void);

static void
run_thread(void)
{
	scene->threads[self]();
	tell_written((unsigned)self);
	threads[self].status = DONE;
	go_on();
	abort();
}

static void
switch_to(unsigned i)
{
	static char locals[EXPLORE_THREADS][4096];
	struct thread *thread = &threads[i];
	bool is_new = thread->status == NEW;

	if (self >= 0)
		memcpy(locals[self], scene->local, scene->local_bytes);
	if (is_new)
		memset(locals[i], 0, scene->local_bytes);
	memcpy(scene->local, locals[i], scene->local_bytes);
	self = (int)i;
	if (!is_new)
		_longjmp(thread->place, 1);
	thread->status = WAITS;
	getcontext(&thread->start);
	thread->start.uc_stack.ss_sp = thread->stack;
	thread->start.uc_stack.ss_size = STACK_BYTES;
	makecontext(&thread->start, run_thread, 0);
	setcontext(&thread->start);
}

/* Let happen what is to happen next, until the thread that runs goes on. */
static void
go_on(void)
{
	for (;;) {
		struct choice choice = choose();

		if (choice.act == FLUSH) {
			flush(choice.thread, choice.entry);
		} else if (choice.act == DIE) {
			die(choice.thread);
		} else {
			if (choice.thread == self)
				return;
			if (self < 0 || is_over(&threads[self]) ||
				!_setjmp(threads[self].place))
				switch_to(choice.thread);
			return;
		}
	}
}

bool
step(struct access *access)
{
	uintptr_t address = (uintptr_t)access->address;

	if (self < 0 || is_private(address))
		return false;
	tell_written((unsigned)self);
	access->is_step = note(address, access->writes);
	if (access->is_step) {
		threads[self].next = access;
		go_on();
	}
	if (access->writes)
		memory_keep(address);
	return true;
}

void
step_done(const struct access *access, uint64_t value)
{
	struct thread *thread = &threads[self];

	if (access->is_step) {
		trace_add((unsigned)self, access->what, access->address, value);
		thread->history = states_mix(states_mix(thread->history, 1), value);
	}
	if (!access->writes)
		return;
	thread->written = access->address;
	/* A plain write is made behind the call. */
	if (access->what[0] != 'w')
		tell_written((unsigned)self);
}

void
step_copy(void *to, const void *from, size_t bytes)
{
	struct access access = {.what = "copy", .address = to, .need = NEED_ALL};
	struct thread *thread = &threads[self];
	bool more = false;

	if (self < 0)
		return;
	tell_written((unsigned)self);
	for (size_t i = 0; i < bytes; i += 8) {
		more |= memory_use(self, (uintptr_t)from + i, false);
		more |= memory_use(self, (uintptr_t)to + i, true);
	}
	if (more)
		leave(MORE_SHARED);
	thread->next = &access;
	go_on();
	trace_add((unsigned)self, access.what, to, bytes);
	for (size_t i = 0; i < bytes; i += 8) {
		memory_keep((uintptr_t)to + i);
		thread->history = states_mix(
			thread->history, *(const uint64_t *)((const char *)from + i));
	}
}

void
explore_pause(void)
{
	struct access access = {.what = "pause"};

	tell_written((unsigned)self);
	threads[self].next = &access;
	go_on();
	threads[self].history = states_mix(threads[self].history, 5);
}

void
explore_aside(void (*look)(void))
{
	int thread = self;

	self = -1;
	look();
	self = thread;
}

void
explore_recall(uint64_t value)
{
	threads[self].history = states_mix(3, value);
}

bool
step_buffers(void)
{
	return self >= 0 && scene->buffered;
}

void
step_buffer(void *address, size_t bytes, uint64_t value, bool release)
{
	struct thread *thread = &threads[self];
	struct buffered store = {address, bytes, value, release, thread->fences};

	if (is_private((uintptr_t)address)) {
		memcpy(address, &value, bytes);
		return;
	}
	tell_written((unsigned)self);
	if (!note((uintptr_t)address, true)) {
		put(&store);
		thread->written = address;
		return;
	}
	thread->history = states_mix(thread->history, 2);
	if (thread->buffer_count == BUFFER)
		explore_fail("too many stores for the buffer");
	thread->buffer[thread->buffer_count++] = store;
}

bool
step_forward(const void *address, uint64_t *ret_value)
{
	if (!step_buffers())
		return false;
	for (unsigned i = threads[self].buffer_count; i--;)
		if (threads[self].buffer[i].address == address) {
			*ret_value = threads[self].buffer[i].value;
			return true;
		}
	return false;
}

void
step_fence(void)
{
	if (self >= 0)
		threads[self].fences++;
}

static enum ended
execute(void)
{
	enum ended ended;

	path.depth = 0;
	trace_clear();
	deaths = false;
	for (unsigned i = 0; i < scene->count; i++) {
		char *stack = threads[i].stack;

		threads[i].status = NEW;
		threads[i].stack = stack ? stack : memory_grow(NULL, STACK_BYTES);
		threads[i].history = 0;
		threads[i].written = NULL;
		threads[i].buffer_count = threads[i].fences = 0;
	}
	ended = (enum ended)_setjmp(home);
	if (ended == BEGUN) {
		if (scene->begin)
			scene->begin();
		go_on();
	}
	if (ended == COMPLETE && scene->end) {
		ended = (enum ended)_setjmp(home);
		if (ended == BEGUN) {
			scene->end();
			ended = COMPLETE;
		}
	}
	memory_restore();
	return ended;
}

/* Leave the last fork that has another way. Returns whether there is one. */
static bool
turn_back(void)
{
	while (path.count) {
		struct fork *fork = &path.forks[path.count - 1];

		if (++fork->taken < fork->count)
			return true;
		free(fork->choices);
		path.count--;
	}
	return false;
}

static void
forget_path(void)
{
	while (path.count)
		free(path.forks[--path.count].choices);
}

struct explore_result
explore(const struct explore_scenario *scenario)
{
	struct explore_result result = {0};
	enum ended ended;

	scene = scenario;
	memory_forget();
	states_forget();
	do {
		ended = execute();
		result.executions++;
		if (trace_count() > result.steps)
			result.steps = trace_count();
		if (ended == MORE_SHARED) {
			forget_path();
			states_forget();
			result.executions = 0;
			continue;
		}
		if (ended == FAILED)
			result.failure = failure;
	} while (ended != FAILED && (ended == MORE_SHARED || turn_back()));
	forget_path();
	result.states = states_count();
	result.words = memory_shared();
	scene = NULL;
	return result;
}
