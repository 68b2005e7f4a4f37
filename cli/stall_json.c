/* SPDX-License-Identifier: MIT */
/* From JSON to a struct stall. The answer is that of a program at a URL: nothing in it is
 * taken for granted. */

#include "config.h"

#include "cli/stall_json.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/moment.h"

#define FRAMES_MAX 1000
#define LONGEST_SECONDS 1e9

const json_t *
stall_json_array(const json_t *answer)
{
	const json_t *array = json_object_get(answer, "stalls");

	return json_is_array(array) ? array : NULL;
}

static const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* A whole number of at least 0; 0 if it is none. */
static uint64_t
number_of(const json_t *object, const char *name)
{
	json_int_t number = json_integer_value(json_object_get(object, name));

	return number < 0 ? 0 : (uint64_t)number;
}

static enum stall_cause
cause_of(const char *name)
{
	for (enum stall_cause cause = STALL_UNKNOWN; cause < STALL_CAUSES; cause++)
		if (name && !strcmp(name, stall_cause_name(cause)))
			return cause;
	return STALL_UNKNOWN;
}

/* A copy, or NULL of NULL. Returns false without memory. */
static bool
copy(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return *ret_copy || !text;
}

static int
read_frame(const json_t *object, struct stall_frame *ret_frame)
{
	const char *language = text_of(object, "lang");
	const char *offset = text_of(object, "offset");

	ret_frame->language = STALL_NATIVE;
	for (enum stall_language l = STALL_NATIVE; l <= STALL_JS; l++)
		if (language && !strcmp(language, stall_language_name(l)))
			ret_frame->language = l;
	ret_frame->line = (unsigned)number_of(object, "line");
	ret_frame->offset = offset ? strtoull(offset, NULL, 16) : 0;
	return copy(text_of(object, "function"), &ret_frame->function) &&
			       copy(text_of(object, "file"), &ret_frame->file) &&
			       copy(text_of(object, "module"), &ret_frame->module)
		       ? 0
		       : -ENOMEM;
}

static int
read_stack(const json_t *stack, struct stall_sample *ret_sample)
{
	size_t count = json_array_size(stack);

	if (count > FRAMES_MAX)
		return -EINVAL;
	ret_sample->frames = calloc(count + 1, sizeof *ret_sample->frames);
	if (!ret_sample->frames)
		return -ENOMEM;
	for (; ret_sample->count < count; ret_sample->count++) {
		size_t index = ret_sample->count;
		int r = read_frame(
			json_array_get(stack, index), &ret_sample->frames[index]);

		if (r) {
			ret_sample->count++;
			return r;
		}
	}
	return 0;
}

int
stall_json_read(const json_t *object, struct stall *ret_stall)
{
	double seconds = json_number_value(json_object_get(object, "seconds"));
	const char *started = text_of(object, "started");
	const char *stack_id = text_of(object, "stack_id");
	struct stall stall = {
		.id = number_of(object, "id"),
		.groupname = text_of(object, "groupname"),
		.loop = text_of(object, "loop"),
		.pid = (pid_t)number_of(object, "pid"),
		.tid = (pid_t)number_of(object, "tid"),
		.open = json_is_true(json_object_get(object, "open")),
		.cause = cause_of(text_of(object, "cause")),
		.system_call = text_of(object, "system_call"),
		.samples = (unsigned)number_of(object, "samples"),
		.sample.late = json_is_true(json_object_get(object, "late")),
		.sample.missing = text_of(object, "missing"),
		.stack_id = stack_id ? strtoull(stack_id, NULL, 16) : 0,
	};
	int r;

	if (!stall.id || !stall.groupname || !stall.loop || !started ||
		moment_parse(started, 0, &stall.started_unix_ns) || !(seconds >= 0) ||
		seconds > LONGEST_SECONDS)
		return -EINVAL;
	stall.length_ns = (uint64_t)llround(seconds * 1e9);
	r = read_stack(json_object_get(object, "stack"), &stall.sample);
	if (r) {
		stall_sample_fini(&stall.sample);
		return r;
	}
	*ret_stall = stall;
	return 0;
}
