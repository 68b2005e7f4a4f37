/* SPDX-License-Identifier: MIT */
/* A stall as people read it on a terminal. Pure. */
#ifndef LOOPLAG_CLI_STALL_TEXT_H
#define LOOPLAG_CLI_STALL_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "daemon/stall.h"

struct style;

/* A line with its time, length, loop and cause, and its stack below. */
void
stall_text_print(const struct stall *stall, const struct style *style, FILE *out);

/* The stack alone, of at most `most` frames and that of the application in any case; or why
 * there is none. */
void
stall_text_stack(
	const struct stall *stall, size_t most, const struct style *style, FILE *out);

#endif
