/* SPDX-License-Identifier: MIT */
/* Stalls as JSON; see api_stalls.h. */

#include "config.h"

#include "daemon/api_stalls.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/api_time.h"
#include "daemon/query.h"
#include "daemon/stalls.h"

#define STALLS_AT_ONCE 4

/* What is asked for. */
struct filter {
	uint64_t after_id;
	int64_t since_unix_ns; /* INT64_MIN: whenever */
	const char *groupname; /* NULL: any */
};

struct api_stalls {
	const struct stalls *stalls; /* borrowed */
	struct query query;
	struct filter filter;
	uint64_t last_id; /* that was looked at */
	bool begun, some; /* written */
};

static json_t *
seconds(double value)
{
	return json_real(round(value * 1e9) / 1e9);
}

/* Add a string that may be unknown. */
static void
set_string(json_t *object, const char *key, const char *value)
{
	/* jansson refuses what is no UTF-8; then it is absent. */
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *
frame_object(const struct stall_frame *frame)
{
	json_t *object = json_object();
	char offset[24];

	set_string(object, "lang", stall_language_name(frame->language));
	set_string(object, "function", frame->function);
	set_string(object, "file", frame->file);
	if (frame->line)
		json_object_set_new(object, "line", json_integer(frame->line));
	set_string(object, "module", frame->module);
	if (frame->language == STALL_NATIVE) {
		snprintf(offset, sizeof(offset), "0x%" PRIx64, frame->offset);
		set_string(object, "offset", offset);
	}
	return object;
}

static json_t *
shares_object(const struct stall *stall)
{
	json_t *object = json_object();

	for (int i = 0; i < STALL_CAUSES; i++)
		if (stall->shares[i] > 0)
			json_object_set_new(object, stall_cause_name((enum stall_cause)i),
				json_real(round(stall->shares[i] * 1e3) / 1e3));
	return object;
}

json_t *
api_stall_object(const struct stall *stall)
{
	json_t *object = json_object(), *stack = json_array();
	const struct stall_sample *sample = &stall->sample;
	char stack_id[24];

	json_object_set_new(object, "id", json_integer((json_int_t)stall->id));
	json_object_set_new(object, "groupname", json_string(stall->groupname));
	json_object_set_new(object, "loop", json_string(stall->loop));
	if (stall->pid > 0)
		json_object_set_new(object, "pid", json_integer(stall->pid));
	if (stall->tid > 0)
		json_object_set_new(object, "tid", json_integer(stall->tid));
	json_object_set_new(object, "started", api_time_json(stall->started_unix_ns));
	json_object_set_new(object, "seconds", seconds((double)stall->length_ns / 1e9));
	json_object_set_new(object, "open", json_boolean(stall->open));
	json_object_set_new(object, "cause", json_string(stall_cause_name(stall->cause)));
	json_object_set_new(object, "shares", shares_object(stall));
	set_string(object, "system_call", stall->system_call);
	for (size_t i = 0; i < sample->count; i++)
		json_array_append_new(stack, frame_object(&sample->frames[i]));
	json_object_set_new(object, "stack", stack);
	if (stall->stack_id) {
		snprintf(stack_id, sizeof(stack_id), "%016" PRIx64, stall->stack_id);
		set_string(object, "stack_id", stack_id);
	}
	json_object_set_new(object, "samples", json_integer(stall->samples));
	if (sample->late)
		json_object_set_new(object, "late", json_true());
	set_string(object, "missing", sample->missing);
	return object;
}

/* Write it out; takes the reference. */
static char *
print(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));

	json_decref(object);
	return text;
}

char *
api_stall(const struct stall *stall)
{
	return print(api_stall_object(stall));
}

/* An id is digits and nothing else. */
static bool
id_in(const char *text, uint64_t *ret_id)
{
	unsigned long long id;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	id = strtoull(text, &end, 10);
	if (*end || errno)
		return false;
	*ret_id = id;
	return true;
}

/* Make a filter of a query. Returns 0, or -EINVAL with the reason, which the caller frees
 * and which is NULL without memory. */
static int
read_filter(const struct query *query, struct filter *ret_filter, char **ret_reason)
{
	*ret_filter = (struct filter){.since_unix_ns = INT64_MIN};
	for (size_t i = 0; i < query->count; i++) {
		const char *name = query->parameters[i].name;
		const char *value = query->parameters[i].value;
		int n = 0;

		if (!strcmp(name, "group"))
			ret_filter->groupname = value;
		else if (strcmp(name, "since"))
			n = asprintf(ret_reason,
				"There is no parameter \"%s\"; there are since and "
				"group.\n",
				name);
		else if (!id_in(value, &ret_filter->after_id) &&
			 api_time_parse(value, &ret_filter->since_unix_ns) < 0)
			n = asprintf(ret_reason,
				"since=%s: expected the id of a stall, or a time like "
				"2026-01-01T10:00:00Z.\n",
				value);
		if (n < 0)
			*ret_reason = NULL;
		if (n)
			return -EINVAL;
	}
	return 0;
}

static bool
is_wanted(const struct stall *stall, const struct filter *filter)
{
	int64_t end_unix_ns = stall->started_unix_ns + (int64_t)stall->length_ns;

	return (stall->open || end_unix_ns >= filter->since_unix_ns) &&
	       (!filter->groupname || !strcmp(stall->groupname, filter->groupname));
}

struct api_stalls *
api_stalls_new(const struct stalls *stalls, const char *query_text, char **ret_reason)
{
	struct api_stalls *answer = calloc(1, sizeof(*answer));

	*ret_reason = NULL;
	if (!answer)
		return NULL;
	answer->stalls = stalls;
	if (query_parse(query_text, &answer->query) < 0) {
		*ret_reason = strdup("The query cannot be read.\n");
	} else if (read_filter(&answer->query, &answer->filter, ret_reason) == 0) {
		answer->last_id = answer->filter.after_id;
		return answer;
	}
	api_stalls_free(answer);
	return NULL;
}

void
api_stalls_free(struct api_stalls *answer)
{
	if (!answer)
		return;
	query_fini(&answer->query);
	free(answer);
}

int
api_stalls_write(struct api_stalls *answer, FILE *out)
{
	const struct stall *stall = NULL;

	if (!answer->begun)
		fputs("{\"stalls\":[", out);
	answer->begun = true;
	for (unsigned i = 0; i < STALLS_AT_ONCE; i++) {
		char *text;

		stall = stalls_after(answer->stalls, answer->last_id);
		if (!stall)
			break;
		answer->last_id = stall->id;
		if (!is_wanted(stall, &answer->filter))
			continue;
		text = api_stall(stall);
		if (!text)
			return -ENOMEM;
		fprintf(out, answer->some ? ",%s" : "%s", text);
		free(text);
		answer->some = true;
	}
	if (!stall)
		fputs("]}\n", out);
	return stall != NULL;
}
