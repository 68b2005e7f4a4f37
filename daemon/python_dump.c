/* SPDX-License-Identifier: MIT */
/* Reads CPython's dump of a stack; see python_dump.h. */

#include "config.h"

#include "daemon/python_dump.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/words.h"

static const char file_mark[] = "  File ";
static const char line_mark[] = ", line ";
static const char function_mark[] = " in ";

/* The part of [from, end) between quotes, or what stands there for an unknown path. */
static char *
path_of(const char *from, const char *end)
{
	if (end - from >= 2 && *from == '"' && end[-1] == '"')
		return words_clean_escaped(from + 1, (size_t)(end - from) - 2);
	return NULL;
}

/* The number at *at, moving beyond it; 0 when it says "???". Returns whether it is one. */
static bool
take_number(const char **at, const char *end, unsigned *ret_number)
{
	unsigned number = 0;
	const char *s = *at;

	if (end - s >= 3 && memcmp(s, "???", 3) == 0) {
		*at = s + 3;
		*ret_number = 0;
		return true;
	}
	for (; s < end && isdigit((unsigned char)*s); s++)
		number = number > 100000000 ? number : number * 10 + (unsigned)(*s - '0');
	if (s == *at)
		return false;
	*at = s;
	*ret_number = number;
	return true;
}

/* A line that is a frame. Returns whether it is. */
static bool
parse_line(const char *line, const char *end, struct stall_frame *ret_frame)
{
	const size_t file_size = sizeof(file_mark) - 1, line_size = sizeof(line_mark) - 1,
		     function_size = sizeof(function_mark) - 1;
	struct stall_frame frame = {.language = STALL_PYTHON};
	const char *at = line, *path = line + file_size;

	if ((size_t)(end - line) < file_size || memcmp(line, file_mark, file_size) != 0)
		return false;
	/* A path may contain the mark: it is the one before a number and a function. */
	for (at = path;; at++) {
		const char *mark = at;

		at = memmem(mark, (size_t)(end - mark), line_mark, line_size);
		if (!at)
			return false;
		mark = at;
		at += line_size;
		if (take_number(&at, end, &frame.line) &&
			(size_t)(end - at) >= function_size &&
			memcmp(at, function_mark, function_size) == 0) {
			frame.file = path_of(path, mark);
			break;
		}
		at = mark;
	}
	at += function_size;
	if ((size_t)(end - at) != 3 || memcmp(at, "???", 3) != 0)
		frame.function = words_clean_escaped(at, (size_t)(end - at));
	*ret_frame = frame;
	return true;
}

size_t
python_dump_parse(
	const char *text, size_t bytes, struct stall_frame *ret_frames, size_t max)
{
	const char *end = text + strnlen(text, bytes), *line_end;
	size_t count = 0;

	for (const char *line = text; line < end && count < max; line = line_end + 1) {
		line_end = memchr(line, '\n', (size_t)(end - line));
		if (!line_end)
			line_end = end;
		if (parse_line(line, line_end, &ret_frames[count]))
			count++;
		else if (count && *line != ' ')
			break; /* another stack */
	}
	return count;
}
