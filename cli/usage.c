/* SPDX-License-Identifier: MIT */
/* See usage.h. */

#include "config.h"

#include "cli/usage.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
usage_error(const char *verb, const char *format, ...)
{
	va_list arguments;

	fputs("looplag: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; see 'looplag %s --help'\n", verb);
	return -1;
}

int
usage_bad_option(const char *verb, int option, const char *letters, const char *word)
{
	if (option == ':')
		return usage_error(verb, "%s needs a value", word);
	/* Of letters in a row getopt tells the unknown one alone. */
	if (optopt && !strchr(letters, optopt))
		return usage_error(verb, "unknown option '-%c'", optopt);
	if (optopt && strchr(word, '='))
		return usage_error(
			verb, "%.*s takes no value", (int)strcspn(word, "="), word);
	return usage_error(verb, "unknown option '%s'", word);
}

/* Whether something can be asked for there. */
static bool
is_url(const char *word)
{
	return (!strncmp(word, "http://", 7) && word[7] && word[7] != '/') ||
	       (!strncmp(word, "https://", 8) && word[8] && word[8] != '/');
}

int
usage_take_url(const char *verb, char *word, const char **ret_url)
{
	if (!is_url(word) || strpbrk(word, "?# "))
		return usage_error(verb, "--url takes http://HOST:PORT, not '%s'", word);
	*ret_url = word;
	return 0;
}

const char *
usage_socket(bool *ret_chosen)
{
	const char *path = getenv("LOOPLAG_SOCKET");

	*ret_chosen = path && *path;
	return *ret_chosen ? path : USAGE_SOCKET;
}
