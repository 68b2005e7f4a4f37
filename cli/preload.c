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
	return strpbrk(ret_path, " :\t\n") ? -EINVAL : 0;
}

/* Whether `library` is one of the names in the list. */
static bool
contains(const char *list, const char *library)
{
	size_t length = strlen(library);

	while (*list) {
		size_t entry = strcspn(list, ": \t\n");

		if (entry == length && !strncmp(list, library, length))
			return true;
		list += entry;
		list += strspn(list, ": \t\n");
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
