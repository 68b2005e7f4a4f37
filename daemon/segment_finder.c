/* SPDX-License-Identifier: MIT */
/* Segments by /proc/PID/map_files; see segment_finder.h. */

#include "config.h"

#include "daemon/segment_finder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/gate.h"
#include "daemon/reader.h"

#define LINE_BYTES 512
#define LINES_MAX 65536 /* so many maps may a process have */

/* Whether what is behind the descriptor is that segment. */
static int
is_it(int fd, const struct segment_header *header)
{
	enum collector_reason reason;
	struct segment_header found;

	return gate_check(fd, header->size, &reason) == 0 &&
	       reader_read_header(fd, &found) == 0 && found.magic == header->magic &&
	       memcmp(found.id, header->id, sizeof(found.id)) == 0 &&
	       found.registrations == header->registrations;
}

/* Open what is mapped there, if it is that segment; else -1. */
static int
open_map(pid_t pid, unsigned long begin, unsigned long end,
	const struct segment_header *header)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", (int)pid, begin, end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !is_it(fd, header)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
segment_finder_open(pid_t pid, const struct segment_header *header)
{
	char path[64], line[LINE_BYTES];
	int fd = -1;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return -1;
	for (int i = 0; i < LINES_MAX && fd < 0 && fgets(line, sizeof(line), maps); i++) {
		unsigned long begin, end;

		if (strstr(line, "/memfd:looplag") &&
			sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			fd = open_map(pid, begin, end, header);
	}
	fclose(maps);
	return fd;
}
