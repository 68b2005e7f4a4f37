/* SPDX-License-Identifier: MIT */
/*
 * What liblooplag-v8.so, the module that knows V8, has for the probe: one function by that
 * name. It is C++ and linked to libstdc++, so it is loaded only into processes that have
 * both already, and never unloaded: V8 may call back at any time.
 */
#ifndef LOOPLAG_PROBES_V8_MODULE_H
#define LOOPLAG_PROBES_V8_MODULE_H

#include <stdint.h>

#include "probes/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

#define V8_MODULE_FILE "liblooplag-v8.so"
#define V8_MODULE_SYMBOL "looplag_v8"

/* What V8 has said so far. */
enum v8_answer {
	V8_NONE,
	V8_DOUBTFUL, /* no function, or one alone, of which this may be the begin */
	V8_FULL
};

/* To be called by one thread only, the helper. */
struct v8_module {
	/* Get what memory the next ask() will need. While no thread is parked. */
	void (*prepare)(void);
	/* As v8_ask(); `tid` is the thread that has the isolate, which is known to live. */
	int (*ask)(void *isolate, uint32_t tid, struct segment_capture *record,
		uint64_t sequence);
	/* As v8_answered(). */
	enum v8_answer (*answered)(const struct segment_capture *record);
	/* As v8_forget(). */
	int (*forget)(const struct segment_capture *record);
};

/* Returns NULL if this V8 is not as the module knows it. */
__attribute__((visibility("default")))
const struct v8_module *looplag_v8(uint64_t (*clock_ns)(void));

#ifdef __cplusplus
}
#endif

#endif
