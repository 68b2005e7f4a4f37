/* SPDX-License-Identifier: MIT */
/* Asks /proc who somebody is; see identity.h. */

#include "config.h"

#include "daemon/identity.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/words.h"

#define FILE_BYTES 8192
#define PATH_BYTES 96
#define NS_PER_SECOND 1000000000ll

/* The beginning of a file, as a string. Returns 0 or -errno. */
static int
read_file(const char *path, char ret_text[FILE_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (size < FILE_BYTES - 1 &&
		(n = read(fd, ret_text + size, FILE_BYTES - 1 - size)) > 0)
		size += (size_t)n;
	if (n < 0)
		n = -errno;
	close(fd);
	ret_text[size] = 0;
	return n < 0 ? (int)n : 0;
}

static int
read_proc(pid_t pid, const char *name, char ret_text[FILE_BYTES])
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return read_file(path, ret_text);
}

/* Whether the component of a cgroup's path is a service of its own. */
static bool
is_service(const char *name, size_t length)
{
	static const char suffix[] = ".service", manager[] = "user@";

	return length > strlen(suffix) && length < IDENTITY_NAME_BYTES &&
	       memcmp(name + length - strlen(suffix), suffix, strlen(suffix)) == 0 &&
	       strncmp(name, manager, strlen(manager)) != 0;
}

/* The deepest service in a path that ends at a line's end. */
static int
unit_in_path(const char *path, char ret_unit[IDENTITY_NAME_BYTES])
{
	int r = -ENOENT;

	while (*path == '/') {
		size_t length = strcspn(++path, "/\n");

		if (is_service(path, length)) {
			identity_clean(path, length, ret_unit);
			r = 0;
		}
		path += length;
	}
	return r;
}

/* Where the path begins in a line of one of the hierarchies, systemd's own first, that
 * `accept` takes. Returns NULL if there is none. */
static const char *
find_path(const char *cgroups, bool (*accept)(const char *path))
{
	static const char *const hierarchies[] = {"0::", ":name=systemd:"};

	for (int i = 0; i < 2; i++) {
		const char *line = cgroups;

		while (line && *line) {
			const char *found = strstr(line, hierarchies[i]);
			size_t length = strcspn(line, "\n");

			if (found && found < line + length && (i == 1 || found == line)) {
				const char *path = found + strlen(hierarchies[i]);

				if (accept(path))
					return path;
				break;
			}
			line += length + (line[length] == '\n');
		}
	}
	return NULL;
}

static bool
has_unit(const char *path)
{
	char unit[IDENTITY_NAME_BYTES];

	return unit_in_path(path, unit) == 0;
}

/* Whose own manager a path belongs to. Returns 0 or -ENOENT. */
static int
find_manager(const char *path, uid_t *ret_uid)
{
	static const char manager[] = "/user@";
	const char *found = path ? strstr(path, manager) : NULL;
	unsigned uid;
	int end = 0;

	if (!found || found > path + strcspn(path, "\n") ||
		sscanf(found + strlen(manager), "%u.service/%n", &uid, &end) != 1 || !end)
		return -ENOENT;
	*ret_uid = uid;
	return 0;
}

int
identity_manager_in(const char *cgroups, uid_t *ret_uid)
{
	return find_manager(find_path(cgroups, has_unit), ret_uid);
}

bool
identity_is_of_user(const char *path)
{
	uid_t uid;

	return find_manager(path, &uid) == 0;
}

int
identity_unit_and_user(pid_t pid, char ret_unit[IDENTITY_NAME_BYTES], uid_t *ret_uid)
{
	char text[FILE_BYTES];
	int r = read_proc(pid, "cgroup", text);

	if (r == 0)
		r = identity_unit_in(text, ret_unit);
	if (r == 0 && identity_manager_in(text, ret_uid) < 0)
		*ret_uid = (uid_t)-1;
	return r;
}

/* Where hierarchies are mixed the root of the new one says nothing. */
static bool
is_below_root(const char *path)
{
	return path[0] == '/' && path[1] && path[1] != '\n';
}

int
identity_unit_in(const char *cgroups, char ret_unit[IDENTITY_NAME_BYTES])
{
	const char *path = find_path(cgroups, has_unit);

	return path ? unit_in_path(path, ret_unit) : -ENOENT;
}

