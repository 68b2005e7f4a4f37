/* SPDX-License-Identifier: MIT */
/*
 * Reads what V8's Message::PrintCurrentStackTrace() has written, innermost frame first, a
 * line as in Error.stack: "FUNCTION (PLACE)" or "PLACE", where PLACE is PATH:LINE:COLUMN,
 * "node:internal/...:LINE:COLUMN", "file://...", "eval at FUNCTION (PLACE), ..." or a word
 * such as "native" or "<anonymous>".
 */
#ifndef LOOPLAG_DAEMON_V8_STACK_H
#define LOOPLAG_DAEMON_V8_STACK_H

#include <stddef.h>

#include "daemon/stall.h"

/* Returns how many frames were found, `max` at most, whose strings the caller frees. The
 * text is a stranger's, and ends after `bytes` or with a 0. */
size_t
v8_stack_parse(
	const char *text, size_t bytes, struct stall_frame *ret_frames, size_t max);

#endif
