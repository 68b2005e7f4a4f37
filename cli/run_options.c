/* SPDX-License-Identifier: MIT */
/* The command line of looplag run, and the help text that tells of it. */

#include "config.h"

#include "cli/run_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/duration.h"
#include "probes/segment.h"

#define DEFAULT_SOCKET RUNSTATEDIR "/looplag/probe.sock"

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
	"  --socket PATH      where looplagd listens (" DEFAULT_SOCKET ")\n"
	"  --threshold TIME   report where a loop was stuck for longer (100ms)\n"
	"  --help             show this text\n"
	"\n"
	"See looplag(1).\n";

/* Say what is wrong with the command line. */
__attribute__((format(printf, 1, 2))) static int
usage_error(const char *format, ...)
{
	va_list arguments;

	fputs("looplag: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("; see 'looplag run --help'\n", stderr);
	return RUN_USAGE;
}

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
	const char *socket_path = getenv("LOOPLAG_SOCKET");
	int option;

	*ret_options = (struct run_options){.socket = DEFAULT_SOCKET};
	if (socket_path && *socket_path) {
		ret_options->socket = socket_path;
		ret_options->socket_chosen = true;
	}
	*ret_status = RUN_USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+:h", long_options, NULL)) >= 0) {
		switch (option) {
		case 'g':
			ret_options->groupname = optarg;
			if (!*optarg || strlen(optarg) >= SEGMENT_NAME_BYTES) {
				usage_error("--groupname takes 1 to %u bytes",
					SEGMENT_NAME_BYTES - 1);
				return -1;
			}
			break;
		case 'h':
			fputs(help, stdout);
			*ret_status = fflush(stdout) ? RUN_FAILED : 0;
			return -1;
		case 'o':
			ret_options->output = optarg;
			break;
		case 'r':
			if (!parse_report(optarg, &ret_options->report)) {
				usage_error("--report takes text, json or none, not '%s'",
					optarg);
				return -1;
			}
			break;
		case 's':
			ret_options->socket = optarg;
			ret_options->socket_chosen = true;
			break;
		case 't':
			if (duration_parse(optarg, &ret_options->threshold_ns) ||
				ret_options->threshold_ns < SEGMENT_LONG_NS) {
				usage_error(
					"--threshold takes a time like 50ms, not less "
					"than 10ms, not '%s'",
					optarg);
				return -1;
			}
			break;
		case ':':
			usage_error("%s needs a value", argv[optind - 1]);
			return -1;
		default:
			/* Of letters in a row getopt tells the unknown one alone. */
			if (optopt && !strchr("ghorst", optopt))
				usage_error("unknown option '-%c'", optopt);
			else
				usage_error("unknown option '%s'", argv[optind - 1]);
			return -1;
		}
	}
	ret_options->argv = argv + optind;
	if (!*ret_options->argv) {
		usage_error("no command to run");
		return -1;
	}
	if (ret_options->output && ret_options->report == RUN_NONE) {
		usage_error("--output goes with a report, and --report is none");
		return -1;
	}
	if (ret_options->threshold_ns && ret_options->report == RUN_NONE) {
		usage_error("--threshold goes with a report, and --report is none");
		return -1;
	}
	if ((ret_options->output || ret_options->threshold_ns) &&
		ret_options->report == RUN_DEFAULT)
		ret_options->report = RUN_TEXT;
	return 0;
}
