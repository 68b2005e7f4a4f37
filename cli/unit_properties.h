/* SPDX-License-Identifier: MIT */
/* The properties of a systemd unit, as systemctl shows them. */
#ifndef LOOPLAG_CLI_UNIT_PROPERTIES_H
#define LOOPLAG_CLI_UNIT_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

struct unit_properties;

/* Ask systemctl for these properties of a unit, or of systemd itself (NULL). Returns 0, -ENOENT if there is no systemctl,
 * -EIO if it fails (there is no systemd), or another -errno. */
__attribute__((warn_unused_result)) int
unit_properties_read(const char *unit, const char *const *names,
	struct unit_properties **ret_properties);

/* The same of a text, NAME=VALUE a line, with two zeros at its end; takes it over. NULL without memory. Pure. */
struct unit_properties *
unit_properties_parse(char *text);
void
unit_properties_free(struct unit_properties *properties);

/* The value of a property, "" if it has none. If there are several, the first. Borrowed. */
const char *
unit_property(const struct unit_properties *properties, const char *name);

/* The value of a property that may have several: the one after `last`, NULL for the first.
 * NULL if there is no other. Borrowed. */
const char *
unit_property_next(
	const struct unit_properties *properties, const char *name, const char *last);

/* Whether it is "yes". */
bool
unit_property_is_set(const struct unit_properties *properties, const char *name);

/* The next word of a list of words as systemctl writes it, some of them quoted, or false at
 * the end. Goes on from *at. Words that do not fit are cut off. Pure. */
bool
unit_next_word(const char **at, char *ret_word, size_t size);

/* What a list of NAME=VALUE gives a variable: ret_value, and true. Pure. */
bool
unit_find_variable(const char *list, const char *name, char *ret_value, size_t size);

#endif
