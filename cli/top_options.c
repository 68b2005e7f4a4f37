/* SPDX-License-Identifier: MIT */
/* The command line of looplag top, and the help text that tells of it. */

#include "config.h"

#include "cli/top_options.h"

#include <getopt.h>
#include <stdio.h>

#include "cli/fetch.h"
#include "cli/output.h"
#include "cli/usage.h"

enum { USAGE = 2 };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"url", required_argument, NULL, 'u'},
	{0},
};

static const char help[] =
	"Example: looplag top --url http://web1:9923\n"
	"\n"
	"Usage: looplag top [OPTION...]\n"
	"\n"
	"Shows the loops that looplagd knows of, and goes on each second: those that "
	"are\n"
	"stuck on top, then the worst p99 first; at the right the longest delay in each\n"
	"part of the last minute. The key ? tells which keys there are, q ends it.\n"
	"\n"
	"  --url URL       where looplagd serves (" FETCH_URL ")\n"
	"  --help          show this text\n"
	"\n"
	"See looplag(1).\n";

int
top_options_parse(int argc, char *argv[], const char **ret_url, int *ret_status)
{
	int option;

	*ret_url = FETCH_URL;
	*ret_status = USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(help, stdout);
			*ret_status = output_status(output_flush());
			return -1;
		}
		if (option != 'u')
			return usage_bad_option("top", option, "hu", argv[optind - 1]);
		if (usage_take_url("top", optarg, ret_url))
			return -1;
	}
	if (argv[optind])
		return usage_error("top", "unexpected argument '%s'", argv[optind]);
	return 0;
}
