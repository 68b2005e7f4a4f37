/* SPDX-License-Identifier: MIT */
/* Colours, widths and columns. Text is padded by hand, since printf() counts bytes and a
 * name or a unit may have characters of several. */

#include "config.h"

#include "cli/style.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/format.h"

struct style
style_of(FILE *out)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
	struct style style = {.columns = 80};
	struct winsize size;

	setlocale(LC_CTYPE, "");
	style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	style.colour = isatty(fileno(out)) && !(no_colour && *no_colour) && terminal &&
		       strcmp(terminal, "dumb") != 0;
	if (!ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col)
		style.columns = size.ws_col;
	if (style.columns < STYLE_COLUMNS_MIN)
		style.columns = STYLE_COLUMNS_MIN;
	if (style.columns > STYLE_COLUMNS_MAX)
		style.columns = STYLE_COLUMNS_MAX;
	return style;
}

static void
spaces(FILE *out, const char *text, size_t columns)
{
	size_t width = format_width(text);

	fprintf(out, "%*s", width < columns ? (int)(columns - width) : 0, "");
}

void
style_right(FILE *out, const char *text, size_t columns)
{
	spaces(out, text, columns);
	fputs(text, out);
}

void
style_left(FILE *out, const char *text, size_t columns)
{
	fputs(text, out);
	spaces(out, text, columns);
}

const char *
style_bold(const struct style *style)
{
	return style->colour ? "\033[1m" : "";
}

const char *
style_delay(const struct style *style, double seconds)
{
	if (!style->colour || seconds < STYLE_LATE_SECONDS)
		return "";
	return seconds < STYLE_STALLED_SECONDS ? "\033[33m" : "\033[31m";
}

const char *
style_end(const struct style *style)
{
	return style->colour ? "\033[0m" : "";
}