int
identity_cgroup_in(const char *cgroups, char ret_path[IDENTITY_CGROUP_BYTES])
{
	const char *path = find_path(cgroups, is_below_root);
	size_t length;

	if (!path)
		path = "/";
	while (strncmp(path, "/../", 4) == 0)
		path += 3;
	if (strncmp(path, "/..\n", 4) == 0)
		path = "/";
	length = strcspn(path, "\n");
	if (length >= IDENTITY_CGROUP_BYTES)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, length);
	ret_path[length] = 0;
	return 0;
}

int
identity_cgroup(pid_t pid, char ret_path[IDENTITY_CGROUP_BYTES])
{
	char text[FILE_BYTES];
	int r = read_proc(pid, "cgroup", text);

	return r < 0 ? r : identity_cgroup_in(text, ret_path);
}

int
identity_unit(pid_t pid, char ret_unit[IDENTITY_NAME_BYTES])
{
	char text[FILE_BYTES];
	int r = read_proc(pid, "cgroup", text);

	return r < 0 ? r : identity_unit_in(text, ret_unit);
}

int
identity_command(pid_t pid, char ret_command[IDENTITY_NAME_BYTES])
{
	char text[FILE_BYTES];
	int r = read_proc(pid, "comm", text);

	if (r < 0)
		return r;
	identity_clean(text, strcspn(text, "\n"), ret_command);
	return 0;
}

void
identity_clean(const char *name, size_t size, char ret_name[IDENTITY_NAME_BYTES])
{
	size_t used = 0, length;

	size = strnlen(name, size);
	for (size_t i = 0; i < size; i += length) {
		bool fit;

		length = words_character(name + i, size - i, &fit);
		if (!length)
			length = 1;
		if (used + length >= IDENTITY_NAME_BYTES)
			break;
		if (fit) {
			memcpy(ret_name + used, name + i, length);
			used += length;
		} else {
			ret_name[used++] = '_';
		}
	}
	ret_name[used] = 0;
}

void
identity_qualify(char name[IDENTITY_NAME_BYTES], uid_t uid)
{
	char whole[IDENTITY_NAME_BYTES], suffix[16];

	snprintf(suffix, sizeof(suffix), "@%u", uid);
	/* What it cuts through is cleaned away. */
	identity_clean(name, IDENTITY_NAME_BYTES - 1 - strlen(suffix), whole);
	strcat(whole, suffix);
	strcpy(name, whole);
}

void
identity_trim(char *name)
{
	size_t length = strlen(name), digits = length;

	while (digits && isdigit((unsigned char)name[digits - 1]))
		digits--;
	while (digits && strchr("-_#/: ", name[digits - 1]))
		digits--;
	if (digits)
		name[digits] = 0;
}

int
identity_start_in(const char *stat, uint64_t *ret_ticks)
{
	/* The command may contain anything, so count from its end: field 22. */
	const char *s = strrchr(stat, ')');

	for (int field = 2; s && field < 22; field++)
		s = strchr(s + 1, ' ');
	if (!s || !isdigit((unsigned char)s[1]))
		return -EINVAL;
	*ret_ticks = strtoull(s + 1, NULL, 10);
	return 0;
}

int
identity_age(pid_t pid, uint64_t *ret_age_ns, uint64_t *ret_start_ticks)
{
	uint64_t tick_ns = NS_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t ticks, start_ns, now_ns;
	char text[FILE_BYTES];
	struct timespec now;
	int r = read_proc(pid, "stat", text);

	if (r == 0)
		r = identity_start_in(text, &ticks);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_BOOTTIME, &now);
	now_ns = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
	start_ns = ticks * tick_ns;
	*ret_age_ns = now_ns > start_ns ? now_ns - start_ns : 0;
	*ret_start_ticks = ticks;
	return 0;
}

int
identity_offset_in(const char *timens_offsets, int64_t *ret_ns)
{
	const char *line = strstr(timens_offsets, "monotonic");
	long long seconds, ns;

	if (!line || sscanf(line, "monotonic %lld %lld", &seconds, &ns) != 2 ||
		seconds > INT64_MAX / NS_PER_SECOND / 2 ||
		seconds < INT64_MIN / NS_PER_SECOND / 2 || ns < 0 || ns >= NS_PER_SECOND)
		return -EINVAL;
	*ret_ns = seconds * NS_PER_SECOND + ns;
	return 0;
}

int
identity_clock_shift(pid_t pid, int64_t *ret_shift_ns)
{
	char text[FILE_BYTES];
	int64_t theirs, ours;
	int r = read_proc(pid, "timens_offsets", text);

	if (r == 0)
		r = identity_offset_in(text, &theirs);
	if (r == 0)
		r = read_proc(getpid(), "timens_offsets", text);
	if (r == 0)
		r = identity_offset_in(text, &ours);
	if (r == 0)
		*ret_shift_ns = theirs - ours;
	return r;
}

