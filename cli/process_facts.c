/* SPDX-License-Identifier: MIT */
/* Reads /proc/PID. */

#include "config.h"

#include "cli/process_facts.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/preload.h"

#define FILE_MAX (4u << 20)
#define DELETED " (deleted)"
#define SEGMENT "/memfd:looplag" DELETED

/* A whole file of the process, with two zeros at its end, or NULL with errno. */
static char *
read_file(pid_t pid, const char *name)
{
	size_t size = 0, room = 0;
	char path[64], *text = NULL;
	ssize_t n = 1;
	int fd, error;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (n > 0 && size < FILE_MAX) {
		if (room - size < 4096) {
			char *more = realloc(text, room += 65536);

			if (!more) {
				n = -1;
				break;
			}
			text = more;
		}
		n = read(fd, text + size, room - size - 2);
		if (n > 0)
			size += (size_t)n;
	}
	error = errno;
	close(fd);
	if (n < 0) {
		free(text);
		errno = error;
		return NULL;
	}
	memset(text + size, 0, 2);
	return text;
}

/* Its user and groups. */
static void
take_status(struct process_facts *facts, char *status)
{
	char *rest, *line = strtok_r(status, "\n", &rest);

	for (; line; line = strtok_r(NULL, "\n", &rest)) {
		unsigned real, effective;

		if (sscanf(line, "Uid: %u %u", &real, &effective) == 2)
			facts->user.uid = effective;
		if (sscanf(line, "Gid: %u %u", &real, &effective) == 2)
			facts->user.groups[facts->user.group_count++] = effective;
		if (!strncmp(line, "Seccomp:", 8))
			facts->filters_calls = strtol(line + 8, NULL, 10) == 2;
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (char *at = line + 7, *end; facts->user.group_count < REACH_GROUPS;
			at = end) {
			unsigned long group = strtoul(at, &end, 10);

			if (end == at)
				break;
			facts->user.groups[facts->user.group_count++] = (gid_t)group;
		}
	}
}

void
process_facts_take_mapping(struct process_facts *facts, const char *line)
{
	uint64_t start, end;
	char path[PATH_MAX], mode[8], *deleted;
	unsigned long inode;
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %lu %n", &start, &end, mode,
		    &inode, &at) < 4 ||
		!at || strlen(line + at) >= sizeof path)
		return;
	strcpy(path, line + at);
	if (!strcmp(path, SEGMENT)) {
		if (facts->segment_count < PROCESS_FACTS_SEGMENTS)
			facts->segments[facts->segment_count++] =
				(struct process_segment){start, end - start, inode};
		return;
	}
	deleted = strstr(path, DELETED);
	if (deleted && !deleted[strlen(DELETED)])
		*deleted = '\0';
	else
		deleted = NULL;
	/* A path with a blank is no entry of LD_PRELOAD. Where nothing may be executed the
	 * loader leaves the rest of the library behind. */
	if (mode[2] == 'x' && !*facts->library && !strpbrk(path, " :") &&
		preload_find_in(path, facts->library))
		facts->library_deleted = deleted != NULL;
}

static void
take_maps(struct process_facts *facts, char *maps)
{
	char *rest, *line = strtok_r(maps, "\n", &rest);

	for (; line; line = strtok_r(NULL, "\n", &rest))
		process_facts_take_mapping(facts, line);
}

/* Whether the kernel told the loader not to trust the environment. */
static bool
is_secure(pid_t pid)
{
	char path[64];
	ElfW(auxv_t) entry;
	bool secure = false;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, &entry, sizeof entry) == sizeof entry)
		if (entry.a_type == AT_SECURE)
			secure = entry.a_un.a_val != 0;
	if (fd >= 0)
		close(fd);
	return secure;
}

static bool
uses_io_uring(pid_t pid)
{
	char path[64], link[64];
	const struct dirent *entry;
	bool uses = false;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && !uses && (entry = readdir(dir))) {
		ssize_t length =
			readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);

		if (length <= 0)
			continue;
		link[length] = '\0';
		uses = !strcmp(link, "anon_inode:[io_uring]");
	}
	if (dir)
		closedir(dir);
	return uses;
}

/* The limit on the size of files that it makes. */
static uint64_t
file_limit(pid_t pid)
{
	char *limits = read_file(pid, "limits");
	const char *line = limits ? strstr(limits, "Max file size") : NULL;
	uint64_t limit;

	if (!line || sscanf(line, "Max file size %" SCNu64, &limit) != 1)
		limit = UINT64_MAX;
	free(limits);
	return limit;
}

/* "PROFILE (enforce)" is what we look for. */
static void
take_apparmor(struct process_facts *facts)
{
	char *profile = read_file(facts->pid, "attr/apparmor/current");
	char *mode = profile ? strstr(profile, " (enforce)") : NULL;

	if (mode) {
		*mode = '\0';
		snprintf(facts->apparmor, sizeof facts->apparmor, "%s", profile);
	}
	free(profile);
}

static bool
read_exe(struct process_facts *facts)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/%d/exe", (int)facts->pid);
	length = readlink(path, facts->exe, sizeof facts->exe - 1);
	if (length < 0)
		return false;
	facts->exe[length] = '\0';
	return true;
}

int
process_facts_read(pid_t pid, struct process_facts *ret_facts)
{
	struct process_facts facts = {.pid = pid};
	char *text = read_file(pid, "comm");

	if (!text)
		return -ESRCH;
	text[strcspn(text, "\n")] = '\0';
	snprintf(facts.name, sizeof facts.name, "%s", text);
	free(text);
	text = read_file(pid, "status");
	if (!text)
		return -ESRCH;
	take_status(&facts, text);
	free(text);
	/* The dead and the kernel's threads have none. */
	if (!read_exe(&facts))
		return errno == ENOENT ? -ENOEXEC : errno == ESRCH ? -ESRCH : -EACCES;
	text = read_file(pid, "maps");
	if (!text)
		return -EACCES;
	take_maps(&facts, text);
	free(text);
	facts.environment = read_file(pid, "environ");
	facts.secure = is_secure(pid);
	facts.uses_io_uring = uses_io_uring(pid);
	facts.file_limit = file_limit(pid);
	take_apparmor(&facts);
	*ret_facts = facts;
	return 0;
}

void
process_facts_fini(struct process_facts *facts)
{
	free(facts->environment);
}

const char *
process_facts_variable(const struct process_facts *facts, const char *name)
{
	size_t length = strlen(name);

	for (const char *entry = facts->environment; entry && *entry;
		entry += strlen(entry) + 1)
		if (!strncmp(entry, name, length) && entry[length] == '=')
			return entry + length + 1;
	return NULL;
}
