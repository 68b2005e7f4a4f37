/* SPDX-License-Identifier: MIT */
/*
 * Reads what CPython's _Py_DumpTraceback() has written, innermost frame first:
 *
 *	Stack (most recent call first):
 *	  File "PATH", line N in FUNCTION
 *
 * Only the frames of the first stack count. As CPython 3.11 to 3.15 write it (their
 * Python/traceback.c): the head may be "Current thread 0x... [name] (most recent call
 * first):" or missing; what is not known is "???"; what is not ASCII is escaped; after 100
 * frames comes "  ..." or "  <truncated rest of calls>".
 */
#ifndef LOOPLAG_DAEMON_PYTHON_DUMP_H
#define LOOPLAG_DAEMON_PYTHON_DUMP_H

#include <stddef.h>

#include "daemon/stall.h"

/* Returns how many frames were found, `max` at most, whose strings the caller frees. The
 * text is a stranger's, and ends after `bytes` or with a 0. */
size_t
python_dump_parse(
	const char *text, size_t bytes, struct stall_frame *ret_frames, size_t max);

#endif
