/* SPDX-License-Identifier: MIT */
/* From what was captured to a stack; see frames.h. */

#include "config.h"

#include "daemon/frames.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/runtimes.h"

#define LEADING_MAX 12 /* native frames before those of a script */

#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

/* Move a frame to the end of the sample. */
static void
move(struct stall_sample *sample, struct stall_frame *frame)
{
	sample->frames[sample->count++] = *frame;
	*frame = (struct stall_frame){0};
}

/* The frame of those from `first` on that ends the run of calls inside libc: of
 * clock_nanosleep, nanosleep, usleep it is usleep, which is what the program called; our
 * own wrappers, which have the same names, only where there is no other. */
static size_t
outermost_of_libc(const struct capture *capture, size_t first, size_t end)
{
	size_t named = first;

	for (size_t i = first; i < end && runtimes_is_libc(&capture->natives[i]); i++)
		if (capture->natives[i].function &&
			(!runtimes_is_probe(&capture->natives[i]) ||
				!capture->natives[named].function))
			named = i;
	return named;
}

/* Move the native frames before `end` that say something. */
static void
move_natives(struct capture *capture, size_t end, size_t max, struct stall_sample *sample)
{
	struct stall_frame *natives = capture->natives;
	size_t i = 0;

	while (i < end && sample->count < max) {
		if (runtimes_is_libc(&natives[i])) {
			size_t named = outermost_of_libc(capture, i, end);

			if (natives[named].function &&
				!runtimes_is_start(&natives[named]))
				move(sample, &natives[named]);
			while (i < end && (i <= named || runtimes_is_libc(&natives[i])))
				i++;
			continue;
		}
		if (!runtimes_is_plumbing(&natives[i]) && !runtimes_is_start(&natives[i]))
			move(sample, &natives[i]);
		i++;
	}
	/* All of it was plumbing: its innermost part is what says most. */
	for (i = 0; i < end && sample->count == 0; i++)
		if (natives[i].function && !runtimes_is_start(&natives[i]))
			move(sample, &natives[i]);
}

/* How many native frames there are before the interpreter's. */
static size_t
leading_natives(const struct capture *capture)
{
	enum stall_language language = capture->scripts[0].language;

	for (size_t i = 0; i < capture->native_count; i++)
		if (runtimes_is_interpreter(&capture->natives[i], language))
			return i;
	return capture->native_count;
}

/* Move the frames of a script. */
static void
move_scripts(struct capture *capture, struct stall_sample *sample)
{
	bool all = true;

	for (size_t i = 0; i < capture->script_count; i++)
		all = all && runtimes_is_folded(&capture->scripts[i]);
	for (size_t i = 0; i < capture->script_count; i++)
		if (all || !runtimes_is_folded(&capture->scripts[i]))
			move(sample, &capture->scripts[i]);
}

static size_t
text_bytes(const char *text)
{
	return text ? strlen(text) : 0;
}

/* Drop the outermost frames of a stack whose text is too long. */
static void
cut(struct stall_sample *sample)
{
	size_t bytes = 0, kept = 0;

	for (; kept < sample->count; kept++) {
		const struct stall_frame *frame = &sample->frames[kept];

		bytes += text_bytes(frame->function) + text_bytes(frame->file) +
			 text_bytes(frame->module);
		if (bytes > FRAMES_TEXT_BYTES)
			break;
	}
	while (sample->count > kept) {
		struct stall_frame *frame = &sample->frames[--sample->count];

		free(frame->function);
		free(frame->file);
		free(frame->module);
	}
}

int
frames_make(struct capture *capture, struct stall_sample *ret_sample)
{
	struct stall_sample sample = {.taken_ns = capture->taken_ns};

	sample.frames = calloc(capture->native_count + capture->script_count + 1,
		sizeof(*sample.frames));
	if (!sample.frames)
		return -ENOMEM;
	if (capture->script_count) {
		size_t leading = leading_natives(capture);

		/* An interpreter that was not seen has not let us unwind to it: what there
		 * is may be anything, but for its innermost part. */
		move_natives(capture, leading, LEADING_MAX, &sample);
		move_scripts(capture, &sample);
	} else {
		move_natives(capture, capture->native_count, SIZE_MAX, &sample);
		/* No name is known at all. */
		for (size_t i = 0; i < capture->native_count && !sample.count; i++)
			if (capture->natives[i].module)
				move(&sample, &capture->natives[i]);
	}
	cut(&sample);
	sample.late = capture->js_state == SEGMENT_JS_TAKEN &&
		      capture->js_taken_ns > capture->taken_ns &&
		      capture->js_taken_ns - capture->taken_ns > FRAMES_LATE_NS;
	*ret_sample = sample;
	return 0;
}

const struct stall_frame *
frames_application(const struct stall_sample *sample)
{
	const struct stall_frame *best = NULL;
	enum runtimes_rank best_rank = RUNTIMES_RUNTIME, rank;
	bool scripts = false;

	for (size_t i = 0; i < sample->count; i++)
		scripts = scripts || sample->frames[i].language != STALL_NATIVE;
	for (size_t i = 0; i < sample->count; i++) {
		const struct stall_frame *frame = &sample->frames[i];

		if (scripts && frame->language == STALL_NATIVE)
			continue;
		rank = runtimes_rank(frame);
		if (rank < best_rank) {
			best_rank = rank;
			best = frame;
		}
	}
	return best;
}

static uint64_t
hash(uint64_t h, const void *bytes, size_t size)
{
	const unsigned char *s = bytes;

	for (size_t i = 0; i < size; i++)
		h = (h ^ s[i]) * FNV_PRIME;
	return h;
}

static uint64_t
hash_text(uint64_t h, const char *text)
{
	return text ? hash(h, text, strlen(text) + 1) : hash(h, "\xff", 1);
}

static uint64_t
hash_number(uint64_t h, uint64_t number)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(number >> 8 * i);
	return hash(h, bytes, sizeof(bytes));
}

static uint64_t
hash_frame(uint64_t h, const struct stall_frame *frame, bool innermost)
{
	const char *name = frame->module ? strrchr(frame->module, '/') : NULL;

	h = hash_number(h, (uint64_t)frame->language);
	h = hash_text(h, frame->function);
	h = hash_text(h, frame->file);
	if (runtimes_is_nameless(frame))
		h = hash_number(h, frame->line);
	if (frame->language == STALL_NATIVE && !frame->function) {
		h = hash_text(h, name ? name + 1 : frame->module);
		/* Where it is inside of the innermost function differs each time, and an
		 * address in no module is another one in each process. */
		h = hash_number(h, innermost || !frame->module ? 0 : frame->offset);
	}
	return h;
}

uint64_t
frames_stack_id(const struct stall_sample *sample)
{
	const struct stall_frame *application = frames_application(sample);
	size_t first = application ? (size_t)(application - sample->frames) : 0;
	uint64_t h = FNV_OFFSET;

	if (sample->count == 0)
		return 0;
	for (size_t i = first; i < sample->count; i++)
		h = hash_frame(h, &sample->frames[i], i == 0);
	return h ? h : 1;
}
