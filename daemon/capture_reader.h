/* SPDX-License-Identifier: MIT */
/*
 * Reads the captures in a segment (segment.h): by pread into memory of our own, whole or
 * not at all, and believes nothing of it.
 */
#ifndef LOOPLAG_DAEMON_CAPTURE_READER_H
#define LOOPLAG_DAEMON_CAPTURE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/capture.h"
#include "probes/segment.h"

/* Which iteration of which loop. */
struct capture_reader_key {
	uint32_t slot;
	uint64_t since_ns;
};

/* Where the captures are. */
struct capture_reader_place {
	int segment; /* descriptor that has passed the gate */
	uint32_t offset, count;
};

/* From a header that was checked; how many there are is bounded. */
struct capture_reader_place
capture_reader_place(int segment, const struct segment_header *header);

/* What stands in a record, in a glance. */
struct capture_reader_glance {
	uint64_t sequence; /* 0: nothing is there, or it is being written */
	uint32_t role, js_state;
};

/* Look whether a record is of that iteration. Returns whether it is. */
bool
capture_reader_glance(const struct capture_reader_place *place, unsigned index,
	const struct capture_reader_key *key, struct capture_reader_glance *ret_glance);

/* Copy and check a record. NULL without memory, when it was written to meanwhile, or when
 * it is not of that iteration any more. */
struct capture *
capture_reader_read(const struct capture_reader_place *place, unsigned index,
	const struct capture_reader_key *key);

/* The same from a copy: check all of it. NULL without memory. */
struct capture *
capture_reader_parse(const struct segment_capture *record);

#endif
