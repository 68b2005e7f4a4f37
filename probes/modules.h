/* SPDX-License-Identifier: MIT */
/*
 * The objects that are mapped into this process, as the dynamic loader lists them. A
 * snapshot, so that it can be looked at while a thread is parked that may hold the loader's
 * lock.
 */
#ifndef LOOPLAG_PROBES_MODULES_H
#define LOOPLAG_PROBES_MODULES_H

#include <stdint.h>

#define MODULES_PATH_BYTES 232

struct module {
	uint64_t start, end;           /* of all that is mapped of it */
	uint64_t code_start, code_end; /* of what may be executed */
	uint64_t bias;
	uint64_t eh_frame_hdr; /* 0: none */
	uint32_t build_id_bytes;
	uint8_t build_id[24];
	char path[MODULES_PATH_BYTES]; /* as the loader has it; empty if it is too long */
};

/* Take the snapshot, unless nothing has been loaded or unloaded since the last one. Returns
 * whether it is another one. Takes no lock; the helper alone calls it. */
int
modules_refresh(void);

/* The object whose code, or whose memory at all, is at that address; or NULL. */
const struct module *
modules_find_code(uint64_t address);
const struct module *
modules_find(uint64_t address);

#endif
