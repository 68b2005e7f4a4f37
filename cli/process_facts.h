/* SPDX-License-Identifier: MIT */
/* What /proc says of a process, as far as it matters to the probe. */
#ifndef LOOPLAG_CLI_PROCESS_FACTS_H
#define LOOPLAG_CLI_PROCESS_FACTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/reach.h"

#define PROCESS_FACTS_NAME_BYTES 256
#define PROCESS_FACTS_SEGMENTS 16

struct process_facts {
	pid_t pid;
	char name[PROCESS_FACTS_NAME_BYTES]; /* the command's */
	char exe[PATH_MAX];
	struct reach_user user;
	bool secure;         /* the loader ignores LD_PRELOAD */
	bool filters_calls;  /* seccomp */
	bool uses_io_uring;  /* holds such a descriptor */
	uint64_t file_limit; /* RLIMIT_FSIZE, UINT64_MAX: none */
	char apparmor
		[PROCESS_FACTS_NAME_BYTES]; /* the profile if it is enforced, or empty */
	/* Of its memory: */
	char library[PATH_MAX]; /* the probe as it was loaded, or empty */
	bool library_deleted;   /* that file is no longer there */
	struct process_segment {
		uint64_t start, bytes;
		ino_t inode;
	} segments[PROCESS_FACTS_SEGMENTS]; /* the probe's; older ones stay mapped */
	size_t segment_count;
	/* Of its environment as it was at the start, unless the program has written there;
	 * caller frees by process_facts_fini(): */
	char *environment; /* strings one after another; an empty one ends them */
};

/* Read them. Returns 0, -ESRCH without such a process, -EACCES if we may not look at it, or
 * -ENOEXEC: it is a thread of the kernel's, or dead. */
__attribute__((warn_unused_result)) int
process_facts_read(pid_t pid, struct process_facts *ret_facts);
void
process_facts_fini(struct process_facts *facts);

/* A variable of its environment, or NULL. */
const char *
process_facts_variable(const struct process_facts *facts, const char *name);

/* Take what a line of /proc/PID/maps tells. Pure. */
void
process_facts_take_mapping(struct process_facts *facts, const char *line);

#endif
