/* SPDX-License-Identifier: MIT */
/* Readable names of C++ functions; see demangle.h. */

#include "config.h"

#include "daemon/demangle.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 64

struct output {
	char *text;
	size_t used, size;
	bool full;
};

static void
put(struct output *output, const char *text, size_t length)
{
	if (output->used + length + 1 > output->size) {
		output->full = true;
		return;
	}
	memcpy(output->text + output->used, text, length);
	output->used += length;
	output->text[output->used] = 0;
}

static void
put_part(struct output *output, const char *text, size_t length)
{
	if (output->used)
		put(output, "::", 2);
	if (length >= 10 && memcmp(text, "_GLOBAL__N", 10) == 0)
		put(output, "(anonymous namespace)", 21);
	else
		put(output, text, length);
}

/* <source-name>: a length, and so many characters. Returns what follows, or NULL. */
static const char *
source_name(const char *s, const char **ret_name, size_t *ret_length)
{
	size_t length = 0;

	while (isdigit((unsigned char)*s) && length < 100000)
		length = length * 10 + (size_t)(*s++ - '0');
	if (length == 0 || strnlen(s, length) < length)
		return NULL;
	*ret_name = s;
	*ret_length = length;
	return s + length;
}

/* Go beyond template arguments, at whose I `s` stands. Returns what follows, or NULL. */
static const char *
skip_arguments(const char *s)
{
	const char *name;
	size_t length;
	unsigned depth = 0;

	do {
		if (isdigit((unsigned char)*s)) {
			s = source_name(s, &name, &length);
			if (!s)
				return NULL;
			continue;
		}
		switch (*s++) {
		case 0:
			return NULL;
		case 'E':
			depth--;
			break;
		case 'L': /* a literal: a type, and digits that are no length */
			if (*s == '_')
				return NULL;
			if (islower((unsigned char)*s)) {
				s++;
				while (isalnum((unsigned char)*s) && *s != 'E')
					s++;
			}
			depth++;
			break;
		case 'F': /* what else ends with an E */
		case 'I':
		case 'J':
		case 'N':
		case 'X':
			if (++depth > DEPTH_MAX)
				return NULL;
			break;
		case 'S': /* a name that was there before, or one of the standard ones */
		case 'T':
			while (isdigit((unsigned char)*s) || isupper((unsigned char)*s))
				s++;
			if (*s == '_')
				s++;
			else if (islower((unsigned char)*s))
				s++;
			break;
		case 'A': /* an array with so many elements */
			while (isdigit((unsigned char)*s))
				s++;
			if (*s == '_')
				s++;
			break;
		default:
			break;
		}
	} while (depth);
	return s;
}

/* One part of a nested name. Returns what follows, or NULL if it is not understood. */
static const char *
part(const char *s, struct output *output, const char **last, size_t *last_length)
{
	const char *name;
	size_t length;

	if (isdigit((unsigned char)*s)) {
		s = source_name(s, &name, &length);
		if (!s)
			return NULL;
		put_part(output, name, length);
		*last = name;
		*last_length = length;
		return s;
	}
	if (*s == 'I')
		return skip_arguments(s);
	if (*s == 'L') /* internal linkage */
		return s + 1;
	if ((s[0] == 'C' || s[0] == 'D') && isdigit((unsigned char)s[1]) && *last) {
		char tilde[] = "~";

		put_part(output, tilde, s[0] == 'D');
		put(output, *last, *last_length);
		return s + 2;
	}
	if (s[0] == 'S' && s[1] == 't') {
		put_part(output, "std", 3);
		return s + 2;
	}
	if (s[0] == 'c' && s[1] == 'l') {
		put_part(output, "operator()", 10);
		return s + 2;
	}
	return NULL;
}

bool
demangle(const char *name, char *ret_name, size_t size)
{
	struct output output = {.text = ret_name, .size = size};
	const char *s = name, *last = NULL;
	size_t last_length = 0;
	bool nested;

	if (strncmp(s, "_Z", 2) != 0)
		return false;
	s += 2;
	/* Where a virtual function is entered for a base class: Th, an offset, and the rest. */
	if (s[0] == 'T' && s[1] == 'h') {
		s += 2 + strspn(s + 2, "n0123456789");
		if (*s++ != '_')
			return false;
	}
	nested = *s == 'N';
	if (nested) {
		s++;
		while (*s == 'K' || *s == 'V' || *s == 'r' || *s == 'R' || *s == 'O')
			s++;
	}
	do {
		s = part(s, &output, &last, &last_length);
		if (!s || output.full)
			return false;
	} while (nested ? *s && *s != 'E' : *s == 'I' || !output.used || !last);
	return output.used && last && (!nested || *s == 'E');
}
