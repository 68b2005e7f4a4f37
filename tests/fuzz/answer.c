/* SPDX-License-Identifier: MIT */
/* Any JSON as the answer of a daemon to `looplag stalls`, `ps` and `hist`: what is shown of it
 * is text for a terminal, without control characters but the line feed. */

#include "config.h"

#include <string.h>

#include <jansson.h>

#include "cli/follower.h"
#include "cli/hist_text.h"
#include "cli/histograms.h"
#include "cli/loops.h"
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

static void
check_loops(const json_t *answer)
{
	char text[LOOPS_CELL_BYTES];
	struct loops loops;

	fuzz_check(loops_read(answer, &loops) == 0);
	for (int column = 0; column < LOOPS_COLUMNS; column++) {
		loops_sort(&loops, (enum loops_column)column, column % 2);
		for (size_t i = 0; i < loops.count; i++)
			fuzz_check_clean(loops_cell(
				&loops.rows[i], (enum loops_column)column, true, text));
	}
	loops_fini(&loops);
}

static void
check_histogram(const struct histograms *histograms, const struct histograms_loop *loop)
{
	static const struct style style = {.columns = 80, .utf8 = true};
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	fuzz_check(out);
	fuzz_check(histograms_life(histograms, loop) >= 0);
	hist_text_print(histograms, loop, &style, out);
	fclose(out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		fuzz_check_clean(line);
	free(text);
}

static void
check_histograms(const json_t *answer)
{
	struct histograms histograms, before;
	json_t *again;

	if (histograms_read(answer, &histograms))
		return;
	for (size_t i = 0; i < histograms.count; i++)
		check_histogram(&histograms, &histograms.loops[i]);
	again = histograms_json(&histograms);
	fuzz_check(histograms_read(again, &before) == 0);
	histograms_subtract(&histograms, &before);
	histograms_fold(&histograms, 0.001);
	for (size_t i = 0; i < histograms.count; i++)
		check_histogram(&histograms, &histograms.loops[i]);
	histograms_fini(&before);
	histograms_fini(&histograms);
	json_decref(again);
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
	check_loops(answer);
	check_histograms(answer);
	json_decref(answer);
	return 0;
}
