/* SPDX-License-Identifier: MIT */
/*
 * The records that a target's helper writes for one stall: which of them are new, which
 * belong together, and what is still to come. Nobody has to ring for them: one bell is rung
 * for all loops of a target. A record is taken once; but one whose JavaScript part was asked
 * for and has not come soon is shown without it first, and again when it has come.
 */
#ifndef LOOPLAG_DAEMON_CAPTURE_RECORDS_H
#define LOOPLAG_DAEMON_CAPTURE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/capture_reader.h"

/* A record of the segment, as the stall knows it. */
struct capture_record {
	uint64_t sequence;
	uint64_t first_ns; /* when it was seen first; 0: not at all */
	enum { RECORD_FRESH, RECORD_SHOWN, RECORD_DONE } state;
};

/* Place and key are the caller's to set, the records zeros at first. */
struct capture_records {
	struct capture_reader_place place;
	struct capture_reader_key key;
	struct capture_record records[SEGMENT_CAPTURES];
};

/* What a look has brought. */
struct capture_answer {
	struct capture *capture; /* to be shown, the receiver's; NULL: none */
	bool waits_gil;          /* the loop waits for the interpreter lock */
	bool provisional;        /* V8 may still answer */
	bool refused;            /* the helper says why there is no stack: */
	uint32_t result;         /* enum segment_result */
	unsigned settled; /* as capture_records_settle() has it, of replaced records */
};

/* Look what has come for the stall, which has `ended` or goes on. */
void
capture_records_look(struct capture_records *records, bool ended, uint64_t now_ns,
	struct capture_answer *ret_answer);

/* Whether something may still come that was begun. */
bool
capture_records_await(const struct capture_records *records);

/* Nothing will come any more. Returns how many were shown without their JavaScript part and
 * not counted yet: those are stacks nevertheless. */
unsigned
capture_records_settle(struct capture_records *records);

#endif
