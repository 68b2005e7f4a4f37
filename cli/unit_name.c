/* SPDX-License-Identifier: MIT */
/* See unit_name.h. */

#include "config.h"

#include "cli/unit_name.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ENDING ".service"
/* As systemd has them. */
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

static const char *const other_endings[] = {".automount", ".device", ".mount", ".path",
	".scope", ".slice", ".socket", ".swap", ".target", ".timer"};

static bool
ends_with(const char *name, const char *ending)
{
	size_t length = strlen(name), bytes = strlen(ending);

	return length > bytes && !strcmp(name + length - bytes, ending);
}

int
unit_name_complete(const char *word, char ret_name[UNIT_NAME_BYTES])
{
	const char *ending = ends_with(word, ENDING) ? "" : ENDING;

	for (size_t i = 0; i < sizeof other_endings / sizeof *other_endings; i++)
		if (ends_with(word, other_endings[i]))
			return -EINVAL;
	if (!*word || *word == '@' || *word == '.' || word[strspn(word, LETTERS)] ||
		snprintf(ret_name, UNIT_NAME_BYTES, "%s%s", word, ending) >=
			UNIT_NAME_BYTES)
		return -EINVAL;
	return 0;
}

bool
unit_name_is_template(const char *name)
{
	return ends_with(name, "@" ENDING);
}

int
unit_name_of_instance(
	const char *name, const char *instance, char ret_name[UNIT_NAME_BYTES])
{
	int stem = (int)(strlen(name) - strlen(ENDING));

	return snprintf(ret_name, UNIT_NAME_BYTES, "%.*s%s" ENDING, stem, name,
		       instance) < UNIT_NAME_BYTES
		       ? 0
		       : -ENAMETOOLONG;
}

bool
unit_name_is_dropin(const char *path)
{
	return ends_with(path, "/" UNIT_NAME_DROPIN) ||
	       ends_with(path, "/" UNIT_NAME_LAST_DROPIN);
}
