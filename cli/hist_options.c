/* SPDX-License-Identifier: MIT */
/* The command line of looplag hist, and the help text that tells of it. */

#include "config.h"

#include "cli/hist_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/fetch.h"
#include "cli/output.h"
#include "cli/usage.h"

#define INTERVAL_MIN_SECONDS 0.1
#define INTERVAL_MAX_SECONDS 86400.0
#define COUNT_MAX 1000000000ull

enum { USAGE = 2 };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"url", required_argument, NULL, 'u'},
	{0},
};

static const char help[] =
	"Example: looplag hist web.service 5 3\n"
	"\n"
	"Usage: looplag hist [OPTION...] GROUP [INTERVAL [COUNT]]\n"
	"\n"
	"Shows how the delay of the group's loops is spread: the time in which an event\n"
	"that arrives would wait so long, for delays that double from row to row. Of "
	"all\n"
	"time since looplagd counts; or of the next COUNT intervals of so many seconds,\n"
	"without COUNT until Ctrl-C.\n"
	"\n"
	"  --json          one object a reading, as /api/v1/histograms has them\n"
	"  --url URL       where looplagd serves (" FETCH_URL ")\n"
	"  --help          show this text\n"
	"\n"
	"See looplag(1).\n";

/* Digits, and perhaps others behind a point: no sign, no blank, no exponent. */
static int
take_interval(const char *word, uint64_t *ret_ns)
{
	double seconds;
	char *end;

	seconds = isdigit((unsigned char)*word) ? strtod(word, &end) : 0;
	for (const char *c = word; *c; c++)
		if (!isdigit((unsigned char)*c) && *c != '.')
			seconds = 0;
	if (!(seconds >= INTERVAL_MIN_SECONDS && seconds <= INTERVAL_MAX_SECONDS) || *end)
		return usage_error("hist",
			"the interval is from 0.1 to 86400 seconds, not '%s'", word);
	*ret_ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int
take_count(const char *word, uint64_t *ret_count)
{
	unsigned long long count = 0;
	char *end = NULL;

	errno = 0;
	if (isdigit((unsigned char)*word))
		count = strtoull(word, &end, 10);
	if (!count || count > COUNT_MAX || errno || *end)
		return usage_error(
			"hist", "the count is a number from 1 on, not '%s'", word);
	*ret_count = count;
	return 0;
}

static int
take_words(char *words[], struct hist_options *options)
{
	if (!words[0])
		return usage_error("hist", "it needs a group");
	options->group = words[0];
	if (!words[1])
		return 0;
	if (take_interval(words[1], &options->interval_ns))
		return -1;
	if (!words[2])
		return 0;
	if (take_count(words[2], &options->count))
		return -1;
	return words[3] ? usage_error("hist", "unexpected argument '%s'", words[3]) : 0;
}

int
hist_options_parse(
	int argc, char *argv[], struct hist_options *ret_options, int *ret_status)
{
	int option;

	*ret_options = (struct hist_options){.url = FETCH_URL};
	*ret_status = USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
			*ret_status = output_status(output_flush());
			return -1;
		case 'j':
			ret_options->json = true;
			break;
		case 'u':
			if (usage_take_url("hist", optarg, &ret_options->url))
				return -1;
			break;
		default:
			return usage_bad_option("hist", option, "hju", argv[optind - 1]);
		}
	}
	return take_words(argv + optind, ret_options);
}
