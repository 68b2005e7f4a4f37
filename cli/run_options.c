/* SPDX-License-Identifier: MIT */
/* The command line of looplag run, and the help text that tells of it. */

#include "config.h"

#include "cli/run_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/usage.h"
#include "daemon/duration.h"
#include "probes/segment.h"

static const struct option long_options[] = {
	{"groupname", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{"output", required_argument, NULL, 'o'},
	{"report", required_argument, NULL, 'r'},
	{"socket", required_argument, NULL, 's'},
	{"threshold", required_argument, NULL, 't'},
	{0},
};

static const char help[] =
	"Example: looplag run node server.js\n"
	"\n"
	"Usage: looplag run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	"\n"
	"Runs COMMAND with the probe loaded. If looplagd listens, the command's loops\n"
	"are seen there. If not, looplag watches them itself and writes a report to\n"
	"standard error when the command has ended. Exits as the command does.\n"
	"\n"
	"  --groupname NAME   report the loops under this name, not the command's\n"
	"  --report FORMAT    text or json: watch and report in any case;\n"
	"                     none: leave the command to looplagd\n"
	"  --output FILE      write the report to FILE (-: standard output)\n"
	"  --socket PATH      where looplagd listens (" USAGE_SOCKET ")\n"
	"  --threshold TIME   report where a loop was stuck for longer (100ms)\n"
	"  --help             show this text\n"
	"\n"
	"See looplag(1).\n";

static bool
parse_report(const char *word, enum run_report *ret_report)
{
	static const char *const words[] = {
		[RUN_TEXT] = "text", [RUN_JSON] = "json", [RUN_NONE] = "none"};

	for (enum run_report report = RUN_TEXT; report <= RUN_NONE; report++)
		if (!strcmp(word, words[report])) {
			*ret_report = report;
			return true;
		}
	return false;
}

int
run_options_parse(
	int argc, char *argv[], struct run_options *ret_options, int *ret_status)
{
	int option;

	*ret_options = (struct run_options){0};
	ret_options->socket = usage_socket(&ret_options->socket_chosen);
	*ret_status = RUN_USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+:h", long_options, NULL)) >= 0) {
		switch (option) {
		case 'g':
			ret_options->groupname = optarg;
			if (!*optarg || strlen(optarg) >= SEGMENT_NAME_BYTES)
				return usage_error("run",
					"--groupname takes 1 to %u bytes",
					SEGMENT_NAME_BYTES - 1);
			break;
		case 'h':
			fputs(help, stdout);
			*ret_status = fflush(stdout) ? RUN_FAILED : 0;
			return -1;
		case 'o':
			ret_options->output = optarg;
			break;
		case 'r':
			if (!parse_report(optarg, &ret_options->report))
				return usage_error("run",
					"--report takes text, json or none, not '%s'",
					optarg);
			break;
		case 's':
			ret_options->socket = optarg;
			ret_options->socket_chosen = true;
			break;
		case 't':
			if (duration_parse(optarg, &ret_options->threshold_ns) ||
				ret_options->threshold_ns < SEGMENT_LONG_NS)
				return usage_error("run",
					"--threshold takes a time like 50ms, not less "
					"than 10ms, not '%s'",
					optarg);
			break;
		default:
			return usage_bad_option(
				"run", option, "ghorst", argv[optind - 1]);
		}
	}
	ret_options->argv = argv + optind;
	if (!*ret_options->argv)
		return usage_error("run", "no command to run");
	if (ret_options->output && ret_options->report == RUN_NONE)
		return usage_error(
			"run", "--output goes with a report, and --report is none");
	if (ret_options->threshold_ns && ret_options->report == RUN_NONE)
		return usage_error(
			"run", "--threshold goes with a report, and --report is none");
	if ((ret_options->output || ret_options->threshold_ns) &&
		ret_options->report == RUN_DEFAULT)
		ret_options->report = RUN_TEXT;
	return 0;
}
