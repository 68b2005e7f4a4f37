/* SPDX-License-Identifier: MIT */
/* What a unit sets a variable to, by its settings and its environment files. */
#ifndef LOOPLAG_CLI_UNIT_ENVIRONMENT_H
#define LOOPLAG_CLI_UNIT_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct unit_properties;

/* What the files of EnvironmentFile= set it to, which counts more than Environment= in any
 * drop-in, and the last that does. Returns whether one does. ret_file has room for
 * PATH_MAX. */
bool
unit_environment_in_files(const struct unit_properties *properties, const char *name,
	char *ret_file, char *ret_value, size_t size);

/* What it is set to, and where: a file, or `unit`. */
bool
unit_environment_find(const struct unit_properties *properties, const char *unit,
	const char *name, char *ret_where, char *ret_value, size_t size);

#endif
