/* SPDX-License-Identifier: MIT */
/* See unit_environment.h. */

#include "config.h"

#include "cli/unit_environment.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/unit_properties.h"

/* Look in one file. */
static bool
find_in_file(const char *path, const char *name, char *ret_value, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(name);
	bool found = false;
	char line[8192];

	while (file && fgets(line, sizeof line, file)) {
		const char *set = line + strspn(line, " \t"), *value = set + length;

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(set, name, length) != 0)
			continue;
		value += strspn(value, " \t");
		if (*value++ != '=')
			continue;
		if (!unit_next_word(&value, ret_value, size))
			*ret_value = '\0';
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

bool
unit_environment_in_files(const struct unit_properties *properties, const char *name,
	char *ret_file, char *ret_value, size_t size)
{
	const char *files = NULL;
	bool found = false;

	while ((files = unit_property_next(properties, "EnvironmentFiles", files))) {
		const char *at = files;
		char pattern[PATH_MAX];
		glob_t paths;

		if (!unit_next_word(&at, pattern, sizeof pattern) ||
			glob(pattern, 0, NULL, &paths))
			continue;
		for (size_t i = 0; i < paths.gl_pathc; i++) {
			if (!find_in_file(paths.gl_pathv[i], name, ret_value, size))
				continue;
			snprintf(ret_file, PATH_MAX, "%s", paths.gl_pathv[i]);
			found = true;
		}
		globfree(&paths);
	}
	return found;
}

bool
unit_environment_find(const struct unit_properties *properties, const char *unit,
	const char *name, char *ret_where, char *ret_value, size_t size)
{
	if (unit_environment_in_files(properties, name, ret_where, ret_value, size))
		return true;
	snprintf(ret_where, PATH_MAX, "%s", unit);
	return unit_find_variable(
		unit_property(properties, "Environment"), name, ret_value, size);
}
