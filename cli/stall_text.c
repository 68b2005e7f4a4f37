/* SPDX-License-Identifier: MIT */
/* Prints stalls:
 *
 *	2026-01-31 10:00:00.123   1.02 s  web, main, process 4711  running
 *	     JSON.parse
 *	   > crunch (/srv/app.js:2)
 *	     handle (/srv/app.js:17)
 */

#include "config.h"

#include "cli/stall_text.h"

#include <stdbool.h>
#include <string.h>

#include "cli/format.h"
#include "cli/moment.h"
#include "cli/style.h"
#include "daemon/frames.h"
#include "daemon/stall_words.h"

#define FRAMES 24
#define LENGTH_COLUMNS 9
#define NAME_COLUMNS 48
#define FRAME_COLUMNS 160

static void
print_frame(const struct stall_frame *frame, bool guilty, const struct style *style,
	FILE *out)
{
	char words[STALL_WORDS_BYTES], text[4 * FRAME_COLUMNS + 1];

	format_name(stall_words_frame(frame, words), FRAME_COLUMNS, style->utf8, text);
	fprintf(out, "   %s%s%s%s\n", guilty ? style_bold(style) : "",
		guilty ? "> " : "  ", text, guilty ? style_end(style) : "");
}

/* What the reader has to know of this stack. */
static void
print_remarks(const struct stall *stall, const struct style *style, FILE *out)
{
	const struct stall_sample *sample = &stall->sample;
	char text[4 * FRAME_COLUMNS + 1];

	if (sample->missing)
		fprintf(out, "     (%s: %s)\n", sample->count ? "incomplete" : "no stack",
			format_name(sample->missing, FRAME_COLUMNS, style->utf8, text));
	else if (!sample->count && !stall->open)
		fputs("     (no stack: it was over before one could be taken)\n", out);
	if (sample->late)
		fputs("     (the script's frames were taken when the native call had "
		      "returned:\n"
		      "      they show who called it)\n",
			out);
}

void
stall_text_stack(
	const struct stall *stall, size_t most, const struct style *style, FILE *out)
{
	const struct stall_sample *sample = &stall->sample;
	const struct stall_frame *guilty = frames_application(sample);
	size_t left_out = 0;

	for (size_t i = 0; i < sample->count; i++) {
		const struct stall_frame *frame = &sample->frames[i];

		if (i < most || frame == guilty)
			print_frame(frame, frame == guilty, style, out);
		else
			left_out++;
	}
	if (left_out)
		fprintf(out, "     (%zu more)\n", left_out);
	print_remarks(stall, style, out);
}

void
stall_text_print(const struct stall *stall, const struct style *style, FILE *out)
{
	char moment[MOMENT_BYTES], name[4 * NAME_COLUMNS + 1];
	char words[STALL_WORDS_BYTES];
	double seconds = (double)stall->length_ns / 1e9;
	const char *colour = style_delay(style, seconds);

	fprintf(out, "%s %s", moment_format(stall->started_unix_ns, moment), colour);
	style_right(out, stall_words_length(stall->length_ns, words), LENGTH_COLUMNS);
	fprintf(out, "%s  %s, ", *colour ? style_end(style) : "",
		format_name(stall->groupname, NAME_COLUMNS, style->utf8, name));
	fputs(format_name(stall->loop, NAME_COLUMNS, style->utf8, name), out);
	if (stall->pid)
		fprintf(out, ", process %d", (int)stall->pid);
	stall_words_cause(stall->cause, stall->system_call, words);
	fprintf(out, "  %s%s\n",
		format_name(*words ? words : "cause unknown", NAME_COLUMNS, style->utf8,
			name),
		stall->open ? ", still open" : "");
	stall_text_stack(stall, FRAMES, style, out);
}
