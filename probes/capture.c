/* SPDX-License-Identifier: MIT */
/* See capture.h. */

#include "probes/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probes/cfi.h"
#include "probes/handler.h"
#include "probes/loops.h"
#include "probes/memory.h"
#include "probes/modules.h"
#include "probes/python.h"
#include "probes/records.h"
#include "probes/symbols.h"
#include "probes/tasks.h"
#include "probes/unwind.h"
#include "probes/v8.h"

#define AT_ONCE 4      /* loops a ring: with the holders, as many as there are records */
#define HOLDERS 8      /* threads that may be asked whether they have the GIL */
#define BLOCK_TRIES 20 /* pauses of a millisecond */
#define SIGNAL_NS 100000000u /* for a thread to take the signal */
#define V8_PATIENCE 8        /* pauses */
#define V8_TRIES 64          /* while its answer is doubtful */
#define V8_PAUSE_NS 500000
#define TRIES 4 /* when CPython cannot be asked at that very moment */

/* What was taken of a parked thread. */
struct taken {
	struct unwind_registers registers;
	int has_python, holds_gil;
	uint64_t taken_ns;
	uint64_t stack_start; /* the address of what was copied first */
	size_t stack_bytes;
	int pipe[2]; /* what CPython has written; -1: nothing */
};

/* A function of libc that tells what a thread waits for. */
struct range {
	uint64_t start, end;
};

static uint64_t (*clock_now_ns)(void);
static int filters; /* of the helper's thread at its start */
static struct range timed_waits[2];
static uint64_t stack[MEMORY_MAX / sizeof(uint64_t)]; /* copy of the parked thread's */
static struct cfi_memo memo;

static struct range
find_range(const char *name)
{
	uint64_t start = (uintptr_t)symbols_libc(name);

	return (struct range){start, start + symbols_libc_bytes(name)};
}

int
capture_start(uint64_t (*clock_ns)(void))
{
	struct tasks_facts own;

	clock_now_ns = clock_ns;
	memory_start();
	filters = tasks_look(0, SIGURG, &own) ? -1 : own.filters;
	timed_waits[0] = find_range("pthread_cond_timedwait");
	timed_waits[1] = find_range("pthread_cond_clockwait");
	return handler_start(clock_ns);
}

/* The memory of the thread as it was: its stack from the copy, tables from the objects. */
static int
read_taken(void *context, uint64_t address, void *to, size_t bytes)
{
	const struct taken *taken = context;
	uint64_t at = address - taken->stack_start;

	if (at < taken->stack_bytes) {
		if (bytes > taken->stack_bytes - at)
			return -1;
		memcpy(to, (const uint8_t *)stack + at, bytes);
		return 0;
	}
	return modules_find(address) && memory_copy(address, to, bytes) == bytes ? 0 : -1;
}

static int
find_module(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	const struct module *module = modules_find_code(pc);

	(void)context;
	if (!module)
		return -1;
	*ret_module = (struct unwind_module){
		.start = module->code_start,
		.end = module->code_end,
		.bias = module->bias,
		.eh_frame_hdr = module->eh_frame_hdr,
	};
	return 0;
}

/* Tell whether the thread may be sent the signal: TAKEN, or why not. A filter of system calls
 * that was set up in it since may kill it for those that its handler makes: who cannot tell
 * does not try. One that blocks the signal, and not only while it forks or the like, may have
 * a signalfd for it, and would take ours for one of its own. */
static enum segment_result
look(uint32_t tid)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct tasks_facts facts;

	for (int i = 0; i < BLOCK_TRIES; i++) {
		if (tasks_look(tid, SIGURG, &facts) || facts.filters < 0 ||
			facts.filters > filters)
			return syscall(SYS_tgkill, getpid(), tid, 0)
				       ? SEGMENT_RESULT_OVER
				       : SEGMENT_RESULT_SANDBOX;
		if (facts.blocks <= 0)
			return SEGMENT_RESULT_TAKEN;
		(void)syscall(SYS_nanosleep, &pause, NULL);
	}
	return SEGMENT_RESULT_BLOCKED;
}

/* Stop the thread. Its facts are borrowed until it is let go. */
static enum segment_result
stop(uint32_t tid, const struct handler_facts **ret_facts)
{
	enum segment_result may = look(tid);

	if (may != SEGMENT_RESULT_TAKEN)
		return may;
	switch (handler_stop(tid, SIGNAL_NS, ret_facts)) {
	case 0:
		return SEGMENT_RESULT_TAKEN;
	case -ESRCH:
		return SEGMENT_RESULT_OVER;
	default:
		return SEGMENT_RESULT_SILENT;
	}
}

/* Have somewhere for CPython to write to. Never waits: what does not fit is lost. */
static void
open_pipe(struct taken *taken)
{
	if (syscall(SYS_pipe2, taken->pipe, O_CLOEXEC | O_NONBLOCK))
		taken->pipe[0] = taken->pipe[1] = -1;
}

static void
close_pipe(struct taken *taken)
{
	if (taken->pipe[0] < 0)
		return;
	close(taken->pipe[0]);
	close(taken->pipe[1]);
}

