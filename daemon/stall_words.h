/* SPDX-License-Identifier: MIT */
/* A stall in words for people, where there is one line for it: in the journal, on a
 * terminal. Pure. */
#ifndef LOOPLAG_DAEMON_STALL_WORDS_H
#define LOOPLAG_DAEMON_STALL_WORDS_H

#include <stdbool.h>

#include "daemon/stall.h"

/* Long enough for all of these; what does not fit is cut off. */
#define STALL_WORDS_BYTES 512

/* "crunch (/srv/app.js:2)", "debugCommand (redis-server)", "libc.so.6+0x1234". Returns
 * ret_text. */
const char *
stall_words_frame(const struct stall_frame *frame, char ret_text[STALL_WORDS_BYTES]);

/* What the loop did meanwhile: "running", "asleep in fsync()"; empty when unknown. Returns
 * ret_text. */
const char *
stall_words_cause(enum stall_cause cause, const char *system_call,
	char ret_text[STALL_WORDS_BYTES]);

/* Whether the sample has all that can be hoped for: a script's frames, or why there are
 * none. Native ones may still be followed by those of the script above them. */
bool
stall_words_are_whole(const struct stall_sample *sample);

/* "52 ms", "1.02 s". Returns ret_text. */
const char *
stall_words_length(uint64_t length_ns, char ret_text[STALL_WORDS_BYTES]);

/* All of it: "loop main of web (process 4711) was stuck for 1.02 s, running, in crunch
 * (/srv/app.js:2)". No control character is left in it. Returns ret_text. */
const char *
stall_words_all(const struct stall *stall, char ret_text[STALL_WORDS_BYTES * 4]);

#endif
