/* SPDX-License-Identifier: MIT */
/* Runs `systemctl show`, and reads what it says. */

#include "config.h"

#include "cli/unit_properties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/systemctl.h"

struct unit_properties {
	char *text; /* the lines, each with a final 0; an empty one ends them */
};

int
unit_properties_read(const char *unit, const char *const *names,
	struct unit_properties **ret_properties)
{
	char program[] = "systemctl", show[] = "show", end[] = "--", *text = NULL;
	char option[2048] = "--property=", *name = unit ? strdup(unit) : NULL;
	char *argv[] = {program, show, option, end, name, NULL};
	size_t length = strlen(option);
	int r = name || !unit ? 0 : -ENOMEM;

	for (; *names && length < sizeof option; names++)
		length += (size_t)snprintf(
			option + length, sizeof option - length, "%s,", *names);
	if (length >= sizeof option)
		r = -E2BIG;
	if (!r)
		r = systemctl_ask(argv, &text);
	free(name);
	if (r)
		return r;
	*ret_properties = unit_properties_parse(text);
	return *ret_properties ? 0 : -ENOMEM;
}

struct unit_properties *
unit_properties_parse(char *text)
{
	struct unit_properties *properties = malloc(sizeof *properties);
	char *to = text;

	if (!properties) {
		free(text);
		return NULL;
	}
	/* An empty line would end them. */
	for (const char *from = text; *from; from++) {
		if (*from != '\n')
			*to++ = *from;
		else if (to != text && to[-1])
			*to++ = '\0';
	}
	to[0] = '\0';
	if (to != text && to[-1])
		to[1] = '\0';
	properties->text = text;
	return properties;
}

void
unit_properties_free(struct unit_properties *properties)
{
	if (!properties)
		return;
	free(properties->text);
	free(properties);
}

const char *
unit_property_next(
	const struct unit_properties *properties, const char *name, const char *last)
{
	const char *line = last ? last + strlen(last) + 1 : properties->text;
	size_t length = strlen(name);

	for (; *line; line += strlen(line) + 1)
		if (!strncmp(line, name, length) && line[length] == '=')
			return line + length + 1;
	return NULL;
}

const char *
unit_property(const struct unit_properties *properties, const char *name)
{
	const char *value = unit_property_next(properties, name, NULL);

	return value ? value : "";
}

bool
unit_property_is_set(const struct unit_properties *properties, const char *name)
{
	return !strcmp(unit_property(properties, name), "yes");
}

bool
unit_next_word(const char **at, char *ret_word, size_t size)
{
	const char *c = *at + strspn(*at, " \t");
	size_t length = 0;
	char quote = '\0';

	if (!*c)
		return false;
	for (; *c && (quote || (*c != ' ' && *c != '\t')); c++) {
		if (quote ? *c == quote : *c == '"' || *c == '\'') {
			quote = quote ? '\0' : *c;
			continue;
		}
		if (*c == '\\' && c[1] && quote != '\'')
			c++;
		if (length + 1 < size)
			ret_word[length++] = *c;
	}
	ret_word[length] = '\0';
	*at = c;
	return true;
}

bool
unit_find_variable(const char *list, const char *name, char *ret_value, size_t size)
{
	size_t length = strlen(name);
	bool found = false;
	char word[8192];

	/* Of several the last one counts. */
	while (unit_next_word(&list, word, sizeof word))
		if (!strncmp(word, name, length) && word[length] == '=') {
			snprintf(ret_value, size, "%s", word + length + 1);
			found = true;
		}
	return found;
}
