/* SPDX-License-Identifier: MIT */
/* Goes through /proc for the processes that the kernel counts to the unit. */

#include "config.h"

#include "cli/unit_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/process_facts.h"
#include "cli/segment_look.h"
#include "daemon/identity.h"

#define FAMILIES_MAX 256

/* The segments that were counted: processes that fork share one. */
struct seen {
	ino_t inodes[FAMILIES_MAX];
	size_t count;
};

/* Whether it is the first time; what there is no room for is counted again. */
static bool
is_new(struct seen *seen, ino_t inode)
{
	for (size_t i = 0; i < seen->count; i++)
		if (seen->inodes[i] == inode)
			return false;
	if (seen->count < FAMILIES_MAX)
		seen->inodes[seen->count++] = inode;
	return true;
}

static void
look_at(pid_t pid, struct seen *seen, struct unit_processes *processes)
{
	struct process_facts facts;
	struct segment_look look;

	if (process_facts_read(pid, &facts))
		return;
	processes->count++;
	if (*facts.library && !segment_look(&facts, &look)) {
		processes->carrying++;
		processes->loops += is_new(seen, look.inode) ? look.loops : 0;
	}
	process_facts_fini(&facts);
}

struct unit_processes
unit_processes_look(const char *unit, pid_t main_pid)
{
	struct unit_processes processes = {0};
	char name[IDENTITY_NAME_BYTES];
	const struct dirent *entry;
	struct seen seen = {.count = 0};
	DIR *dir = opendir("/proc");

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (isdigit((unsigned char)entry->d_name[0]) && pid != main_pid &&
			!identity_unit(pid, name) && !strcmp(name, unit))
			look_at(pid, &seen, &processes);
	}
	if (dir)
		closedir(dir);
	return processes;
}