/* Copy the stack of the parked thread, which has its registers. */
static void
copy_stack(struct taken *taken)
{
	uint64_t sp = taken->registers.values[UNWIND_SP];

	taken->stack_start = sp - UNWIND_RED_ZONE;
	taken->stack_bytes = memory_copy(taken->stack_start, stack, sizeof(stack));
	/* A coroutine's may begin right there. */
	if (!taken->stack_bytes) {
		taken->stack_start = sp;
		taken->stack_bytes = memory_copy(sp, stack, sizeof(stack));
	}
}

/* Take from the parked thread what changes when it goes on. No locks, no memory. Returns
 * -1 if CPython cannot be asked at this moment. */
static int
take(const struct handler_facts *facts, struct taken *taken)
{
	taken->taken_ns = clock_now_ns();
	taken->registers = facts->registers;
	taken->has_python = facts->python != NULL;
	taken->holds_gil = facts->holds_gil;
	taken->stack_start = taken->registers.values[UNWIND_SP];
	taken->stack_bytes = 0;
	if (taken->registers.known)
		copy_stack(taken);
	if (!facts->python || taken->pipe[1] < 0)
		return 0;
	return python_dump(facts->python,
		taken->registers.known ? taken->registers.values[UNWIND_PC] : 0,
		taken->pipe[1]);
}

/* Ask V8, if the thread is in an isolate. This may wait for what the thread has. Returns
 * whether it was asked. */
static int
ask_v8(const struct handler_facts *facts, const struct taken *taken,
	struct segment_capture *record)
{
	uint64_t words = taken->stack_bytes / sizeof(*stack);
	uint64_t below = (taken->registers.values[UNWIND_SP] - taken->stack_start) /
			 sizeof(*stack);
	const struct v8_thread thread = {
		.isolate = facts->isolate,
		.tid = record->tid,
		.pc = taken->registers.values[UNWIND_PC],
		.stack = stack + below,
		.stack_words = words > below ? words - below : 0,
	};
	uint32_t none = SEGMENT_JS_NONE;

	if (!thread.isolate)
		return 0;
	handler_loosen();
	if (v8_ask(&thread, record, record->sequence + 1))
		return 0;
	(void)__atomic_compare_exchange_n(&record->js_state, &none, SEGMENT_JS_ASKED, 0,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED);
	return 1;
}

/* Put what CPython has written into the record, up to the last whole line. */
static void
add_python(struct segment_capture *record, const struct taken *taken)
{
	long bytes = taken->pipe[0] < 0 ? 0
					: syscall(SYS_read, taken->pipe[0],
						  record->python, sizeof(record->python));

	while (bytes > 0 && record->python[bytes - 1] != '\n')
		bytes--;
	record->python_bytes = bytes > 0 ? (uint32_t)bytes : 0;
}

/* Tell whether the innermost frames are a timed wait on a condition, called by CPython,
 * which is how it waits for the GIL. */
static int
waits_for_gil(const uint64_t *pcs, size_t count)
{
	const struct module *python = modules_find_code(python_address());
	int waits = 0;

	for (size_t i = 0; i < count; i++) {
		const struct module *module = modules_find_code(pcs[i]);

		for (unsigned j = 0; j < 2; j++)
			waits |= pcs[i] >= timed_waits[j].start &&
				 pcs[i] < timed_waits[j].end;
		if (waits && module == python)
			return module != NULL;
		if (!module || module != modules_find_code(pcs[0]))
			return 0;
	}
	return 0;
}

/* Fill the record in from what was taken. */
static void
fill(struct segment_capture *record, struct taken *taken)
{
	const struct unwind_calls calls = {
		.read = read_taken, .find = find_module, .context = taken, .memo = &memo};
	uint64_t pcs[SEGMENT_NATIVE_FRAMES];
	enum unwind_end end;
	size_t count =
		unwind_walk(&calls, &taken->registers, pcs, SEGMENT_NATIVE_FRAMES, &end);

	record->taken_ns = taken->taken_ns;
	records_add_natives(record, pcs, count);
	add_python(record, taken);
	if (count && end != UNWIND_OUTERMOST)
		record->flags |= SEGMENT_CAPTURE_TRUNCATED;
	if (taken->has_python)
		record->flags |= SEGMENT_CAPTURE_PYTHON;
	if (taken->holds_gil)
		record->flags |= SEGMENT_CAPTURE_HOLDS_GIL;
	else if (taken->has_python && waits_for_gil(pcs, count))
		record->flags |= SEGMENT_CAPTURE_WAITS_GIL;
}

/* Claim a record for a thread. */
static struct segment_capture *
begin(const struct loops_late *late, uint32_t tid, enum segment_role role)
{
	struct segment_capture *record = records_claim(loops_segment(), clock_now_ns());

	if (!record)
		return NULL;
	record->since_ns = late->since_ns;
	record->slot = late->index;
	record->tid = tid;
	record->role = role;
	return record;
}

/* Stop the thread and take what there is; it is parked then. `gil` asks for a thread that
 * has the GIL, the slot for a stall that goes on. */
