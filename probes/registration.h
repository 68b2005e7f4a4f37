/* SPDX-License-Identifier: MIT */
/*
 * Making a segment and handing it to the daemon: memfd, size, map, seal, connect, send,
 * close both descriptors. Nothing of it is left in the descriptor table afterwards.
 *
 * System calls, so only at the start of the process and in the helper thread.
 */
#ifndef LOOPLAG_PROBES_REGISTRATION_H
#define LOOPLAG_PROBES_REGISTRATION_H

#include <stdint.h>

#include "probes/settings.h"
#include "probes/slots.h"

/* What does not change when the process registers again. */
struct registration {
	struct settings settings;
	int owner_word;
	uint32_t runtime;
	uint32_t count; /* registrations so far */
	int32_t pid;    /* that made the last one */
	uint8_t id[16]; /* of the segment; a forked child takes another one */
};

/* Make a segment for this process and offer it to the daemon. Whether somebody listens
 * makes no difference. Returns 0 and the mapped segment, which stays for good, or -1. */
int
registration_make(
	struct registration *registration, uint64_t now_ns, struct segment *ret_segment);

/* Make the same system calls, but tell nobody. Leaves `registration` of no use: for a child
 * that tries whether they kill. */
void
registration_try(struct registration *registration, uint64_t now_ns);

#endif
