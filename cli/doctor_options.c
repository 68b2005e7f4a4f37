/* SPDX-License-Identifier: MIT */
/* The command line of looplag doctor, and the help text that tells of it. */

#include "config.h"

#include "cli/doctor_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fetch.h"

#define DEFAULT_SOCKET RUNSTATEDIR "/looplag/probe.sock"

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
	"  --socket PATH   where looplagd listens (" DEFAULT_SOCKET ")\n"
	"  --url URL       where looplagd serves (" FETCH_URL ")\n"
	"  --help          show this text\n"
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
	fputs("; see 'looplag doctor --help'\n", stderr);
	return -1;
}

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
		options->url = optarg;
		if (!strncmp(optarg, "http://", 7) || !strncmp(optarg, "https://", 8))
			return 0;
		return usage_error("--url takes http://HOST:PORT, not '%s'", optarg);
	case ':':
		return usage_error("%s needs a value", word);
	default:
		if (optopt && !strchr("hjsu", optopt))
			return usage_error("unknown option '-%c'", optopt);
		return usage_error("unknown option '%s'", word);
	}
}

int
doctor_options_parse(
	int argc, char *argv[], struct doctor_options *ret_options, int *ret_status)
{
	const char *socket_path = getenv("LOOPLAG_SOCKET");
	int option;

	*ret_options =
		(struct doctor_options){.socket = DEFAULT_SOCKET, .url = FETCH_URL};
	if (socket_path && *socket_path) {
		ret_options->socket = socket_path;
		ret_options->socket_chosen = true;
	}
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
		return usage_error("no process, unit or command to look at");
	return 0;
}
