/* SPDX-License-Identifier: MIT */
/* looplag completion: prints the file for bash, which the build has made a string of. */

#include "config.h"

#include "cli/completion.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/usage.h"

enum { USAGE = 2 };

static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {0}};

static const char help[] =
	"Example: source <(looplag completion bash)\n"
	"\n"
	"Usage: looplag completion bash\n"
	"\n"
	"Prints what makes bash complete the commands, options and groups of looplag. "
	"Where\n"
	"looplag was installed with it, bash-completion knows of it already.\n"
	"\n"
	"  --help   show this text\n"
	"\n"
	"See looplag(1).\n";

static const char bash[] =
#include "cli/looplag_bash.inc"
	;

int
completion_main(int argc, char *argv[])
{
	int option;

	output_begin();
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) >= 0) {
		if (option != 'h') {
			usage_bad_option("completion", option, "h", argv[optind - 1]);
			return USAGE;
		}
		fputs(help, stdout);
		return output_status(output_flush());
	}
	if (!argv[optind]) {
		usage_error("completion", "it needs the name of a shell: bash");
		return USAGE;
	}
	if (strcmp(argv[optind], "bash") != 0) {
		usage_error(
			"completion", "bash is the only shell, not '%s'", argv[optind]);
		return USAGE;
	}
	if (argv[optind + 1]) {
		usage_error("completion", "unexpected argument '%s'", argv[optind + 1]);
		return USAGE;
	}
	fputs(bash, stdout);
	return output_status(output_flush());
}
