/* SPDX-License-Identifier: MIT */
/* Any text as the query of a URL, as a time and as a duration: answers are whole, and what
 * is written is read back. */

#include "config.h"

#include <string.h>

#include <jansson.h>

#include "cli/moment.h"
#include "daemon/api_stalls.h"
#include "daemon/api_time.h"
#include "daemon/duration.h"
#include "daemon/query.h"
#include "daemon/stalls.h"
#include "tests/fuzz/fuzz.h"

#define START_NS 1767225600000000000ll /* 2026 */
#define END_NS 7258118400000000000ll   /* 2200: what is later is no time here */
#define MS 1000000

static struct stalls *stalls;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct stalls_cause cause = {.cause = STALL_CPU};
	static const char *const groups[] = {"web", "data & more", "\xc3\xa4"};

	(void)argc, (void)argv;
	stalls = stalls_new();
	fuzz_check(stalls);
	for (int i = 0; i < 3; i++) {
		struct stall stall = {
			.groupname = groups[i],
			.loop = "main",
			.pid = 4711,
			.started_unix_ns = START_NS + i * 1000000000ll,
		};
		uint64_t id = stalls_open(stalls, &stall, MS);

		if (i < 2)
			stalls_end(stalls, id, 200 * MS, &cause);
	}
	return 0;
}

static void
check_query(const char *text)
{
	struct query query;

	if (query_parse(text, &query) < 0)
		return;
	fuzz_check(query.count <= QUERY_PARAMETERS_MAX);
	for (size_t i = 0; i < query.count; i++)
		fuzz_check(strlen(query.parameters[i].name) +
				   strlen(query.parameters[i].value) <=
			   strlen(text));
	query_fini(&query);
}

static void
check_answer(struct api_stalls *answer)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	unsigned parts = 0;
	json_t *root;
	int r;

	fuzz_check(out);
	while ((r = api_stalls_write(answer, out)) == 1)
		fuzz_check(++parts < 10);
	fuzz_check(r == 0);
	fclose(out);
	fuzz_check(size && text[size - 1] == '\n');
	root = json_loads(text, 0, NULL);
	fuzz_check(json_is_array(json_object_get(root, "stalls")));
	fuzz_check(json_array_size(json_object_get(root, "stalls")) <= 3);
	json_decref(root);
	free(text);
}

static void
check_stalls(const char *text)
{
	char *reason = NULL;
	struct api_stalls *answer = api_stalls_new(stalls, text, &reason);

	if (answer)
		check_answer(answer);
	else
		fuzz_check(reason && *reason && reason[strlen(reason) - 1] == '\n');
	api_stalls_free(answer);
	if (!answer)
		free(reason);
}

/* A time that was read is written so that it is read as the same, to a millisecond. */
static void
check_time(const char *text)
{
	int64_t ns, again_ns, moment_ns;
	json_t *json;

	if (api_time_parse(text, &ns) < 0 || ns < 0 || ns >= END_NS)
		return;
	json = api_time_json(ns);
	fuzz_check(json && api_time_parse(json_string_value(json), &again_ns) == 0);
	fuzz_check(ns - again_ns < MS && ns - again_ns > -MS);
	/* looplag reads what looplagd has written. */
	fuzz_check(moment_parse(json_string_value(json), 0, &moment_ns) == 0 &&
		   moment_ns == again_ns);
	json_decref(json);
}

static void
check_spans(const char *text)
{
	char words[DURATION_BYTES], moment[MOMENT_BYTES];
	uint64_t ns, again_ns;
	int64_t unix_ns;

	if (duration_parse(text, &ns) == 0 && ns < UINT64_MAX - MS) {
		duration_format(ns, words);
		fuzz_check(duration_parse(words, &again_ns) == 0 && again_ns == ns);
	}
	if (moment_parse(text, START_NS, &unix_ns) == 0)
		fuzz_check(*moment_format(unix_ns, moment));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char *text = fuzz_text(&input);

	check_query(text);
	check_stalls(text);
	check_time(text);
	check_spans(text);
	free(text);
	return 0;
}
