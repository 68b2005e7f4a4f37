/* SPDX-License-Identifier: MIT */
/* looplag hist: asks looplagd once for all that it has counted, or at the ends of intervals for
 * what has come in between. */

#include "config.h"

#include "cli/hist.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/fetch.h"
#include "cli/format.h"
#include "cli/hist_options.h"
#include "cli/hist_text.h"
#include "cli/histograms.h"
#include "cli/output.h"
#include "cli/style.h"

#define PAGE "/api/v1/histograms"
#define NAME_COLUMNS 64

struct asking {
	struct hist_options options;
	struct style style;
	struct fetch *fetch;
	char *path;
	sigset_t signals; /* that end us */
};

/* What looplagd has counted at some moment. */
struct reading {
	json_t *answer;
	struct histograms histograms;
};

static void
reading_fini(struct reading *reading)
{
	histograms_fini(&reading->histograms);
	json_decref(reading->answer);
	*reading = (struct reading){0};
}

/* Returns 0 or -errno, when all is said or, for -EINTR, nothing is to be. */
static int
read_now(const struct asking *asking, struct reading *ret_reading)
{
	struct reading reading = {0};
	int r = ask_json(asking->fetch, asking->options.url, asking->path, "histograms",
		&reading.answer);

	if (r)
		return r;
	r = histograms_read(reading.answer, &reading.histograms);
	if (r == 0) {
		*ret_reading = reading;
		return 0;
	}
	json_decref(reading.answer);
	if (r == -ENOMEM)
		(void)output_status(r);
	else
		ask_complain(asking->options.url, "histograms", r,
			"it answers something else");
	return r;
}

/* Show one reading, or what has come in an interval. Returns an error of writing. */
static int
show(const struct asking *asking, const struct histograms *histograms)
{
	char name[4 * NAME_COLUMNS + 1];
	int r = 0;

	if (asking->options.json) {
		json_t *object = histograms_json(histograms);
		char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));

		r = text ? output_line(text) : -ENOMEM;
		free(text);
		json_decref(object);
		return r;
	}
	if (asking->options.interval_ns) {
		time_t now = time(NULL);
		char moment[16];

		strftime(moment, sizeof moment, "%H:%M:%S", localtime(&now));
		printf("%s\n", moment);
	}
	for (size_t i = 0; i < histograms->count && !r; i++) {
		const struct histograms_loop *loop = &histograms->loops[i];

		if (!(histograms_life(histograms, loop) > 0))
			continue;
		printf("%sloop = %s%s\n", style_bold(&asking->style),
			format_name(loop->loop, NAME_COLUMNS, asking->style.utf8, name),
			style_end(&asking->style));
		hist_text_print(histograms, loop, &asking->style, stdout);
		putchar('\n');
		r = output_flush();
	}
	return r ? r : output_flush();
}

/* Wait until then. Returns whether a signal wants us to end. */
static bool
wait_until(const sigset_t *signals, uint64_t end_ns)
{
	struct timespec now, rest;
	uint64_t now_ns;

	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
		if (now_ns >= end_ns)
			return false;
		rest.tv_sec = (time_t)((end_ns - now_ns) / 1000000000u);
		rest.tv_nsec = (long)((end_ns - now_ns) % 1000000000u);
	} while (sigtimedwait(signals, NULL, &rest) < 0);
	return true;
}

/* Show interval after interval. Returns an exit status. */
static int
watch(const struct asking *asking, struct reading *before)
{
	struct reading now = {0};
	struct timespec start;
	uint64_t next_ns;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	next_ns = (uint64_t)start.tv_sec * 1000000000u + (uint64_t)start.tv_nsec;
	for (uint64_t i = 0; !r && (!asking->options.count || i < asking->options.count);
		i++) {
		struct histograms change;

		next_ns += asking->options.interval_ns;
		if (wait_until(&asking->signals, next_ns))
			break;
		r = read_now(asking, &now);
		if (r)
			return r == -EINTR ? EXIT_SUCCESS : EXIT_FAILURE;
		r = histograms_read(now.answer, &change);
		if (r == 0) {
			histograms_subtract(&change, &before->histograms);
			r = show(asking, &change);
			histograms_fini(&change);
		}
		reading_fini(before);
		*before = now;
	}
	return output_status(r);
}

/* Ask and show. Returns an exit status. */
static int
run(const struct asking *asking)
{
	char name[4 * NAME_COLUMNS + 1];
	struct reading reading = {0};
	int r = read_now(asking, &reading), status;

	if (r)
		return r == -EINTR ? EXIT_SUCCESS : EXIT_FAILURE;
	if (!reading.histograms.count) {
		fprintf(stderr,
			"looplag: no loops of '%s'; 'looplag ps' shows all groups\n",
			format_name(asking->options.group, NAME_COLUMNS,
				asking->style.utf8, name));
		status = EXIT_FAILURE;
	} else if (asking->options.interval_ns) {
		status = watch(asking, &reading);
	} else {
		status = output_status(show(asking, &reading.histograms));
	}
	reading_fini(&reading);
	return status;
}

int
hist_main(int argc, char *argv[])
{
	struct asking asking = {0};
	int status;

	output_begin();
	if (hist_options_parse(argc, argv, &asking.options, &status))
		return status;
	if (!ask_is_possible("hist", PAGE))
		return EXIT_FAILURE;
	sigemptyset(&asking.signals);
	sigaddset(&asking.signals, SIGINT);
	sigaddset(&asking.signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &asking.signals, NULL);
	asking.style = style_of(stdout);
	asking.fetch = fetch_new(asking.options.url);
	asking.path = ask_path(PAGE, "group", asking.options.group);
	status = asking.fetch && asking.path ? run(&asking) : output_status(-ENOMEM);
	free(asking.path);
	fetch_free(asking.fetch);
	return status;
}
