/* SPDX-License-Identifier: MIT */
/*
 * Asking V8 for the JavaScript stack of a captured thread. The probe itself is C and needs
 * libc alone; what knows V8 is a module beside it, liblooplag-v8.so, that is loaded only
 * where V8 is. Without it, nothing here does anything.
 *
 * The order of events (handler.h has the part of the thread):
 *
 *	helper, at its first capture         v8_prepare()
 *	loop's thread, in the handler        v8_current(): its isolate; then it parks
 *	helper, while the thread is parked   copies the stack, then v8_ask()
 *	loop's thread, some time later       V8 calls back: writes the js part of the record
 *
 * While v8_ask() runs, the thread is parked, so that its isolate exists, with one exception:
 * a thread that is taking its isolate down has it as its current one until it is gone. So a
 * thread that has v8::internal::Isolate::Delete() on its stack is left alone, and so is any
 * V8 that does not export that name.
 *
 * RequestInterrupt() takes the isolate's mutex, and rarely memory and a mutex of Atomics.
 * The parked thread may have any of them. A thread that has a mutex of its isolate is left
 * alone too, and the memory is got before (v8_prepare()). For what remains, and whatever
 * else a V8 may do, the thread goes on after handler.c's LOOSE_NS, and waits at its next wait
 * call until the helper has come out. So an isolate may only be disposed of while the helper
 * is in there if a thread was stopped within some instructions of Atomics, takes its
 * environment down without one wait call (node's teardown makes several), and the helper,
 * for whom the lock became free at the first of these steps, gets no CPU all that while.
 */
#ifndef LOOPLAG_PROBES_V8_H
#define LOOPLAG_PROBES_V8_H

#include <stddef.h>
#include <stdint.h>

#include "probes/segment.h"
#include "probes/v8_module.h"

/* A parked thread. */
struct v8_thread {
	void *isolate; /* what v8_current() said there */
	uint32_t tid;
	uint64_t pc;
	const uint64_t *stack; /* a copy, from its stack pointer on */
	size_t stack_words;
};

/* Find V8 in this process, and load the module. By the helper, while no thread is parked:
 * takes the loader's lock, and memory. Called before each capture; after the first time it
 * costs little. */
void v8_prepare(uint64_t (*clock_ns)(void));

/* The calling thread's isolate, or NULL. Called in a signal handler. */
void *
v8_current(void);

/*
 * Ask V8 to interrupt that isolate's JavaScript as soon as it can, and to write the stack
 * that it has then into the record: js, js_bytes, js_taken_ns and, last and with release,
 * js_state. The helper fills the rest of the record in meanwhile: its sequence is
 * `sequence - 1` until the helper is done and `sequence` then; with any other value the
 * record is somebody else's and must not be touched. js_state is SEGMENT_JS_NONE before;
 * the helper sets SEGMENT_JS_ASKED if this returns 0, unless it is more by then. Returns -1
 * if nothing was asked. Asked again for the same record, which nobody else must read yet, V8
 * writes only what says more.
 */
int
v8_ask(const struct v8_thread *thread, struct segment_capture *record, uint64_t sequence);

/* What V8 has said of the record since v8_ask(). After a doubtful answer it can be asked
 * again. */
enum v8_answer
v8_answered(const struct segment_capture *record);

/* From now on V8's answers are not for this record, which may be taken for something else.
 * Returns -1 if one is being written into it just now. */
int
v8_forget(const struct segment_capture *record);

#endif
