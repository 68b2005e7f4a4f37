/* SPDX-License-Identifier: MIT */
/* The mistakes in a file; see mistakes.h. */

#include "config.h"

#include "daemon/mistakes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct mistake {
	unsigned line, column;
	char *text; /* NULL: there was no memory for it */
};

void
mistakes_fini(struct mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count && i < MISTAKES_KEPT; i++)
		if (mistakes->kept)
			free(mistakes->kept[i].text);
	free(mistakes->kept);
	*mistakes = (struct mistakes){0};
}

/* What a file says may hold what steers a terminal. */
static void
defuse(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '_';
}

void
mistakes_add(struct mistakes *mistakes, unsigned line, unsigned column,
	const char *format, ...)
{
	struct mistake *mistake;
	va_list arguments;

	if (!mistakes->kept)
		mistakes->kept = calloc(MISTAKES_KEPT, sizeof(*mistakes->kept));
	if (mistakes->count++ >= MISTAKES_KEPT || !mistakes->kept)
		return;
	mistake = &mistakes->kept[mistakes->count - 1];
	mistake->line = line;
	mistake->column = column;
	va_start(arguments, format);
	if (vasprintf(&mistake->text, format, arguments) < 0)
		mistake->text = NULL;
	va_end(arguments);
	if (mistake->text)
		defuse(mistake->text);
}

static int
compare(const void *a, const void *b)
{
	const struct mistake *x = *(const struct mistake *const *)a;
	const struct mistake *y = *(const struct mistake *const *)b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return (x > y) - (x < y);
}

void
mistakes_print(const struct mistakes *mistakes, const char *path, FILE *err)
{
	const struct mistake *order[MISTAKES_KEPT];
	size_t kept = mistakes->count < MISTAKES_KEPT ? mistakes->count : MISTAKES_KEPT;

	if (!mistakes->kept)
		kept = 0;
	for (size_t i = 0; i < kept; i++)
		order[i] = &mistakes->kept[i];
	qsort(order, kept, sizeof(order[0]), compare);
	for (size_t i = 0; i < kept; i++)
		fprintf(err, "%s:%u:%u: %s\n", path, order[i]->line, order[i]->column,
			order[i]->text ? order[i]->text : "a mistake; out of memory");
	if (mistakes->count > kept)
		fprintf(err, "%s: %zu more mistakes\n", path, mistakes->count - kept);
}

const char *
mistakes_quote(const char *text, char ret_quoted[MISTAKES_QUOTE_BYTES])
{
	static const char more[] = "...";
	size_t length = strlen(text), room = MISTAKES_QUOTE_BYTES - sizeof(more) - 2;
	int cut = length > room;

	if (cut)
		/* Not in the middle of a character. */
		for (length = room; length && (text[length] & 0xc0) == 0x80;)
			length--;
	snprintf(ret_quoted, MISTAKES_QUOTE_BYTES, "'%.*s%s'", (int)length, text,
		cut ? more : "");
	return ret_quoted;
}
