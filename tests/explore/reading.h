/* SPDX-License-Identifier: MIT */
/*
 * The daemon's reader as a thread of an exploration. What it copies is told from what there
 * was at some moments: the reader does nothing that depends on the rest of it.
 */
#ifndef LOOPLAG_TESTS_EXPLORE_READING_H
#define LOOPLAG_TESTS_EXPLORE_READING_H

#include "daemon/reader.h"

/* A reader of that slot of the cast's segment, to which no moment is known. */
void
reading_set_up(struct segment_slot *slot);

/* What stands in the slot is of one moment; the next one has another sequence. */
void
reading_keep_moment(void);
unsigned
reading_moments(void);

/* reader_read_slot(), from a copy that is all zeros. The result is borrowed
 * until the next call. */
enum reader_result
reading_read(int torn_ok, unsigned tries, const struct segment_slot **ret_slot);

/* Fail unless the copy is of one of the moments, but for its state. Returns which. */
unsigned
reading_check(const struct segment_slot *copy);

#endif
