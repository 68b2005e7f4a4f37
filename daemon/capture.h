/* SPDX-License-Identifier: MIT */
/*
 * What one capture has found out about one thread, from whatever it was taken, checked and
 * fit to be shown, before it becomes a stack (frames.h). Plain values.
 */
#ifndef LOOPLAG_DAEMON_CAPTURE_H
#define LOOPLAG_DAEMON_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/stall.h"
#include "probes/segment.h"

#define CAPTURE_SCRIPTS 128
#define CAPTURE_BUILD_ID_BYTES 24

struct capture_module {
	char *path; /* as the target has it; NULL: none that can be opened */
	uint32_t build_id_bytes;
	uint8_t build_id[CAPTURE_BUILD_ID_BYTES];
};

struct capture {
	uint64_t taken_ns, js_taken_ns; /* the target's clock */
	uint32_t role;                  /* enum segment_role */
	uint32_t result;                /* enum segment_result */
	uint32_t flags;                 /* SEGMENT_CAPTURE_* */
	uint32_t js_state;              /* enum segment_js */
	/* Native frames, innermost first: module and offset, as far as known. */
	struct stall_frame natives[SEGMENT_NATIVE_FRAMES];
	uint32_t native_modules[SEGMENT_NATIVE_FRAMES]; /* or SEGMENT_NO_MODULE */
	size_t native_count;
	struct capture_module modules[SEGMENT_MODULES];
	size_t module_count;
	/* Frames of Python or JavaScript, innermost first. */
	struct stall_frame scripts[CAPTURE_SCRIPTS];
	size_t script_count;
};

/* NULL without memory. */
struct capture *
capture_new(void);
/* And what it owns. */
void
capture_free(struct capture *capture);

/* Forget the frames of Python and JavaScript. */
void
capture_drop_scripts(struct capture *capture);

#endif