static enum segment_result
stop_and_take(uint32_t tid, const struct loops_late *late, int gil,
	const struct handler_facts **ret_facts, struct taken *ret_taken)
{
	const struct timespec pause = {.tv_nsec = 20000};

	for (int i = 1;; i++) {
		enum segment_result result = stop(tid, ret_facts);

		if (result != SEGMENT_RESULT_TAKEN)
			return result;
		if (gil ? !(*ret_facts)->holds_gil
			: __atomic_load_n(&late->slot->state, __ATOMIC_ACQUIRE) !=
					late->since_ns) {
			handler_free();
			return SEGMENT_RESULT_OVER;
		}
		if (take(*ret_facts, ret_taken) == 0 || i == TRIES)
			return SEGMENT_RESULT_TAKEN;
		handler_free();
		/* Without a pause the next signal would find it where it was. */
		(void)syscall(SYS_nanosleep, &pause, NULL);
	}
}

/* Look at a thread that may hold the GIL for which the loop waits. Returns whether it is
 * the one. */
static int
try_holder(const struct loops_late *late, uint32_t tid)
{
	const struct handler_facts *facts;
	struct segment_capture *record;
	struct taken taken;
	int found;

	open_pipe(&taken);
	found = stop_and_take(tid, late, 1, &facts, &taken) == SEGMENT_RESULT_TAKEN;
	if (found) {
		handler_free();
		record = begin(late, tid, SEGMENT_ROLE_HOLDER);
		if (record) {
			fill(record, &taken);
			record->result = SEGMENT_RESULT_TAKEN;
			records_publish(record);
		}
	}
	close_pipe(&taken);
	return found;
}

static void
take_holder(const struct loops_late *late)
{
	uint32_t own = (uint32_t)syscall(SYS_gettid), tids[HOLDERS];
	size_t count = tasks_running(tids, HOLDERS);

	for (size_t i = 0; i < count; i++)
		if (tids[i] != own && tids[i] != late->tid && try_holder(late, tids[i]))
			return;
}

/* Wait for V8's answer as long as it may come at once, and ask again while it is doubtful:
 * a flood of microtasks has hardly any time in which a function runs. */
static void
await_v8(const struct loops_late *late, struct segment_capture *record)
{
	const struct timespec pause = {.tv_nsec = V8_PAUSE_NS};
	const struct handler_facts *facts;
	struct taken taken = {.pipe = {-1, -1}};
	int patience = V8_PATIENCE;

	for (int i = 0; i < V8_TRIES && patience; i++, patience--) {
		(void)syscall(SYS_nanosleep, &pause, NULL);
		if (v8_answered(record) == V8_NONE)
			continue;
		if (v8_answered(record) == V8_FULL ||
			stop_and_take(late->tid, late, 0, &facts, &taken) !=
				SEGMENT_RESULT_TAKEN)
			break;
		ask_v8(facts, &taken, record);
		handler_free();
		patience = V8_PATIENCE;
	}
	/* What there is must not change while others read it. */
	for (int i = 0; i < V8_TRIES; i++) {
		if (__atomic_load_n(&record->js_state, __ATOMIC_ACQUIRE) !=
				SEGMENT_JS_TAKEN ||
			v8_forget(record) == 0)
			break;
		(void)syscall(SYS_nanosleep, &pause, NULL);
	}
}

/* Take the stack of a late loop's thread into the record. */
static enum segment_result
take_thread(const struct loops_late *late, struct segment_capture *record)
{
	const struct handler_facts *facts;
	struct taken taken;
	enum segment_result result;
	int asked;

	open_pipe(&taken);
	result = stop_and_take(late->tid, late, 0, &facts, &taken);
	if (result == SEGMENT_RESULT_TAKEN) {
		asked = ask_v8(facts, &taken, record);
		handler_free();
		fill(record, &taken);
		if (asked)
			await_v8(late, record);
	}
	close_pipe(&taken);
	return result;
}

static void
take_loop(const struct loops_late *late, int installed)
{
	struct segment_capture *record = begin(late, late->tid, SEGMENT_ROLE_LOOP);
	uint32_t flags;

	if (!record)
		return;
	record->result = installed ? take_thread(late, record) : SEGMENT_RESULT_HANDLER;
	flags = record->flags;
	records_publish(record);
	if (flags & SEGMENT_CAPTURE_WAITS_GIL)
		take_holder(late);
}

void
capture_take(uint64_t stall_ns)
{
	static size_t cursor;
	struct loops_late late[AT_ONCE];
	uint64_t now_ns = clock_now_ns();
	size_t count;
	int installed;

	if (now_ns <= stall_ns)
		return;
	count = loops_find_late(now_ns - stall_ns, late, AT_ONCE, &cursor);
	if (!count)
		return;
	if (modules_refresh())
		memset(&memo, 0, sizeof(memo));
	python_prepare();
	v8_prepare(clock_now_ns);
	installed = handler_install() == 0;
	for (size_t i = 0; i < count; i++)
		take_loop(&late[i], installed);
	if (installed)
		handler_remove();
}
