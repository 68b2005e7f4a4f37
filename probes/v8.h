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
 * While v8_ask() runs, the thread is parked, so that its isolate exists. But V8 takes a
 * mutex and memory there, which that thread may hold: after some milliseconds it goes on,
 * and waits at its next wait call until the helper has come out (handler_settle()). So the
 * isolate may only be disposed of before v8_ask() has returned if a thread leaves the
 * handler, ends its JavaScript, tears the environment down without one wait call (node's
 * teardown makes several) and all that while the helper, for whom the locks became free at
 * the first of these steps, gets no CPU.
 *
 * A thread that is taking its isolate down has it as its current one for a while, though
 * it cannot be used any more: v8::Isolate::IsInUse() tells, to be asked in v8_ask().
 */
#ifndef LOOPLAG_PROBES_V8_H
#define LOOPLAG_PROBES_V8_H

#include <stdint.h>

#include "probes/segment.h"

/* Find V8 in this process. By the helper, while no thread is parked: takes the loader's
 * lock. Called before each capture; after the first time it costs nothing. */
void
v8_prepare(void);

/* The calling thread's isolate, or NULL. Called in a signal handler. */
void *
v8_current(void);

/*
 * Ask V8 to interrupt the isolate's JavaScript as soon as it can, and to write the stack
 * that it has then into the record: js, js_bytes, js_taken_ns and, last and with release,
 * js_state. The helper fills the rest of the record in meanwhile: its sequence is
 * `sequence - 1` until the helper is done and `sequence` then; with any other value the
 * record is somebody else's and must not be touched. js_state is SEGMENT_JS_NONE before;
 * the helper sets SEGMENT_JS_ASKED if this returns 0, unless it is more by then. Returns -1
 * if nothing was asked.
 */
int
v8_ask(void *isolate, struct segment_capture *record, uint64_t sequence);

#endif
