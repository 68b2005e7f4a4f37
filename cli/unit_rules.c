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

bool
unit_rules_bind(const char *binds, const char *path)
{
	char next[2 * PATH_MAX];

	while (unit_next_word(&binds, next, sizeof next)) {
		char *end = strchr(next, ':');
		const char *inside = end ? end + 1 : next + strspn(next, "-+");
		size_t length = strcspn(inside, ":");

		while (length > 0 && inside[length - 1] == '/')
			length--;
		if (!strncmp(path, inside, length) &&
			(path[length] == '/' || !path[length]))
			return true;
	}
	return false;
}

static const char *const at_start[] = {"memfd_create", "ftruncate", "fcntl", "mmap",
	"madvise", "socket", "connect", "sendmsg", NULL};
static const char *const in_helper[] = {"prctl", "unshare", "close_range",
	"process_vm_readv", "futex", "pipe2", "getdents64", "readlinkat", "nanosleep",
	"tgkill", NULL};

static bool
forbids(const char *filter, const char *call)
{
	return *filter && unit_rules_have(filter, call) == (*filter == '~');
}

const char *
unit_rules_forbidden_call(const char *filter, bool helper)
{
	for (const char *const *call = helper ? in_helper : at_start; *call; call++)
		if (forbids(filter, *call))
			return *call;
	return NULL;
}

void
unit_rules_wanted_calls(
	const char *filter, const char *also, char ret_calls[UNIT_RULES_CALLS_BYTES])
{
	*ret_calls = '\0';
	for (const char *const *call = at_start; *call; call++)
		if (forbids(filter, *call) || unit_rules_have(also, *call)) {
			if (*ret_calls)
				strcat(ret_calls, " ");
			strcat(ret_calls, *call);
		}
}
