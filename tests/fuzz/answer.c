/* SPDX-License-Identifier: MIT */
/* Any JSON as the answer of a daemon to `looplag stalls`: what is shown of it is text for
 * a terminal, without control characters but the line feed. */

#include "config.h"

#include <string.h>

#include <jansson.h>

#include "cli/follower.h"
#include "cli/stall_json.h"
#include "cli/stall_text.h"
#include "cli/style.h"
#include "daemon/api_stalls.h"
#include "tests/fuzz/fuzz.h"

static void
show(const struct stall *stall)
{
	static const struct style style = {.utf8 = true};
	size_t size = 0;
	char *text = NULL, *json = api_stall(stall);
	FILE *out = open_memstream(&text, &size);

	fuzz_check(json && out);
	stall_text_print(stall, &style, out);
	fclose(out);
	fuzz_check(size && strlen(text) == size && text[size - 1] == '\n');
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		fuzz_check_clean(line);
	free(text);
	free(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer = json_loadb((const char *)data, size, 0, NULL);
	const json_t *array = stall_json_array(answer), *object;
	struct follower *follower = follower_new();
	size_t i;

	fuzz_check(follower);
	follower_begin(follower);
	json_array_foreach(array, i, object)
	{
		struct stall stall;

		if (stall_json_read(object, &stall))
			continue;
		fuzz_check(stall.id && stall.groupname && stall.loop);
		if (follower_take(follower, &stall))
			show(&stall);
		stall_sample_fini(&stall.sample);
	}
	(void)follower_end(follower);
	follower_free(follower);
	json_decref(answer);
	return 0;
}
