/* SPDX-License-Identifier: MIT */
/* Formats durations, shares and names. Pure; in no locale's words. */

#include "config.h"

#include "cli/format.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How many decimals make three digits of it. */
static int
decimals(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

const char *
format_seconds(double seconds, bool utf8, char ret_text[FORMAT_BYTES])
{
	double value = seconds;
	const char *unit = "s";

	/* Less than half a nanosecond is the rounding of a sum. */
	if (!(seconds > 0.5e-9))
		return strcpy(ret_text, "0");
	if (seconds < 0.9995e-6) {
		value = seconds * 1e9;
		unit = "ns";
	} else if (seconds < 0.9995e-3) {
		value = seconds * 1e6;
		unit = utf8 ? "\u00b5s" : "us";
	} else if (seconds < 0.9995) {
		value = seconds * 1e3;
		unit = "ms";
	}
	snprintf(ret_text, FORMAT_BYTES, "%.*f %s", decimals(value), value, unit);
	return ret_text;
}

const char *
format_number(double value, char ret_text[FORMAT_BYTES])
{
	if (!(value > 0))
		strcpy(ret_text, "0");
	else if (value < 0.005)
		strcpy(ret_text, "<0.01");
	else
		snprintf(ret_text, FORMAT_BYTES, "%.*f", decimals(value), value);
	return ret_text;
}

const char *
format_share(double share, char ret_text[FORMAT_BYTES])
{
	double percent = share * 100;

	if (!(share > 0))
		strcpy(ret_text, "0 %");
	else if (percent < 0.001)
		strcpy(ret_text, "<0.001 %");
	else
		snprintf(ret_text, FORMAT_BYTES, "%.*f %%",
			percent < 0.01 ? 3 : decimals(percent), percent);
	return ret_text;
}

/* The length of the printable character that `text` begins with, 0 if it is none. */
static size_t
character(const unsigned char *text, bool utf8)
{
	static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
	uint32_t code;

	if (length == 1)
		return *text >= 0x20 && *text < 0x7f;
	if (!utf8 || *text < 0xc2 || *text > 0xf4)
		return 0;
	code = *text & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	/* Not too long, no surrogate, and none that turns the direction of the line. */
	return code >= least[length] && code <= 0x10ffff &&
			       !(code >= 0xd800 && code < 0xe000) &&
			       !(code >= 0x2028 && code <= 0x202e) &&
			       !(code >= 0x2066 && code <= 0x2069) && code != 0x200e &&
			       code != 0x200f
		       ? length
		       : 0;
}

const char *
format_name(const char *name, size_t columns, bool utf8, char *ret_text)
{
	const unsigned char *from = (const unsigned char *)name;
	const char *ellipsis = utf8 ? "\u2026" : "~";
	char *to = ret_text, *last = ret_text;

	for (size_t used = 0; *from; used++) {
		size_t length = character(from, utf8);

		if (used == columns) {
			if (columns)
				to = stpcpy(last, ellipsis);
			break;
		}
		last = to;
		if (length) {
			to = mempcpy(to, from, length);
			from += length;
		} else {
			*to++ = '?';
			from++;
		}
	}
	*to = '\0';
	return ret_text;
}

size_t
format_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
