/* SPDX-License-Identifier: MIT */
/* See tasks.h. */

#include "probes/tasks.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TASKS "/proc/self/task/"
#define LOOKED_AT 256 /* threads, at most: it takes some microseconds for each */

/* As getdents64 gives it. */
struct entry {
	uint64_t inode, next;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* Read the beginning of a file. Returns -1 if it cannot be read, else the text ends with
 * a 0. */
static int
read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long bytes;

	if (fd < 0)
		return -1;
	bytes = syscall(SYS_read, fd, text, size - 1);
	close(fd);
	if (bytes < 0)
		return -1;
	text[bytes] = '\0';
	return 0;
}

/* Write "/proc/self/task/TID/name". */
static void
make_path(char path[64], const char *tid, const char *name)
{
	size_t length = strlen(tid);

	memcpy(path, TASKS, sizeof(TASKS) - 1);
	path += sizeof(TASKS) - 1;
	memcpy(path, tid, length);
	path[length] = '/';
	memcpy(path + length + 1, name, strlen(name) + 1);
}

/* The number on the line that begins with `name`. */
static int
read_field(const char *text, const char *name)
{
	size_t length = strlen(name);
	int value = 0;

	for (; *text; text++) {
		if (text[0] != '\n' || strncmp(text + 1, name, length) != 0)
			continue;
		text += 1 + length;
		while (*text == ' ' || *text == '\t')
			text++;
		for (; *text >= '0' && *text <= '9' && value < 1000000; text++)
			value = value * 10 + (*text - '0');
		return value;
	}
	return -1;
}

/* Whether a bit, counted from 1, is set in the hexadecimal number on the line that begins
 * with `name`; -1 if there is no such line. */
static int
read_bit(const char *text, const char *name, unsigned bit)
{
	size_t length = strlen(name), digits = (bit - 1) / 4;

	for (; *text; text++) {
		const char *end = text + 1 + length;
		unsigned digit;

		if (text[0] != '\n' || strncmp(text + 1, name, length) != 0)
			continue;
		while (*end && *end != '\n')
			end++;
		if ((size_t)(end - text) <= 1 + length + digits)
			return -1;
		digit = (unsigned char)*(end - 1 - digits);
		digit = digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
		return digit >> (bit - 1) % 4 & 1;
	}
	return -1;
}

static const char *
write_number(char text[12], uint32_t value)
{
	char *at = text + 11;

	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return at;
}

int
tasks_look(uint32_t tid, unsigned signal, struct tasks_facts *ret_facts)
{
	char path[64] = "/proc/thread-self/status", number[12], text[4096];

	if (tid)
		make_path(path, write_number(number, tid), "status");
	if (read_text(path, text, sizeof(text)))
		return -1;
	ret_facts->filters = read_field(text, "Seccomp_filters:");
	if (ret_facts->filters < 0)
		ret_facts->filters = read_field(text, "Seccomp:");
	ret_facts->blocks = read_bit(text, "SigBlk:", signal);
	return 0;
}

/* Whether the thread's state is R. It stands behind the name, which may be anything. */
static int
is_running(const char *tid)
{
	char path[64], text[256], *end;

	make_path(path, tid, "stat");
	if (read_text(path, text, sizeof(text)))
		return 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'R';
}

static uint32_t
parse_tid(const char *name)
{
	uint32_t tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (uint32_t)(*name - '0');
	return *name ? 0 : tid;
}

size_t
tasks_running(uint32_t *ret_tids, size_t max)
{
	union {
		struct entry align;
		char bytes[2048];
	} buffer;
	int fd = open(TASKS, O_RDONLY | O_CLOEXEC | O_DIRECTORY), seen = 0;
	size_t count = 0;
	long bytes;

	if (fd < 0)
		return 0;
	while ((bytes = syscall(SYS_getdents64, fd, buffer.bytes, sizeof(buffer.bytes))) >
		0) {
		for (long at = 0; at < bytes;) {
			const struct entry *entry = (void *)(buffer.bytes + at);
			uint32_t tid = parse_tid(entry->name);

			at += entry->bytes;
			if (tid && count < max && seen++ < LOOKED_AT &&
				is_running(entry->name))
				ret_tids[count++] = tid;
		}
	}
	close(fd);
	return count;
}
