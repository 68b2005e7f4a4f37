/* SPDX-License-Identifier: MIT */
/* The command lines of looplag enable and disable, and the help texts that tell of them. */

#include "config.h"

#include "cli/enable_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor_options.h"
#include "cli/output.h"
#include "cli/usage.h"

static const struct option enable_list[] = {
	{"dry-run", no_argument, NULL, 'd'},
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"now", no_argument, NULL, 'n'},
	{"runtime", no_argument, NULL, 'r'},
	{"socket", required_argument, NULL, 's'},
	{0},
};

static const struct option disable_list[] = {
	{"dry-run", no_argument, NULL, 'd'},
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"now", no_argument, NULL, 'n'},
	{0},
};

static const char enable_help[] =
	"Example: looplag enable --now redis-server\n"
	"\n"
	"Usage: looplag enable [OPTION...] [--] UNIT...\n"
	"\n"
	"Has systemd services load the probe when they are started: shows and writes a\n"
	"drop-in that adds it to LD_PRELOAD, and what the unit's sandbox needs for it,\n"
	"if it can work there; looplag doctor tells more. Templates (web@.service) and\n"
	"instances may be given, too. Exits with 0 if all are enabled, 1 if one is not,\n"
	"2 if there is no such unit.\n"
	"\n"
	"  --dry-run       show what would be written, and write nothing\n"
	"  --force         even over a drop-in of ours that somebody has changed\n"
	"  --json          one object a line\n"
	"  --now           restart those that run\n"
	"  --runtime       until the next boot only\n"
	"  --socket PATH   where looplagd listens (" USAGE_SOCKET ")\n"
	"  --help          show this text\n"
	"\n"
	"See looplag(1).\n";

static const char disable_help[] =
	"Example: looplag disable --now redis-server\n"
	"\n"
	"Usage: looplag disable [OPTION...] [--] UNIT...\n"
	"\n"
	"Takes back what looplag enable has done: shows and removes its drop-in, and\n"
	"nothing else. Exits with 0 if none of them is enabled any more, 1 if one is,\n"
	"2 if there is no such unit.\n"
	"\n"
	"  --dry-run   show what would be removed, and remove nothing\n"
	"  --force     even if somebody has changed the drop-in\n"
	"  --json      one object a line\n"
	"  --now       restart those that run\n"
	"  --help      show this text\n"
	"\n"
	"See looplag(1).\n";

/* A path that needs no quotes in a unit file. */
static int
take_socket(struct enable_options *options, const char *path)
{
	if (*path != '/' || strpbrk(path, " \t\n\r:%\\\"'") || !strrchr(path + 1, '/'))
		return usage_error("enable",
			"--socket takes a path from the root, without blanks, colons, "
			"quotes and percent signs, not '%s'",
			path);
	options->socket = strcmp(path, USAGE_SOCKET) ? path : NULL;
	return 0;
}

static int
take_option(
	const char *verb, int option, const char *word, struct enable_options *options)
{
	switch (option) {
	case 'd':
		options->dry_run = true;
		return 0;
	case 'f':
		options->force = true;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'n':
		options->now = true;
		return 0;
	case 'r':
		options->runtime = true;
		return 0;
	case 's':
		return take_socket(options, optarg);
	default:
		return usage_bad_option(verb, option, "dfhjnrs", word);
	}
}

int
enable_options_parse(
	int argc, char *argv[], struct enable_options *ret_options, int *ret_status)
{
	const char *verb = argv[0];
	bool enable = !strcmp(verb, "enable");
	int option;

	*ret_options = (struct enable_options){0};
	*ret_status = DOCTOR_USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":h",
			enable ? enable_list : disable_list, NULL)) >= 0) {
		if (option == 'h') {
			fputs(enable ? enable_help : disable_help, stdout);
			*ret_status = output_status(output_flush());
			return -1;
		}
		if (take_option(verb, option, argv[optind - 1], ret_options))
			return -1;
	}
	ret_options->argv = argv + optind;
	if (!argv[optind])
		return usage_error(verb, "no unit to %s", verb);
	if (!ret_options->dry_run && geteuid() != 0) {
		fprintf(stderr,
			"looplag: only root may %s units; --dry-run shows what would be "
			"done\n",
			verb);
		*ret_status = DOCTOR_CANNOT;
		return -1;
	}
	return 0;
}
