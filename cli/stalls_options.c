/* SPDX-License-Identifier: MIT */
/* The command line of looplag stalls, and the help text that tells of it. */

#include "config.h"

#include "cli/stalls_options.h"

#include <getopt.h>
#include <stdio.h>

#include "cli/fetch.h"
#include "cli/moment.h"
#include "cli/usage.h"

static const struct option long_options[] = {
	{"follow", no_argument, NULL, 'f'},
	{"group", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"since", required_argument, NULL, 's'},
	{"url", required_argument, NULL, 'u'},
	{0},
};

static const char help[] =
	"Example: looplag stalls --follow --group web.service\n"
	"\n"
	"Usage: looplag stalls [OPTION...]\n"
	"\n"
	"Shows when event loops were stuck, for how long, why, and in which line: the\n"
	"last thousand times that looplagd knows of, oldest first.\n"
	"\n"
	"  --follow        wait for more; ends at Ctrl-C\n"
	"  --since TIME    only what lasted later: 10m (ago), 10:30 (today),\n"
	"                  2026-01-31T10:30 (local), 2026-01-31T10:30:00Z\n"
	"  --group NAME    only that group\n"
	"  --json          one object a line\n"
	"  --url URL       where looplagd serves (" FETCH_URL ")\n"
	"  --help          show this text\n"
	"\n"
	"See looplag(1).\n";

static int
take_option(int option, char *word, int64_t now_unix_ns, struct stalls_options *options)
{
	switch (option) {
	case 'f':
		options->follow = true;
		return 0;
	case 'g':
		options->group = optarg;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 's':
		options->since_given = true;
		if (!moment_parse(optarg, now_unix_ns, &options->since_unix_ns))
			return 0;
		return usage_error("stalls",
			"--since takes a time like 10m, 10:30, "
			"2026-01-31T10:30 or 2026-01-31T10:30:00Z, not '%s'",
			optarg);
	case 'u':
		return usage_take_url("stalls", optarg, &options->url);
	default:
		return usage_bad_option("stalls", option, "fghjsu", word);
	}
}

int
stalls_options_parse(int argc, char *argv[], int64_t now_unix_ns,
	struct stalls_options *ret_options, int *ret_status)
{
	int option;

	*ret_options = (struct stalls_options){.url = FETCH_URL};
	*ret_status = STALLS_USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(help, stdout);
			*ret_status = fflush(stdout) ? STALLS_FAILED : 0;
			return -1;
		}
		if (take_option(option, argv[optind - 1], now_unix_ns, ret_options))
			return -1;
	}
	if (argv[optind])
		return usage_error("stalls", "unexpected argument '%s'", argv[optind]);
	return 0;
}
