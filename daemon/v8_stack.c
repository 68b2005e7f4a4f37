/* SPDX-License-Identifier: MIT */
/* Reads V8's text of a stack; see v8_stack.h. */

#include "config.h"

#include "daemon/v8_stack.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/words.h"

#define URL "file://"

/* A piece of a line. */
struct piece {
	const char *at, *end;
};

static bool
starts_with(const struct piece *piece, const char *word)
{
	size_t size = strlen(word);

	return (size_t)(piece->end - piece->at) >= size &&
	       memcmp(piece->at, word, size) == 0;
}

static bool
equals(const struct piece *piece, const char *word)
{
	return (size_t)(piece->end - piece->at) == strlen(word) &&
	       starts_with(piece, word);
}

/* Cut the word off the front, if it is there. */
static bool
skip(struct piece *piece, const char *word)
{
	if (!starts_with(piece, word))
		return false;
	piece->at += strlen(word);
	return true;
}

/* Cut ":NUMBER" off the end. Returns whether it was there. */
static bool
cut_number(struct piece *piece, unsigned *ret_number)
{
	const char *s = piece->end;
	unsigned number = 0;

	while (s > piece->at && isdigit((unsigned char)s[-1]))
		s--;
	if (s == piece->end || s == piece->at || s[-1] != ':')
		return false;
	for (const char *digit = s; digit < piece->end; digit++)
		number = number > 100000000 ? number
					    : number * 10 + (unsigned)(*digit - '0');
	piece->end = s - 1;
	*ret_number = number;
	return true;
}

static int
hex(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
					    : -1;
}

/* The path of a file URL, whose %NN are characters. */
static char *
path_of_url(const struct piece *url)
{
	char bytes[WORDS_MAX];
	size_t used = 0;

	for (const char *s = url->at; s < url->end && used < sizeof(bytes); s++) {
		if (*s == '%' && url->end - s > 2 && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
			bytes[used++] = (char)(hex(s[1]) << 4 | hex(s[2]));
			s += 2;
		} else {
			bytes[used++] = *s;
		}
	}
	return words_clean(bytes, used);
}

/* Set file and line from PLACE. */
static void
parse_place(struct piece place, struct stall_frame *frame)
{
	unsigned number;
	const char *inner;

	/* Code that was made by eval is where the innermost text that lies in a file is:
	 * "eval at F (eval at G (PATH:1:2), <anonymous>:3:4), <anonymous>:5:6". */
	while (starts_with(&place, "eval at ")) {
		inner = memmem(place.at, (size_t)(place.end - place.at), " (", 2);
		if (!inner)
			return;
		place.at = inner + 2;
		inner = memchr(place.at, ')', (size_t)(place.end - place.at));
		if (!starts_with(&place, "eval at ") && inner)
			place.end = inner;
	}
	if (cut_number(&place, &frame->line) && cut_number(&place, &number))
		frame->line = number; /* the other was the column */
	if (place.at == place.end || equals(&place, "<anonymous>") ||
		equals(&place, "native") || equals(&place, "unknown location") ||
		equals(&place, "index 0")) {
		frame->line = 0;
		return;
	}
	frame->file = skip(&place, URL)
			      ? path_of_url(&place)
			      : words_clean(place.at, (size_t)(place.end - place.at));
}

/* The function's own name: what V8 writes as TYPE.NAME [as PROPERTY] has the type of the
 * object on which it was called, and the property by which. A plain object's says nothing. */
static char *
function_name(struct piece function)
{
	struct piece rest = function;
	const char *as =
		memmem(function.at, (size_t)(function.end - function.at), " [as ", 5);

	if (as && function.end[-1] == ']')
		function.end = as;
	if (skip(&rest, "Object.") && !starts_with(&rest, "<"))
		function.at = rest.at;
	if (function.at >= function.end || equals(&function, "<anonymous>"))
		return NULL;
	return words_clean(function.at, (size_t)(function.end - function.at));
}

/* Returns whether the line is a frame. */
static bool
parse_line(struct piece line, struct stall_frame *ret_frame)
{
	struct stall_frame frame = {.language = STALL_JS};
	struct piece function;
	const char *open = NULL;

	while (line.at < line.end && isspace((unsigned char)*line.at))
		line.at++;
	while (line.at < line.end && isspace((unsigned char)line.end[-1]))
		line.end--;
	skip(&line, "at ");
	skip(&line, "async ");
	if (line.at == line.end)
		return false;
	if (line.end[-1] == ')' && !starts_with(&line, "eval at "))
		open = memmem(line.at, (size_t)(line.end - line.at), " (", 2);
	if (open) {
		function = (struct piece){line.at, open};
		frame.function = function_name(function);
		line.at = open + 2;
		line.end--;
	}
	parse_place(line, &frame);
	if (!frame.function && !frame.file)
		return false;
	*ret_frame = frame;
	return true;
}

size_t
v8_stack_parse(const char *text, size_t bytes, struct stall_frame *ret_frames, size_t max)
{
	const char *end = text + strnlen(text, bytes), *line_end;
	size_t count = 0;

	for (const char *line = text; line < end && count < max; line = line_end + 1) {
		line_end = memchr(line, '\n', (size_t)(end - line));
		if (!line_end)
			line_end = end;
		if (parse_line((struct piece){line, line_end}, &ret_frames[count]))
			count++;
	}
	return count;
}
