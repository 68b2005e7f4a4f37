/* SPDX-License-Identifier: MIT */
/* See difference.h. */

#include "config.h"

#include "cli/difference.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 3

/* A text as lines. */
struct lines {
	const char **line; /* each ends with \n or with the text */
	size_t count;
};

static bool
split(const char *text, struct lines *ret_lines)
{
	*ret_lines = (struct lines){.line = calloc(strlen(text) + 1, sizeof(char *))};
	while (ret_lines->line && *text) {
		size_t bytes = strcspn(text, "\n");

		ret_lines->line[ret_lines->count++] = text;
		text += bytes + (text[bytes] == '\n');
	}
	return ret_lines->line;
}

static bool
equal(const char *a, const char *b)
{
	size_t length = strcspn(a, "\n");

	return length == strcspn(b, "\n") && !strncmp(a, b, length) &&
	       a[length] == b[length];
}

static void
print_lines(FILE *out, char mark, const struct lines *lines, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t bytes = strcspn(lines->line[i], "\n");

		fprintf(out, "%c%.*s\n", mark, (int)bytes, lines->line[i]);
		if (!lines->line[i][bytes])
			fputs("\\ No newline at end of file\n", out);
	}
}

/* Which lines of a file the hunk has: the first is 1, but that of none is 0. */
static void
print_range(FILE *out, char mark, size_t from, size_t to)
{
	fprintf(out, " %c%zu,%zu", mark, from + (to > from), to - from);
}

/* Print the one hunk. */
static void
print_hunk(FILE *out, const struct lines *before, const struct lines *after)
{
	size_t same = 0, tail = 0, from, end;

	while (same < before->count && same < after->count &&
		equal(before->line[same], after->line[same]))
		same++;
	while (tail < before->count - same && tail < after->count - same &&
		equal(before->line[before->count - 1 - tail],
			after->line[after->count - 1 - tail]))
		tail++;
	from = same > CONTEXT ? same - CONTEXT : 0;
	end = tail > CONTEXT ? tail - CONTEXT : 0;
	fputs("@@", out);
	print_range(out, '-', from, before->count - end);
	print_range(out, '+', from, after->count - end);
	fputs(" @@\n", out);
	print_lines(out, ' ', before, from, same);
	print_lines(out, '-', before, same, before->count - tail);
	print_lines(out, '+', after, same, after->count - tail);
	print_lines(out, ' ', before, before->count - tail, before->count - end);
}

char *
difference(const char *file, const char *before, const char *after)
{
	struct lines old = {0}, new = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (split(before ? before : "", &old) && split(after ? after : "", &new) &&
		(!before || !after || strcmp(before, after) != 0)) {
		fprintf(out, "--- %s\n+++ %s\n", before ? file : "/dev/null",
			after ? file : "/dev/null");
		print_hunk(out, &old, &new);
	}
	free(old.line);
	free(new.line);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
