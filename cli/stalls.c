/* SPDX-License-Identifier: MIT */
/* looplag stalls: asks looplagd once, or again and again, and shows what is new. */

#include "config.h"

#include "cli/stalls.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/fetch.h"
#include "cli/follower.h"
#include "cli/output.h"
#include "cli/stall_json.h"
#include "cli/stall_text.h"
#include "cli/stalls_options.h"
#include "cli/style.h"

#define PERIOD_NS 250000000l

struct asking {
	struct stalls_options options;
	struct style style;
	struct fetch *fetch;
	struct follower *follower; /* NULL: one answer is all */
	size_t shown;
	bool met;        /* a daemon has answered */
	bool lost;       /* it does so no longer, and that was told */
	int write_error; /* why we cannot say any more */
};

static int64_t
now_unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static bool
is_asked_for(const struct asking *asking, const struct stall *stall)
{
	const struct stalls_options *options = &asking->options;

	if (options->group && strcmp(options->group, stall->groupname) != 0)
		return false;
	return !options->since_given || stall->open ||
	       stall->started_unix_ns + (int64_t)stall->length_ns >=
		       options->since_unix_ns;
}

/* Show one, if it is asked for and news. */
static void
show(struct asking *asking, const json_t *object)
{
	struct stall stall;
	char *line;

	/* What a later daemon may call a stall is no reason to hide the others. */
	if (stall_json_read(object, &stall))
		return;
	if ((!asking->follower || follower_take(asking->follower, &stall)) &&
		is_asked_for(asking, &stall)) {
		asking->shown++;
		if (asking->options.json) {
			line = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
			printf("%s\n", line ? line : "");
			free(line);
		} else {
			stall_text_print(&stall, &asking->style, stdout);
		}
		if (fflush(stdout))
			asking->write_error = errno;
	}
	stall_sample_fini(&stall.sample);
}

/* Go through an answer. Returns 0, -EAGAIN to ask again, or -EPROTO. */
static int
read_answer(struct asking *asking, const char *body)
{
	json_t *answer = json_loads(body, 0, NULL);
	const json_t *array = stall_json_array(answer);
	bool complete = true;

	if (!array) {
		json_decref(answer);
		return -EPROTO;
	}
	if (asking->follower)
		follower_begin(asking->follower);
	for (size_t i = 0; i < json_array_size(array) && !asking->write_error; i++)
		show(asking, json_array_get(array, i));
	if (asking->follower)
		complete = follower_end(asking->follower);
	json_decref(answer);
	return complete ? 0 : -EAGAIN;
}

/* Ask once. Returns 0, or -errno when all is said. */
static int
ask(struct asking *asking)
{
	const char *url = asking->options.url;
	char path[64], error[FETCH_ERROR_BYTES], *body;
	int r;

	do {
		snprintf(path, sizeof path, "/api/v1/stalls?since=%" PRIu64,
			asking->follower ? follower_since(asking->follower) : 0);
		r = fetch_get(asking->fetch, path, &body, error);
		if (r)
			break;
		strcpy(error, "it answers something else");
		r = read_answer(asking, body);
		free(body);
	} while (r == -EAGAIN);
	if (r == -ENOTCONN && asking->lost)
		return r;
	if (r == -ENOTCONN && asking->met)
		fprintf(stderr, "looplag: lost looplagd at %s (%s); waiting for it\n",
			url, error);
	else
		ask_complain(url, "stalls", r, error);
	asking->met |= !r;
	asking->lost = r == -ENOTCONN;
	return r;
}

/* Sleep until it is time to ask again. Returns whether a signal wants us to end. */
static bool
sleep_or_end(const sigset_t *signals)
{
	struct timespec period = {.tv_nsec = PERIOD_NS};

	return sigtimedwait(signals, NULL, &period) > 0;
}

/* Ask until a signal comes or nobody reads. A daemon that goes away comes back. */
static int
follow(struct asking *asking)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = ask(asking);
	if (r && r != -EINTR)
		return r;
	while (!asking->write_error && !sleep_or_end(&signals)) {
		r = ask(asking);
		if (r == -EPROTO)
			return r;
	}
	return 0;
}

/* What it has come to, as an exit status. */
static int
status_of(const struct asking *asking, int r)
{
	if (asking->write_error)
		return output_status(-asking->write_error);
	return r && r != -EINTR ? STALLS_FAILED : EXIT_SUCCESS;
}

int
stalls_main(int argc, char *argv[])
{
	struct asking asking = {0};
	int r, status;

	if (stalls_options_parse(argc, argv, now_unix_ns(), &asking.options, &status))
		return status;
	if (!ask_is_possible("stalls", "/api/v1/stalls"))
		return STALLS_FAILED;
	output_begin();
	asking.style = style_of(stdout);
	asking.fetch = fetch_new(asking.options.url);
	asking.follower = asking.options.follow ? follower_new() : NULL;
	if (asking.options.follow && !asking.options.since_given) {
		asking.options.since_given = true;
		asking.options.since_unix_ns = now_unix_ns();
	}
	if (!asking.fetch || (asking.options.follow && !asking.follower)) {
		fputs("looplag: out of memory\n", stderr);
		r = -ENOMEM;
	} else {
		r = asking.options.follow ? follow(&asking) : ask(&asking);
	}
	if (!r && !asking.options.follow && !asking.shown && !asking.options.json)
		fputs("looplag: no stalls\n", stderr);
	status = status_of(&asking, r);
	follower_free(asking.follower);
	fetch_free(asking.fetch);
	return status;
}
