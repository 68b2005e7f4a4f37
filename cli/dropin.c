/* SPDX-License-Identifier: MIT */
/* See dropin.h. */

#include "config.h"

#include "cli/dropin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define MARK "# Made by 'looplag enable' ("
#define MARK_END "); 'looplag disable' removes it.\n"
#define DIRECTORY "# So it does with the directory.\n"
#define DIGITS 8
#define LONGEST 8192

/* Print NAME="VALUE", so that systemd reads that value. */
static void
print_variable(FILE *out, const char *name, const char *value)
{
	bool quoted = strpbrk(value, " \t'\"\\");

	fprintf(out, "Environment=%s%s=", quoted ? "\"" : "", name);
	for (; *value; value++)
		fprintf(out, "%s%c", strchr("\"\\", *value) ? "\\" : "", *value);
	fputs(quoted ? "\"\n" : "\n", out);
}

static void
print_setting(FILE *out, const char *why, const char *name, const char *value)
{
	if (value)
		fprintf(out, "# %s\n%s=%s\n", why, name, value);
}

/* What stands below the first line. */
static void
print_body(FILE *out, const struct dropin *dropin)
{
	if (dropin->made_directory)
		fputs(DIRECTORY, out);
	fputs("[Service]\n", out);
	print_variable(out, "LD_PRELOAD", dropin->preload);
	if (dropin->socket)
		print_variable(out, "LOOPLAG_SOCKET", dropin->socket);
	print_setting(out, "The library may be loaded:", "ExecPaths", dropin->execute);
	print_setting(out, "It may talk to looplagd:", "RestrictAddressFamilies",
		dropin->unix_sockets ? "AF_UNIX" : NULL);
	print_setting(
		out, "It may make what it writes to:", "SystemCallFilter", dropin->calls);
	print_setting(out, "The library is in sight:", "BindReadOnlyPaths",
		dropin->bind_library);
	print_setting(out, "So is looplagd's socket:", "BindReadOnlyPaths",
		dropin->bind_directory);
}

static unsigned
check_sum(const char *body)
{
	return (unsigned)crc32(0, (const Bytef *)body, (uInt)strlen(body));
}

char *
dropin_text(const struct dropin *dropin)
{
	char *body = NULL, *text;
	size_t size;
	FILE *out = open_memstream(&body, &size);

	if (!out)
		return NULL;
	print_body(out, dropin);
	if (fclose(out)) {
		free(body);
		return NULL;
	}
	if (asprintf(&text, MARK "%0*x" MARK_END "%s", DIGITS, check_sum(body), body) < 0)
		text = NULL;
	free(body);
	return text;
}

/* What follows the first line, or NULL if that is not ours. */
static const char *
body_of(const char *text)
{
	const char *end = text + strlen(MARK) + DIGITS;

	if (strncmp(text, MARK, strlen(MARK)) != 0)
		return NULL;
	return strnlen(text, (size_t)(end - text)) == (size_t)(end - text) &&
			       !strncmp(end, MARK_END, strlen(MARK_END))
		       ? end + strlen(MARK_END)
		       : NULL;
}

enum dropin_owner
dropin_owner(const char *text)
{
	const char *body = body_of(text);
	char sum[DIGITS + 1];

	if (!body)
		return strncmp(text, MARK, strlen(MARK)) ? DROPIN_FOREIGN
							 : DROPIN_CHANGED;
	snprintf(sum, sizeof sum, "%0*x", DIGITS, check_sum(body));
	return strncmp(text + strlen(MARK), sum, DIGITS) ? DROPIN_CHANGED : DROPIN_OURS;
}

bool
dropin_made_directory(const char *text)
{
	return strstr(text, "\n" DIRECTORY);
}

bool
dropin_can_hold(const char *value)
{
	if (strlen(value) > LONGEST)
		return false;
	for (; *value; value++)
		if ((unsigned char)*value < ' ' || *value == '\177')
			return false;
	return true;
}

char *
dropin_plain(const char *word)
{
	char *plain = malloc(2 * strlen(word) + 1), *to = plain;

	if (!plain)
		return NULL;
	for (; *word; word++) {
		*to++ = *word;
		if (*word == '%')
			*to++ = '%';
	}
	*to = '\0';
	return plain;
}
