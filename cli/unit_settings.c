/* SPDX-License-Identifier: MIT */
/* Reads unit files as systemd.syntax(7) and systemd.exec(5) have them. Of Environment= each
 * word is a setting of its own. */

#include "config.h"

#include "cli/unit_settings.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/text_file.h"

#define BLANKS " \t\r"
#define ENVIRONMENT "Environment"

/* The lists to which a drop-in of ours adds. */
static const char *const lists[] = {ENVIRONMENT, "BindPaths", "BindReadOnlyPaths",
	"ExecPaths", "RestrictAddressFamilies", "SystemCallFilter"};

struct setting {
	struct setting *next;
	char *file, *name, *value; /* an empty value takes back the others */
};

struct unit_settings {
	struct setting *first, **end;
};

struct unit_settings *
unit_settings_new(void)
{
	struct unit_settings *settings = calloc(1, sizeof *settings);

	if (settings)
		settings->end = &settings->first;
	return settings;
}

static void
free_setting(struct setting *setting)
{
	free(setting->file);
	free(setting->name);
	free(setting->value);
	free(setting);
}

void
unit_settings_free(struct unit_settings *settings)
{
	if (!settings)
		return;
	for (struct setting *setting = settings->first, *next; setting; setting = next) {
		next = setting->next;
		free_setting(setting);
	}
	free(settings);
}

static int
add(struct unit_settings *settings, const char *file, const char *name, const char *value)
{
	struct setting *setting = calloc(1, sizeof *setting);

	if (!setting)
		return -ENOMEM;
	setting->file = strdup(file);
	setting->name = strdup(name);
	setting->value = strdup(value);
	if (!setting->file || !setting->name || !setting->value) {
		free_setting(setting);
		return -ENOMEM;
	}
	*settings->end = setting;
	settings->end = &setting->next;
	return 0;
}

/* Put together the next line and those that it goes on in, without comments between them.
 * ret_line has room for all of the text. Returns whether there is one. */
static bool
next_line(const char **at, char *ret_line)
{
	size_t length = 0;
	bool any = false;

	while (**at) {
		const char *line = *at, *start = line + strspn(line, BLANKS);
		size_t bytes = strcspn(line, "\n"), slashes = 0;

		*at = line + bytes + (line[bytes] == '\n');
		if (!*start || strchr("\n#;", *start))
			continue;
		memcpy(ret_line + length, line, bytes);
		length += bytes;
		any = true;
		while (slashes < bytes && line[bytes - 1 - slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			break;
		ret_line[length - 1] = ' ';
	}
	ret_line[length] = '\0';
	return any;
}

/* Cut off the blanks at both ends. */
static char *
strip(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* The character that is written behind a backslash, at *at, which goes behind it; 0 if
 * there is no such thing. */
static char
unescape(const char **at)
{
	static const char letters[] = "abfnrtvs\\\"'",
			  meanings[] = "\a\b\f\n\r\t\v \\\"'";
	const char *c = *at, *letter = *c ? strchr(letters, *c) : NULL;
	int base = *c == 'x' ? 16 : 8, digits = *c == 'x' ? 2 : 3;
	char number[4] = "";

	if (letter) {
		*at = c + 1;
		return meanings[letter - letters];
	}
	c += base == 16;
	for (int i = 0; i < digits; i++, c++) {
		if (base == 16 ? !isxdigit((unsigned char)*c) : *c < '0' || *c > '7')
			return '\0';
		number[i] = *c;
	}
	*at = c;
	return (char)strtol(number, NULL, base);
}

/* Cut the first word off the text. Returns whether there is one; what systemd would not
 * read is none. */
static bool
next_word(const char **at, char *ret_word)
{
	const char *c = *at + strspn(*at, BLANKS);
	char quote = '\0';

	if (!*c)
		return false;
	while (*c && (quote || !strchr(BLANKS, *c))) {
		char is = *c++;

		if (quote ? is == quote : is == '"' || is == '\'') {
			quote = quote ? '\0' : is;
			continue;
		}
		if (is == '\\') {
			is = unescape(&c);
			if (!is)
				return false;
		}
		*ret_word++ = is;
	}
	*ret_word = '\0';
	*at = c;
	return !quote;
}

/* Take NAME=VALUE. `room` has room for the value. */
static int
take_assignment(
	struct unit_settings *settings, const char *file, char *assignment, char *room)
{
	char *equals = strchr(assignment, '=');
	const char *name, *value;
	int r = 0;

	if (!equals)
		return 0;
	*equals = '\0';
	name = strip(assignment);
	value = strip(equals + 1);
	if (!*value || strcmp(name, ENVIRONMENT) != 0)
		return add(settings, file, name, value);
	while (!r && next_word(&value, room))
		if (*room)
			r = add(settings, file, name, room);
	return r;
}

int
unit_settings_take(struct unit_settings *settings, const char *file, const char *text)
{
	char *line = malloc(strlen(text) + 1), *room = malloc(strlen(text) + 1);
	int r = line && room ? 0 : -ENOMEM;
	bool service = false;

	while (!r && next_line(&text, line)) {
		char *stripped = strip(line);

		if (*stripped == '[')
			service = !strcmp(stripped, "[Service]");
		else if (service)
			r = take_assignment(settings, file, stripped, room);
	}
	free(line);
	free(room);
	return r;
}

int
unit_settings_read(struct unit_settings *settings, const char *file)
{
	size_t length;
	char *text;
	int r = text_file_read(file, &text, &length);

	if (r)
		return r;
	r = unit_settings_take(settings, file, text);
	free(text);
	return r;
}

const char *
unit_settings_value(const struct unit_settings *settings, const char *name)
{
	const char *value = NULL;

	for (const struct setting *setting = settings->first; setting;
		setting = setting->next)
		if (!strcmp(setting->name, name))
			value = *setting->value ? setting->value : NULL;
	return value;
}

/* What it gives a variable, or NULL. */
static const char *
value_of(const struct setting *setting, const char *variable)
{
	size_t length = strlen(variable);

	return !strcmp(setting->name, ENVIRONMENT) &&
			       !strncmp(setting->value, variable, length) &&
			       setting->value[length] == '='
		       ? setting->value + length + 1
		       : NULL;
}

const char *
unit_settings_variable(
	const struct unit_settings *settings, const char *variable, const char **ret_file)
{
	const char *found = NULL;

	for (const struct setting *setting = settings->first; setting;
		setting = setting->next) {
		const char *value = value_of(setting, variable);

		if (value || (!strcmp(setting->name, ENVIRONMENT) && !*setting->value)) {
			found = value;
			*ret_file = setting->file;
		}
	}
	return found;
}

/* Whether it takes back what a list has. */
static bool
empties_list(const struct setting *setting)
{
	for (size_t i = 0; !*setting->value && i < sizeof lists / sizeof *lists; i++)
		if (!strcmp(setting->name, lists[i]))
			return true;
	return false;
}

const char *
unit_settings_undone_by(
	const struct unit_settings *settings, const char *name, const char *variable)
{
	for (const struct setting *setting = settings->first; setting;
		setting = setting->next) {
		const char *slash = strrchr(setting->file, '/');
		const char *base = slash ? slash + 1 : setting->file;
		size_t length = strlen(base);

		if (length > 5 && !strcmp(base + length - 5, ".conf") &&
			strcmp(base, name) > 0 &&
			(empties_list(setting) || value_of(setting, variable)))
			return setting->file;
	}
	return NULL;
}
