/* SPDX-License-Identifier: MIT */
/*
 * What is known of the runtimes, by the names of their functions and files: which frames
 * are the program's and which only run it. frames.h says what that is for. Pure.
 */
#ifndef LOOPLAG_DAEMON_RUNTIMES_H
#define LOOPLAG_DAEMON_RUNTIMES_H

#include <stdbool.h>

#include "daemon/stall.h"

/* Whose people wrote it; less is nearer to the application. */
enum runtimes_rank {
	RUNTIMES_OWN,
	RUNTIMES_UNNAMED,
	RUNTIMES_LIBRARY,
	RUNTIMES_RUNTIME,
};
enum runtimes_rank
runtimes_rank(const struct stall_frame *frame);

/* Native: in the C library, its parts and its dynamic linker, or in our own library, which
 * stands before it. */
bool
runtimes_is_libc(const struct stall_frame *frame);

/* Native: in our own library. */
bool
runtimes_is_probe(const struct stall_frame *frame);

/* Native: what every thread begins with. */
bool
runtimes_is_start(const struct stall_frame *frame);

/* Native: where the interpreter of that language runs a script. */
bool
runtimes_is_interpreter(const struct stall_frame *frame, enum stall_language language);

/* Native: belongs to a runtime, and tells nothing of what the program does. */
bool
runtimes_is_plumbing(const struct stall_frame *frame);

/* A script's frame that belongs to the runtime's own event loop and start. */
bool
runtimes_is_folded(const struct stall_frame *frame);

/* The function has no name that tells it from others in its file. */
bool
runtimes_is_nameless(const struct stall_frame *frame);

#endif
