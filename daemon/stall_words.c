/* SPDX-License-Identifier: MIT */
/* Says a stall in words. Names in it were chosen by strangers: control characters in them
 * become question marks. */

#include "config.h"

#include "daemon/stall_words.h"

#include <stdio.h>
#include <string.h>

#include "daemon/frames.h"

/* The last part of a path. */
static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *
clean(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return text;
}

const char *
stall_words_frame(const struct stall_frame *frame, char ret_text[STALL_WORDS_BYTES])
{
	const char *function = frame->function ? frame->function : "";
	const char *left = *function ? " (" : "", *right = *function ? ")" : "";

	if (frame->file && frame->line)
		snprintf(ret_text, STALL_WORDS_BYTES, "%s%s%s:%u%s", function, left,
			frame->file, frame->line, right);
	else if (frame->file)
		snprintf(ret_text, STALL_WORDS_BYTES, "%s%s%s%s", function, left,
			frame->file, right);
	else if (frame->module && *function)
		snprintf(ret_text, STALL_WORDS_BYTES, "%s (%s)", function,
			base_of(frame->module));
	else if (frame->module)
		snprintf(ret_text, STALL_WORDS_BYTES, "%s+0x%llx", base_of(frame->module),
			(unsigned long long)frame->offset);
	else if (*function)
		snprintf(ret_text, STALL_WORDS_BYTES, "%s", function);
	else
		snprintf(ret_text, STALL_WORDS_BYTES, "code made at run time");
	return clean(ret_text);
}

const char *
stall_words_cause(
	enum stall_cause cause, const char *system_call, char ret_text[STALL_WORDS_BYTES])
{
	static const char *const words[STALL_CAUSES] = {
		[STALL_UNKNOWN] = "",
		[STALL_CPU] = "running",
		[STALL_BLOCKED] = "asleep",
		[STALL_NESTED_WAIT] = "waiting for something else",
		[STALL_GIL] = "waiting for the interpreter lock",
		[STALL_STARVED] = "without a CPU",
		[STALL_STOPPED] = "stopped",
	};
	bool named = cause == STALL_BLOCKED && system_call;

	snprintf(ret_text, STALL_WORDS_BYTES, "%s%s%s%s", words[cause],
		named ? " in " : "", named ? system_call : "", named ? "()" : "");
	return ret_text;
}

bool
stall_words_are_whole(const struct stall_sample *sample)
{
	const struct stall_frame *application = frames_application(sample);

	return sample->missing || (application && application->language != STALL_NATIVE);
}

const char *
stall_words_length(uint64_t length_ns, char ret_text[STALL_WORDS_BYTES])
{
	if (length_ns < 999500000)
		snprintf(ret_text, STALL_WORDS_BYTES, "%.0f ms", (double)length_ns / 1e6);
	else
		snprintf(ret_text, STALL_WORDS_BYTES, "%.2f s", (double)length_ns / 1e9);
	return ret_text;
}

const char *
stall_words_all(const struct stall *stall, char ret_text[STALL_WORDS_BYTES * 4])
{
	const struct stall_frame *guilty = frames_application(&stall->sample);
	char length[STALL_WORDS_BYTES], cause[STALL_WORDS_BYTES];
	char frame[STALL_WORDS_BYTES] = "", process[32] = "";

	stall_words_length(stall->length_ns, length);
	stall_words_cause(stall->cause, stall->system_call, cause);
	if (guilty)
		stall_words_frame(guilty, frame);
	if (stall->pid)
		snprintf(process, sizeof(process), " (process %d)", (int)stall->pid);
	snprintf(ret_text, STALL_WORDS_BYTES * 4,
		"loop %s of %s%s %s stuck for %s%s%s%s%s", stall->loop, stall->groupname,
		process, stall->open ? "has been" : "was", length, *cause ? ", " : "",
		cause, *frame ? ", in " : "", frame);
	return clean(ret_text);
}
