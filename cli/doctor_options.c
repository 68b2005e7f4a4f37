/* SPDX-License-Identifier: MIT */
/* The command line of looplag doctor, and the help text that tells of it. */

#include "config.h"

#include "cli/doctor_options.h"

#include <getopt.h>
#include <stdio.h>

#include "cli/fetch.h"
#include "cli/usage.h"

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"socket", required_argument, NULL, 's'},
	{"url", required_argument, NULL, 'u'},
	{0},
};

static const char help[] =
	"Example: looplag doctor redis-server.service\n"
	"\n"
	"Usage: looplag doctor [OPTION...] [--] PID | UNIT | COMMAND\n"
	"\n"
	"Says whether a process, a systemd unit or a command can carry the probe, and\n"
	"if not, why, and what to do about it. What ends in .service is a unit, and so\n"
	"is a word that names no command. Nothing is run and nothing is changed.\n"
	"Exits with 0 if it can or does, 1 if it cannot, 2 if there is no such thing.\n"
	"\n"
	"  --json          one object\n"
	"  --socket PATH   where looplagd listens (" USAGE_SOCKET ")\n"
	"  --url URL       where looplagd serves (" FETCH_URL ")\n"
	"  --help          show this text\n"
	"\n"
	"See looplag(1).\n";

static int
take_option(int option, char *word, struct doctor_options *options)
{
	switch (option) {
	case 'j':
		options->json = true;
		return 0;
	case 's':
		options->socket = optarg;
		options->socket_chosen = true;
		return 0;
	case 'u':
		return usage_take_url("doctor", optarg, &options->url);
	default:
		return usage_bad_option("doctor", option, "hjsu", word);
	}
}

int
doctor_options_parse(
	int argc, char *argv[], struct doctor_options *ret_options, int *ret_status)
{
	int option;

	*ret_options = (struct doctor_options){.url = FETCH_URL};
	ret_options->socket = usage_socket(&ret_options->socket_chosen);
	*ret_status = DOCTOR_USAGE;
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+:h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(help, stdout);
			*ret_status = fflush(stdout) ? DOCTOR_CANNOT : 0;
			return -1;
		}
		if (take_option(option, argv[optind - 1], ret_options))
			return -1;
	}
	ret_options->argv = argv + optind;
	if (!argv[optind] || !*argv[optind])
		return usage_error("doctor", "no process, unit or command to look at");
	return 0;
}