/* The last number in a line of /proc/PID/status. Returns -1 if there is none. */
static pid_t
last_number(const char *status, const char *key)
{
	const char *line = strstr(status, key), *s;

	if (!line)
		return -1;
	line += strlen(key);
	s = line + strcspn(line, "\n");
	while (s > line && isdigit((unsigned char)s[-1]))
		s--;
	return s[-1] != '-' && isdigit((unsigned char)*s) ? (pid_t)strtol(s, NULL, 10)
							  : -1;
}

bool
identity_is_current(int pidfd, pid_t pid)
{
	char path[PATH_BYTES], text[FILE_BYTES];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	return pidfd >= 0 && read_file(path, text) == 0 &&
	       last_number(text, "\nPid:") == pid;
}

bool
identity_is_nested_in(const char *status)
{
	static const char key[] = "\nNSpid:";
	const char *line = strstr(status, key);
	unsigned numbers = 0;

	if (!line)
		return false;
	line += strlen(key);
	for (size_t i = 0; line[i] && line[i] != '\n'; i++)
		numbers += isdigit((unsigned char)line[i]) &&
			   !isdigit((unsigned char)line[i + 1]);
	return numbers > 1;
}

bool
identity_is_nested(pid_t pid)
{
	char text[FILE_BYTES];

	return read_proc(pid, "status", text) == 0 && identity_is_nested_in(text);
}

int
identity_check_proc(void)
{
	char text[32];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = 0;
	return atol(text) == getpid() ? 0 : -EXDEV;
}

/* Whom it acts as, in /proc/PID/status; -1 if that is not there. */
static uid_t
effective_user(const char *status)
{
	const char *line = strstr(status, "\nUid:");
	unsigned user;

	return line && sscanf(line, "\nUid: %*u %u", &user) == 1 ? (uid_t)user
								 : (uid_t)-1;
}

/* Fill in a thread by our own number of it, if the innermost namespace calls it `tid`. */
static int
take_thread(pid_t ours, pid_t tid, struct identity_thread *ret_thread)
{
	char text[FILE_BYTES];
	int r = read_proc(ours, "status", text);

	if (r < 0)
		return r;
	if (last_number(text, "\nNSpid:") != tid && last_number(text, "\nPid:") != tid)
		return -ENOENT;
	ret_thread->tid = ours;
	ret_thread->uid = effective_user(text);
	ret_thread->tgid = last_number(text, "\nTgid:");
	ret_thread->is_main = ret_thread->tgid == ours;
	return identity_command(ours, ret_thread->name);
}

/* Search the threads of a process. */
static int
search_threads(pid_t pid, pid_t tid, struct identity_thread *ret_thread)
{
	char path[PATH_BYTES];
	struct dirent *entry;
	int r = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (ret_thread->searched < IDENTITY_SEARCHED && r == -ENOENT &&
		(entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		ret_thread->searched++;
		r = take_thread((pid_t)atoi(entry->d_name), tid, ret_thread);
	}
	closedir(dir);
	return r;
}

/* Search the threads of the children of a process, where the kernel lists them. */
static int
search_children(pid_t pid, pid_t tid, struct identity_thread *ret_thread)
{
	char name[64], text[FILE_BYTES], *s = text;
	int r;

	snprintf(name, sizeof(name), "task/%d/children", (int)pid);
	r = read_proc(pid, name, text);
	for (r = r < 0 ? r : -ENOENT; r == -ENOENT;) {
		pid_t child = (pid_t)strtol(s, &s, 10);

		if (child <= 0 || ret_thread->searched >= IDENTITY_SEARCHED)
			break;
		r = search_threads(child, tid, ret_thread);
	}
	return r;
}

int
identity_thread(
	pid_t pid, bool same_namespace, pid_t tid, struct identity_thread *ret_thread)
{
	int r;

	ret_thread->searched = 0;
	if (same_namespace)
		return take_thread(tid, tid, ret_thread);
	r = search_threads(pid, tid, ret_thread);
	return r == -ENOENT ? search_children(pid, tid, ret_thread) : r;
}

int
identity_is_epoll(pid_t pid, int fd)
{
	char path[PATH_BYTES], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0) {
		n = -errno;
		*strstr(path, "/fd/") = 0;
		return n == -ENOENT && access(path, F_OK) == 0 ? 0 : (int)n;
	}
	target[n] = 0;
	return strcmp(target, "anon_inode:[eventpoll]") == 0;
}
