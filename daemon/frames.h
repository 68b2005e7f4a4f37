/* SPDX-License-Identifier: MIT */
/*
 * Makes a stack that people can read from what a capture has found. Pure.
 *
 * The frames are those of the program: what runs it is folded.
 *
 *	innermost   native frames that the interpreter has called    fsync
 *	            Python's or JavaScript's own frames, in place    save    /srv/app.py:12
 *	            of the interpreter's native ones                 handler /srv/app.py:40
 *	outermost   (the runtime's event loop, main: folded)
 *
 * A frame that is folded is never the only one: where all would be, the innermost stays.
 *
 * The application frame is the innermost one that the application's own people wrote, as
 * far as names tell. Frames have a rank, and the innermost one of the best rank is it:
 *
 *	own       a script that is not one of those below; a function with a name in the
 *	          program or in a library that lies outside the system's directories
 *	unnamed   the same, where the function has no name
 *	library   site-packages, dist-packages, node_modules; a Python program that some
 *	          .../bin/ starts; the system's libraries
 *	runtime   the language's standard library, libc: never
 *
 * Where there are frames of a script, native ones don't count.
 */
#ifndef LOOPLAG_DAEMON_FRAMES_H
#define LOOPLAG_DAEMON_FRAMES_H

#include <stdint.h>

#include "daemon/capture.h"
#include "daemon/stall.h"

/* JavaScript frames that came so much after the native ones are late. */
#define FRAMES_LATE_NS 5000000u
/* Names of functions, files and modules in a stack; its outermost frames are dropped then. */
#define FRAMES_TEXT_BYTES 12288u

/* Moves the frames out of the capture into a fresh sample; its taken_ns is the capture's,
 * waits_gil is the caller's to set. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
frames_make(struct capture *capture, struct stall_sample *ret_sample);

/* The application frame, borrowed; NULL when there is none. */
const struct stall_frame *
frames_application(const struct stall_sample *sample);

/*
 * A number for the code path, the same in every process and after every start: FNV-1a of
 * 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv) over language, function and file of the
 * application frame and all that called it. What it calls itself is another thing at each
 * look. The line counts only where a function has no name of its own; for a native frame
 * without a name the module's file name and the offset count. 0 when there is no frame.
 */
uint64_t
frames_stack_id(const struct stall_sample *sample);

#endif
