/* SPDX-License-Identifier: MIT */
/* looplag ps: asks looplagd once for all groups, and shows their loops. */

#include "config.h"

#include "cli/ps.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/fetch.h"
#include "cli/loops.h"
#include "cli/output.h"
#include "cli/ps_table.h"
#include "cli/style.h"
#include "cli/usage.h"
#include "daemon/pattern.h"

#define PAGE "/api/v1/groups"

enum { USAGE = 2 };

static const struct option long_options[] = {
	{"group", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"url", required_argument, NULL, 'u'},
	{0},
};

static const char help[] = "Example: looplag ps --group 'web.*'\n"
			   "\n"
			   "Usage: looplag ps [OPTION...]\n"
			   "\n"
			   "Shows the loops that looplagd knows of, the latest one "
			   "first: the delay over the\n"
			   "last minute in milliseconds, the share of it in which the "
			   "loop worked, how often\n"
			   "it was stuck in all, and for how long it is stuck now.\n"
			   "\n"
			   "  --group REGEX   only groups whose whole name matches\n"
			   "  --json          what looplagd says, as it says it\n"
			   "  --url URL       where looplagd serves (" FETCH_URL ")\n"
			   "  --help          show this text\n"
			   "\n"
			   "See looplag(1).\n";

struct asking {
	const char *url;
	struct pattern *group; /* NULL: all */
	bool json;
};

static int
take_group(const char *text, struct asking *asking)
{
	struct pattern *pattern;
	char words[256];
	const char *wrong = pattern_new(text, words, &pattern);

	if (wrong)
		return usage_error("ps", "--group '%s': %s", text, wrong);
	pattern_free(asking->group);
	asking->group = pattern;
	return 0;
}

static int
take_option(int option, char *word, struct asking *asking)
{
	switch (option) {
	case 'g':
		return take_group(optarg, asking);
	case 'j':
		asking->json = true;
		return 0;
	case 'u':
		return usage_take_url("ps", optarg, &asking->url);
	default:
		return usage_bad_option("ps", option, "ghju", word);
	}
}

/* Returns 0, or -1 when all is said. */
static int
parse(int argc, char *argv[], struct asking *asking, int *ret_status)
{
	int option;

	*ret_status = USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(help, stdout);
			*ret_status = output_status(output_flush());
			return -1;
		}
		if (take_option(option, argv[optind - 1], asking))
			return -1;
	}
	if (argv[optind])
		return usage_error("ps", "unexpected argument '%s'", argv[optind]);
	return 0;
}

/* Remove the groups that were not asked for. */
static void
choose(json_t *answer, const struct pattern *group)
{
	json_t *groups = json_object_get(answer, "groups");

	for (size_t i = json_array_size(groups); group && i-- > 0;) {
		const char *name = json_string_value(
			json_object_get(json_array_get(groups, i), "groupname"));

		if (!name || !pattern_match(group, name, NULL))
			json_array_remove(groups, i);
	}
}

static int
show_json(const json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15));
	int r = text ? output_line(text) : -ENOMEM;

	free(text);
	return r;
}

static int
show_table(const json_t *answer, const struct asking *asking)
{
	struct style style = style_of(stdout);
	struct loops loops;
	int r = loops_read(answer, &loops);

	if (r)
		return r;
	loops_sort(&loops, LOOPS_P99, false);
	if (loops.count)
		r = ps_table_print(&loops, &style);
	else
		fprintf(stderr, "looplag: no %sloops\n", asking->group ? "such " : "");
	loops_fini(&loops);
	return r;
}

/* Ask and show. Returns an exit status. */
static int
run(const struct asking *asking)
{
	struct fetch *fetch = fetch_new(asking->url);
	json_t *answer = NULL;
	int r;

	if (!fetch)
		return output_status(-ENOMEM);
	r = ask_json(fetch, asking->url, PAGE, "groups", &answer);
	fetch_free(fetch);
	if (r)
		return EXIT_FAILURE;
	choose(answer, asking->group);
	r = asking->json ? show_json(answer) : show_table(answer, asking);
	json_decref(answer);
	return output_status(r);
}

int
ps_main(int argc, char *argv[])
{
	struct asking asking = {.url = FETCH_URL};
	int status;

	output_begin();
	if (!parse(argc, argv, &asking, &status))
		status = ask_is_possible("ps", PAGE) ? run(&asking) : EXIT_FAILURE;
	pattern_free(asking.group);
	return status;
}
