/* SPDX-License-Identifier: MIT */
/* Finds the probe library beside the program or installed, and appends it to LD_PRELOAD. */

#include "config.h"

#include "cli/preload.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "liblooplag.so"
#define SEPARATORS ": \t\n"

/* Whether `exe`'s directory with `below` behind it has the library. */
static bool
beside(const char *exe, const char *below, char *ret_path)
{
	const char *slash = strrchr(exe, '/');

	return slash &&
	       snprintf(ret_path, PATH_MAX, "%.*s/%s" NAME, (int)(slash - exe), exe,
		       below) < PATH_MAX &&
	       !access(ret_path, R_OK);
}

/* Whether `exe` lies where libtool puts the programs that it wraps. */
static bool
is_wrapped(const char *exe)
{
	const char *slash = strrchr(exe, '/');

	return slash && slash - exe >= 6 && !strncmp(slash - 6, "/.libs", 6);
}

int
preload_find(const char *exe, const char *override, char *ret_path)
{
	if (override && *override) {
		char *absolute = realpath(override, NULL);

		snprintf(ret_path, PATH_MAX, "%s", absolute ? absolute : override);
		free(absolute);
	} else if (!beside(exe, is_wrapped(exe) ? "" : ".libs/", ret_path)) {
		snprintf(ret_path, PATH_MAX, "%s/" NAME, LIBDIR);
	}
	if (access(ret_path, R_OK))
		return -ENOENT;
	return strpbrk(ret_path, SEPARATORS) ? -EINVAL : 0;
}

int
preload_find_own(char *ret_path)
{
	char exe[PATH_MAX] = "";

	if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
		exe[0] = '\0';
	return preload_find(exe, getenv("LOOPLAG_LIBRARY"), ret_path);
}

/* The first entry of the list that is called as the probe, or that is not. */
static bool
find_entry(const char *list, bool ours, char *ret_path)
{
	for (;;) {
		size_t length, base;

		list += strspn(list, SEPARATORS);
		length = strcspn(list, SEPARATORS);
		if (!length)
			return false;
		for (base = length; base > 0 && list[base - 1] != '/';)
			base--;
		if (length < PATH_MAX &&
			ours == (length - base == strlen(NAME) &&
					!strncmp(list + base, NAME, strlen(NAME)))) {
			memcpy(ret_path, list, length);
			ret_path[length] = '\0';
			return true;
		}
		list += length;
	}
}

bool
preload_find_in(const char *list, char *ret_path)
{
	return find_entry(list, true, ret_path);
}

bool
preload_find_other(const char *list, char *ret_path)
{
	return find_entry(list, false, ret_path);
}

/* Whether `library` is one of the names in the list. */
static bool
contains(const char *list, const char *library)
{
	size_t length = strlen(library);

	while (*list) {
		size_t entry = strcspn(list, SEPARATORS);

		if (entry == length && !strncmp(list, library, length))
			return true;
		list += entry;
		list += strspn(list, SEPARATORS);
	}
	return false;
}

char *
preload_append(const char *existing, const char *library)
{
	char *value;

	if (!existing || !*existing)
		return strdup(library);
	if (contains(existing, library))
		return strdup(existing);
	return asprintf(&value, "%s:%s", existing, library) < 0 ? NULL : value;
}
