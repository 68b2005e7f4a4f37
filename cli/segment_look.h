/* SPDX-License-Identifier: MIT */
/* A look at the segment of a process through its memory: as the daemon would see it. */
#ifndef LOOPLAG_CLI_SEGMENT_LOOK_H
#define LOOPLAG_CLI_SEGMENT_LOOK_H

#include <stdint.h>

#include "cli/process_facts.h"

struct segment_look {
	unsigned loops;       /* that live, in all processes that share the segment */
	uint64_t other_waits; /* wait calls outside any loop */
	uint32_t runtime;     /* SEGMENT_RUNTIME_* */
	ino_t inode;
};

/* Look at the newest of its segments. Returns 0, -ENOENT if it has none that makes sense, or
 * -EACCES if we may not read its memory. */
__attribute__((warn_unused_result)) int
segment_look(const struct process_facts *facts, struct segment_look *ret_look);

enum segment_holder { SEGMENT_HELD, SEGMENT_NOT_HELD, SEGMENT_HOLDER_UNKNOWN };

/* Whether a looplagd, or a looplag run, has it. Unknown where we may look at none. */
enum segment_holder
segment_find_holder(ino_t inode);

#endif
