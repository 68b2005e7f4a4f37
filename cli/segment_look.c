/* SPDX-License-Identifier: MIT */
/* Reads a segment by pread() of /proc/PID/mem, with nothing in it believed that would lead
 * out of it, and looks for who else has it by its inode. */

#include "config.h"

#include "cli/segment_look.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/reader.h"
#include "probes/segment.h"

/* Read a segment's header. Returns whether it makes sense. */
static bool
read_header(
	int mem, const struct process_segment *segment, struct segment_header *ret_header)
{
	if (pread(mem, ret_header, sizeof *ret_header, (off_t)segment->start) !=
		(ssize_t)sizeof *ret_header)
		return false;
	return ret_header->magic == SEGMENT_MAGIC &&
	       ret_header->compat_version <= SEGMENT_VERSION &&
	       ret_header->size == segment->bytes &&
	       ret_header->slot_count >= SEGMENT_SLOTS_DEFAULT &&
	       ret_header->slot_count <= SEGMENT_SLOTS_MAX &&
	       ret_header->size == segment_size(ret_header->slot_count) &&
	       ret_header->owner_word < SEGMENT_LOCK_BYTES / 4;
}

/* Whether a slot holds a loop whose thread lives. */
static bool
is_loop(int mem, uint64_t start, const struct segment_header *header, unsigned index)
{
	uint64_t threads = start + SEGMENT_PAGE;
	uint64_t slots = start + header->size - SEGMENT_CAPTURE_BYTES -
			 header->slot_count * (uint64_t)sizeof(struct segment_slot);
	struct segment_slot slot;
	struct segment_thread thread;
	size_t head = offsetof(struct segment_slot, label);

	if (pread(mem, &slot, head, (off_t)(slots + index * (uint64_t)sizeof slot)) !=
			(ssize_t)head ||
		!slot.state || !slot.born_ns || slot.ended_ns ||
		slot.thread >= header->slot_count)
		return false;
	return pread(mem, &thread, sizeof thread,
		       (off_t)(threads + slot.thread * (uint64_t)sizeof thread)) ==
		       (ssize_t)sizeof thread &&
	       reader_is_living(thread.lock[header->owner_word]);
}

int
segment_look(const struct process_facts *facts, struct segment_look *ret_look)
{
	const struct process_segment *newest = NULL;
	struct segment_header header = {0}, other;
	struct segment_look look = {0};
	char path[64];
	int mem;

	snprintf(path, sizeof path, "/proc/%d/mem", (int)facts->pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		return -EACCES;
	for (size_t i = 0; i < facts->segment_count; i++) {
		if (!read_header(mem, &facts->segments[i], &other) ||
			(newest && other.created_ns < header.created_ns))
			continue;
		newest = &facts->segments[i];
		header = other;
	}
	for (unsigned i = 0; newest && i < header.slot_count; i++)
		look.loops += is_loop(mem, newest->start, &header, i);
	close(mem);
	if (!newest)
		return -ENOENT;
	for (size_t i = 0; i < sizeof header.other_waits / sizeof *header.other_waits;
		i++)
		look.other_waits += header.other_waits[i];
	look.runtime = header.runtime;
	look.inode = newest->inode;
	*ret_look = look;
	return 0;
}

/* Whether a process has the file open. Returns 1 or 0, or -1 if we may not look. */
static int
has_open(const char *pid, ino_t inode)
{
	char path[300], link[64];
	const struct dirent *entry;
	struct stat st;
	int has = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (!has && (entry = readdir(dir))) {
		ssize_t length =
			readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);

		/* Other files are not touched: that could wait for a file system. */
		if (length <= 0)
			continue;
		link[length] = '\0';
		has = !strncmp(link, "/memfd:looplag", 14) &&
		      !fstatat(dirfd(dir), entry->d_name, &st, 0) && st.st_ino == inode;
	}
	closedir(dir);
	return has;
}

/* Whether that is a daemon, or looplag run. */
static bool
is_collector(const char *pid)
{
	char path[300], name[32] = "";
	bool is = false;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(name, sizeof name, file))
		is = !strcmp(name, "looplagd\n") || !strcmp(name, "looplag\n");
	fclose(file);
	return is;
}

enum segment_holder
segment_find_holder(ino_t inode)
{
	enum segment_holder holder = SEGMENT_HOLDER_UNKNOWN;
	const struct dirent *entry;
	DIR *dir = opendir("/proc");

	while (dir && holder != SEGMENT_HELD && (entry = readdir(dir))) {
		int has;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
			!is_collector(entry->d_name))
			continue;
		has = strtol(entry->d_name, NULL, 10) == getpid()
			      ? -1
			      : has_open(entry->d_name, inode);
		if (has >= 0)
			holder = has ? SEGMENT_HELD : SEGMENT_NOT_HELD;
	}
	if (dir)
		closedir(dir);
	return holder;
}
