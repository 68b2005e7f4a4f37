/* SPDX-License-Identifier: MIT */
/* Lists of paths, address families and system calls, against what the probe needs. */

#include "config.h"

#include "cli/unit_rules.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "cli/unit_properties.h"

bool
unit_rules_have(const char *list, const char *word)
{
	size_t length = strlen(word);
	char next[256];

	while (unit_next_word(&list, next, sizeof next)) {
		const char *name = next + (*next == '~');

		if (!strncmp(name, word, length) &&
			(!name[length] || name[length] == ':' || name[length] == '='))
			return true;
	}
	return false;
}

bool
unit_rules_allow_unix(const char *families)
{
	if (!*families)
		return true;
	return unit_rules_have(families, "AF_UNIX") != (*families == '~');
}

/* How long the longest path of the list is that is `path` or above it; -1: none is. */
static int
longest_cover(const char *paths, const char *path)
{
	char next[PATH_MAX];
	int longest = -1;

	while (unit_next_word(&paths, next, sizeof next)) {
		const char *prefix = next + strspn(next, "-+");
		size_t length = strcspn(prefix, ":");

		while (length > 0 && prefix[length - 1] == '/')
			length--;
		if (!strncmp(path, prefix, length) &&
			(path[length] == '/' || !path[length]) && (int)length > longest)
			longest = (int)length;
	}
	return longest;
}

bool
unit_rules_may_execute(const char *noexec, const char *exec, const char *path)
{
	int forbidden = longest_cover(noexec, path);

	return forbidden < 0 || longest_cover(exec, path) >= forbidden;
}

bool
unit_rules_cover(const char *paths, const char *path)
{
	return longest_cover(paths, path) >= 0;
}

const char *
unit_rules_forbidden_call(const char *filter, bool helper)
{
	static const char *const at_start[] = {"memfd_create", "ftruncate", "fcntl",
		"mmap", "madvise", "socket", "connect", "sendmsg", NULL};
	static const char *const in_helper[] = {"prctl", "unshare", "close_range",
		"process_vm_readv", "futex", "pipe2", "getdents64", "readlinkat",
		"nanosleep", "tgkill", NULL};

	for (const char *const *call = helper ? in_helper : at_start; *filter && *call;
		call++)
		if (unit_rules_have(filter, *call) == (*filter == '~'))
			return *call;
	return NULL;
}
