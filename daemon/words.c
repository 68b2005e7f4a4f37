/* SPDX-License-Identifier: MIT */
/* Makes strangers' text fit to be shown; see words.h. */

#include "config.h"

#include "daemon/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Whether it is that of a character: surrogates are halves of one. */
static bool
is_character(uint32_t c)
{
	return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* Decode what stands for a character at `text`, or for half of one. Returns its length, or 0 if
 * there is none. */
static size_t
decode(const char *text, size_t size, uint32_t *ret_character)
{
	const unsigned char *s = (const unsigned char *)text;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *s < 0x80   ? 1
			: *s < 0xc0 ? 0
			: *s < 0xe0 ? 2
			: *s < 0xf0 ? 3
			: *s < 0xf8 ? 4
				    : 0;
	uint32_t character = *s;

	if (length == 0 || length > size)
		return 0;
	if (length > 1)
		character &= 0x7fu >> length;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (s[i] & 0x3f);
	}
	if (character < least[length])
		return 0;
	*ret_character = character;
	return length;
}

static size_t
encode(uint32_t c, char to[4])
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Whether it may be shown: no control character, nothing that changes the direction or
 * breaks the line. */
static bool
is_fit(uint32_t c)
{
	return is_character(c) && c >= 0x20 && (c < 0x7f || c > 0x9f) &&
	       (c < 0x200e || c > 0x200f) && (c < 0x2028 || c > 0x202e) &&
	       (c < 0x2066 || c > 0x2069) && c != 0xfeff;
}

/* The character that an escape stands for. Returns its length, or 0 if it is none. */
static size_t
unescape(const char *s, size_t size, uint32_t *ret_character)
{
	size_t digits;
	uint32_t value = 0;

	if (size < 2 || s[0] != '\\')
		return 0;
	digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
	if (!digits || size < 2 + digits)
		return 0;
	for (size_t i = 2; i < 2 + digits; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!isxdigit(c))
			return 0;
		value = value << 4 |
			(isdigit(c) ? c - (uint32_t)'0' : (c | 0x20u) - 'a' + 10u);
	}
	*ret_character = value;
	return 2 + digits;
}

static char *
clean(const char *text, size_t bytes, bool escaped)
{
	size_t used = 0, length, size = strnlen(text, bytes);
	char *copy;

	if (size > WORDS_MAX)
		size = WORDS_MAX;
	/* A character never becomes longer: the shortest escape, \xNN, gives two bytes. */
	copy = malloc(size + 1);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < size; i += length) {
		uint32_t character = 0;

		length = escaped ? unescape(text + i, size - i, &character) : 0;
		if (!length)
			length = decode(text + i, size - i, &character);
		used += encode(is_fit(character) ? character : '?', copy + used);
		if (!length)
			length = 1;
	}
	copy[used] = 0;
	return copy;
}

char *
words_clean(const char *text, size_t bytes)
{
	return clean(text, bytes, false);
}

char *
words_clean_escaped(const char *text, size_t bytes)
{
	return clean(text, bytes, true);
}

size_t
words_character(const char *text, size_t bytes, bool *ret_fit)
{
	uint32_t character = 0;
	size_t length = decode(text, bytes, &character);

	*ret_fit = length && is_fit(character);
	return is_character(character) ? length : 0;
}

bool
words_are_clean(const char *text)
{
	size_t length, size = strlen(text);
	bool fit = size <= WORDS_MAX;

	for (size_t i = 0; fit && i < size; i += length)
		length = words_character(text + i, size - i, &fit);
	return fit;
}
