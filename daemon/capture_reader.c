/* SPDX-License-Identifier: MIT */
/* Reads captures from a segment; see capture_reader.h. */

#include "config.h"

#include "daemon/capture_reader.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/python_dump.h"
#include "daemon/v8_stack.h"
#include "daemon/words.h"

#define TRIES 3
#define HEAD_BYTES offsetof(struct segment_capture, natives)

struct capture_reader_place
capture_reader_place(int segment, const struct segment_header *header)
{
	uint64_t room = header->capture_bytes / sizeof(struct segment_capture);

	return (struct capture_reader_place){
		.segment = segment,
		.offset = header->capture_offset,
		.count = room < SEGMENT_CAPTURES ? (uint32_t)room : SEGMENT_CAPTURES,
	};
}

static bool
read_at(const struct capture_reader_place *place, unsigned index, void *to, size_t size)
{
	off_t offset =
		(off_t)place->offset + (off_t)(index * sizeof(struct segment_capture));

	return index < place->count &&
	       pread(place->segment, to, size, offset) == (ssize_t)size;
}

/* Whether the record is whole, and of that iteration. */
static bool
fits(const struct segment_capture *head, const struct capture_reader_key *key)
{
	return head->sequence && head->sequence % 2 == 0 && head->slot == key->slot &&
	       head->since_ns == key->since_ns;
}

bool
capture_reader_glance(const struct capture_reader_place *place, unsigned index,
	const struct capture_reader_key *key, struct capture_reader_glance *ret_glance)
{
	struct segment_capture head;

	if (!read_at(place, index, &head, HEAD_BYTES) || !fits(&head, key))
		return false;
	*ret_glance = (struct capture_reader_glance){
		.sequence = head.sequence,
		.role = head.role,
		.js_state = head.js_state,
	};
	return true;
}

/* The text of a part of the record, without a last line that was cut off. */
static size_t
text_bytes(const char *text, uint32_t bytes, size_t size)
{
	const char *line;

	if (bytes < size)
		return bytes;
	line = memrchr(text, '\n', size);
	return line ? (size_t)(line - text) : 0;
}

static void
take_modules(struct capture *capture, const struct segment_capture *record)
{
	uint32_t count = record->module_count < SEGMENT_MODULES ? record->module_count
								: SEGMENT_MODULES;

	for (uint32_t i = 0; i < count; i++) {
		const struct segment_module *from = &record->modules[i];
		struct capture_module *to = &capture->modules[capture->module_count++];
		size_t room = from->name < sizeof(record->names)
				      ? sizeof(record->names) - from->name
				      : 0;
		const char *path = record->names + sizeof(record->names) - room;

		if (room && *path && memchr(path, 0, room))
			to->path = strdup(path);
		if (from->build_id_bytes <= sizeof(to->build_id)) {
			to->build_id_bytes = from->build_id_bytes;
			memcpy(to->build_id, from->build_id, from->build_id_bytes);
		}
	}
}

static void
take_natives(struct capture *capture, const struct segment_capture *record)
{
	uint32_t count = record->native_count < SEGMENT_NATIVE_FRAMES
				 ? record->native_count
				 : SEGMENT_NATIVE_FRAMES;

	for (uint32_t i = 0; i < count; i++) {
		const struct segment_native *from = &record->natives[i];
		struct stall_frame *to = &capture->natives[capture->native_count];
		uint32_t module = from->module;
		const char *path;

		if (module >= capture->module_count)
			module = SEGMENT_NO_MODULE;
		path = module == SEGMENT_NO_MODULE ? NULL : capture->modules[module].path;
		*to = (struct stall_frame){
			.language = STALL_NATIVE, .offset = from->offset};
		if (path)
			to->module = words_clean(path, strlen(path));
		capture->native_modules[capture->native_count++] = module;
	}
}

/* Python's frames lie within JavaScript's or the other way round in no program that we
 * know: the ones that are there count. */
static void
take_scripts(struct capture *capture, const struct segment_capture *record)
{
	if (record->js_state == SEGMENT_JS_TAKEN)
		capture->script_count = v8_stack_parse(record->js,
			text_bytes(record->js, record->js_bytes, sizeof(record->js)),
			capture->scripts, CAPTURE_SCRIPTS);
	if (!capture->script_count)
		capture->script_count = python_dump_parse(record->python,
			text_bytes(record->python, record->python_bytes,
				sizeof(record->python)),
			capture->scripts, CAPTURE_SCRIPTS);
}

struct capture *
capture_reader_parse(const struct segment_capture *record)
{
	struct capture *capture = capture_new();

	if (!capture)
		return NULL;
	capture->taken_ns = record->taken_ns;
	capture->js_taken_ns = record->js_taken_ns;
	capture->role = record->role;
	capture->result = record->result;
	capture->flags = record->flags;
	capture->js_state = record->js_state;
	if (record->result == SEGMENT_RESULT_TAKEN) {
		take_modules(capture, record);
		take_natives(capture, record);
		take_scripts(capture, record);
	}
	return capture;
}

struct capture *
capture_reader_read(const struct capture_reader_place *place, unsigned index,
	const struct capture_reader_key *key)
{
	struct segment_capture *record = malloc(sizeof(*record));
	struct capture *capture = NULL;
	uint64_t before, after;
	uint32_t js_state;

	for (int i = 0; record && !capture && i < TRIES; i++) {
		/* One call of pread may copy in any order: the sequence and what must be
		 * read before the rest have a call of their own. */
		if (!read_at(place, index, record, HEAD_BYTES) || !fits(record, key))
			break;
		before = record->sequence;
		js_state = record->js_state;
		atomic_thread_fence(memory_order_acquire);
		if (!read_at(place, index, record, sizeof(*record)))
			break;
		atomic_thread_fence(memory_order_acquire);
		if (!read_at(place, index, &after, sizeof(after)) || after != before)
			continue;
		/* The part about JavaScript is all there if that was said beforehand. */
		record->js_state = js_state;
		capture = capture_reader_parse(record);
	}
	free(record);
	return capture;
}
