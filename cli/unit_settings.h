/* SPDX-License-Identifier: MIT */
/*
 * What the files of a unit set in their [Service] sections, in the words of the files: with
 * specifiers (%h) as they stand there. systemctl knows but the sum of all files; here one
 * can be left out.
 */
#ifndef LOOPLAG_CLI_UNIT_SETTINGS_H
#define LOOPLAG_CLI_UNIT_SETTINGS_H

#include <stdbool.h>

struct unit_settings;

/* NULL without memory. */
struct unit_settings *
unit_settings_new(void);
void
unit_settings_free(struct unit_settings *settings);

/* Take what the text of a file says; files are taken in the order in which systemd does.
 * Returns 0 or -ENOMEM. Pure. */
__attribute__((warn_unused_result)) int
unit_settings_take(struct unit_settings *settings, const char *file, const char *text);

/* The same of a file. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
unit_settings_read(struct unit_settings *settings, const char *file);

/* What something is set to, of several values the last; NULL if it is not set: an empty
 * assignment takes back those before it. */
const char *
unit_settings_value(const struct unit_settings *settings, const char *name);

/* What Environment= gives a variable, or NULL, and the file that says so. Both are the
 * settings'. */
const char *
unit_settings_variable(const struct unit_settings *settings, const char *variable,
	const char **ret_file);

/* The drop-in that, sorted by its name, comes after one called `name` and would undo what
 * that one sets: by another value of the variable, or by emptying a list. NULL: none. */
const char *
unit_settings_undone_by(
	const struct unit_settings *settings, const char *name, const char *variable);

#endif
