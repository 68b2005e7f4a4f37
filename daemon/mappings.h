/* SPDX-License-Identifier: MIT */
/*
 * What a process has mapped: the programs and libraries in its memory, with what it takes to
 * unwind through them. From /proc/PID/maps and the memory itself, which its owner may have
 * filled with anything: all is checked and bounded.
 */
#ifndef LOOPLAG_DAEMON_MAPPINGS_H
#define LOOPLAG_DAEMON_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct capture_module;
struct mappings;

/* One object, as far as it is known. */
struct mappings_object {
	uint64_t start, end;   /* of a part that may be executed */
	uint64_t base;         /* where its ELF header is mapped; 0: nowhere */
	uint64_t bias;         /* address less the one in its file */
	uint64_t eh_frame_hdr; /* address; 0: it has none */
	const char *path;      /* NULL: no file */
	uint32_t build_id_bytes;
	uint8_t build_id[24];
	bool read; /* the last five were looked for */
};

/* Read a file like /proc/PID/maps, which is left open. NULL without memory. */
struct mappings *
mappings_new(FILE *maps);
void
mappings_free(struct mappings *mappings);

/* Whether that file is mapped. */
bool
mappings_have(const struct mappings *mappings, dev_t device, ino_t inode);

/* The object that an address lies in, its headers read from `memory`, a file like
 * /proc/PID/mem. NULL: none. Borrowed. */
const struct mappings_object *
mappings_find(struct mappings *mappings, int memory, uint64_t address);

#endif
