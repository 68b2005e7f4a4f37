/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a helper has written of one capture: the texts of Python and
 * JavaScript, names of modules, lengths that lie. What comes out is fit to be shown, and no
 * longer than it may be.
 *
 *	8 numbers  each a field of the record
 *	text       of the names, up to a 0; of Python, up to a 0; of JavaScript
 */

#include "config.h"

#include <string.h>

#include "daemon/api_stalls.h"
#include "daemon/capture_reader.h"
#include "daemon/demangle.h"
#include "daemon/frames.h"
#include "tests/fuzz/fuzz.h"

static struct segment_capture record;

/* Put a text of the input where the record has room for one. Returns its length. */
static size_t
take_text(struct fuzz_input *input, char *to, size_t size)
{
	size_t length = strnlen((const char *)input->at, input->left);
	size_t taken = length < size ? length : size;
	uint8_t end;

	memset(to, 0, size);
	memcpy(to, input->at, taken);
	input->at += length;
	input->left -= length;
	(void)fuzz_bytes(input, &end, 1);
	return taken;
}

static void
take_record(struct fuzz_input *input)
{
	memset(&record, 0, sizeof(record));
	record.result = SEGMENT_RESULT_TAKEN;
	record.js_state = fuzz_byte(input) % 3;
	record.native_count = (uint32_t)fuzz_number(input, SEGMENT_NATIVE_FRAMES);
	record.module_count = (uint32_t)fuzz_number(input, SEGMENT_MODULES);
	for (unsigned i = 0; i < 4; i++) {
		record.natives[i].module = (uint32_t)fuzz_number(input, i);
		record.natives[i].offset = fuzz_number(input, 0);
		record.modules[i].name =
			(uint32_t)fuzz_number(input, sizeof(record.names));
		record.modules[i].build_id_bytes = (uint32_t)fuzz_number(input, 24);
	}
	record.python_bytes = (uint32_t)fuzz_number(input, sizeof(record.python));
	record.js_bytes = (uint32_t)fuzz_number(input, sizeof(record.js));
	record.taken_ns = fuzz_number(input, 0);
	record.js_taken_ns = fuzz_number(input, record.taken_ns);
	take_text(input, record.names, sizeof(record.names));
	take_text(input, record.python, sizeof(record.python));
	take_text(input, record.js, sizeof(record.js));
}

static size_t
check_frame(const struct stall_frame *frame)
{
	size_t bytes = 0;

	fuzz_check(frame->language <= STALL_JS);
	fuzz_check_clean(frame->function);
	fuzz_check_clean(frame->file);
	fuzz_check_clean(frame->module);
	bytes += frame->function ? strlen(frame->function) : 0;
	bytes += frame->file ? strlen(frame->file) : 0;
	return bytes + (frame->module ? strlen(frame->module) : 0);
}

static void
check_sample(const struct stall_sample *sample)
{
	const struct stall_frame *application = frames_application(sample);
	size_t bytes = 0;

	fuzz_check(sample->count <= SEGMENT_NATIVE_FRAMES + CAPTURE_SCRIPTS);
	for (size_t i = 0; i < sample->count; i++)
		bytes += check_frame(&sample->frames[i]);
	fuzz_check(bytes <= FRAMES_TEXT_BYTES);
	fuzz_check(!application || (application >= sample->frames &&
					   application < sample->frames + sample->count));
	fuzz_check(!frames_stack_id(sample) == !sample->count);
}

/* The readable form of a name ends within the room for it. */
static void
check_demangle(const char *name)
{
	char readable[64];

	memset(readable, 'x', sizeof(readable));
	if (demangle(name, readable, sizeof(readable)))
		fuzz_check(memchr(readable, 0, sizeof(readable)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct stall stall = {.id = 1, .groupname = "web", .loop = "main"};
	struct capture *capture;
	char *json;

	take_record(&input);
	record.names[sizeof(record.names) - 1] = 0;
	check_demangle(record.names);
	record.names[sizeof(record.names) - 1] = 'x';
	capture = capture_reader_parse(&record);
	fuzz_check(capture);
	fuzz_check(frames_make(capture, &stall.sample) == 0);
	capture_free(capture);
	check_sample(&stall.sample);
	stall.stack_id = frames_stack_id(&stall.sample);
	json = api_stall(&stall);
	fuzz_check(json && !strchr(json, '\n'));
	free(json);
	stall_sample_fini(&stall.sample);
	return 0;
}
