/* SPDX-License-Identifier: MIT */
/* looplag check-config: has looplagd's own reader look at its files, before looplagd does. */

#include "config.h"

#include "cli/check_config.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/output.h"
#include "cli/usage.h"
#include "daemon/config_check.h"

#define DEFAULT_FILE SYSCONFDIR "/looplag/looplagd.yaml"

enum { USAGE = 2 };

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"web", required_argument, NULL, 'w'},
	{0},
};

static const char help[] =
	"Example: looplag check-config looplagd.yaml\n"
	"\n"
	"Usage: looplag check-config [OPTION...] [FILE]\n"
	"\n"
	"Tells all mistakes in a configuration of looplagd, as looplagd itself would, "
	"and\n"
	"changes nothing. Without FILE that is " DEFAULT_FILE ".\n"
	"\n"
	"  --json       one object a file\n"
	"  --web FILE   a web configuration and its certificates, alone or besides\n"
	"  --help       show this text\n"
	"\n"
	"See looplagd.yaml(5).\n";

struct files {
	const char *config; /* NULL: not wanted */
	const char *web;
	bool json;
};

/* Returns 0, or -1 when all is said. */
static int
parse(int argc, char *argv[], struct files *ret_files, int *ret_status)
{
	int option;

	*ret_files = (struct files){0};
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
			ret_files->json = true;
			break;
		case 'w':
			ret_files->web = optarg;
			break;
		default:
			return usage_bad_option(
				"check-config", option, "hjw", argv[optind - 1]);
		}
	}
	ret_files->config = argv[optind];
	if (argv[optind] && argv[optind + 1])
		return usage_error(
			"check-config", "unexpected argument '%s'", argv[optind + 1]);
	if (!ret_files->config && !ret_files->web)
		ret_files->config = DEFAULT_FILE;
	return 0;
}

/* The mistakes are the lines of a text. */
static json_t *
mistakes_array(char *text)
{
	json_t *array = json_array();

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		json_array_append_new(array, json_string(line));
	return array;
}

/* Check a file and tell an object. Returns what comes of writing, or -ENOMEM. */
static int
tell_json(bool (*check)(const char *path, FILE *out, FILE *err), const char *path,
	bool *ret_good)
{
	size_t sizes[2];
	char *words = NULL, *mistakes = NULL, *text = NULL;
	FILE *out = open_memstream(&words, &sizes[0]);
	FILE *err = open_memstream(&mistakes, &sizes[1]);
	json_t *object = json_object();
	int r = -ENOMEM;

	if (out && err)
		*ret_good = check(path, out, err);
	if (out)
		fclose(out);
	if (err)
		fclose(err);
	if (out && err && words && mistakes) {
		json_object_set_new(object, "file", json_string(path));
		json_object_set_new(object, "good", json_boolean(*ret_good));
		json_object_set_new(object, "mistakes", mistakes_array(mistakes));
		text = json_dumps(object, JSON_COMPACT);
	}
	if (text)
		r = output_line(text);
	free(text);
	free(words);
	free(mistakes);
	json_decref(object);
	return r;
}

/* Check a file and tell people. */
static int
tell_text(bool (*check)(const char *path, FILE *out, FILE *err), const char *path,
	bool *ret_good)
{
	*ret_good = check(path, stdout, stderr);
	return output_flush();
}

int
check_config_main(int argc, char *argv[])
{
	bool good = true, web_good = true;
	struct files files;
	int status, r = 0;

	output_begin();
	if (parse(argc, argv, &files, &status))
		return status;
	if (files.config)
		r = (files.json ? tell_json : tell_text)(
			config_check, files.config, &good);
	if (files.web && !r)
		r = (files.json ? tell_json : tell_text)(
			config_check_web, files.web, &web_good);
	status = output_status(r);
	return status ? status : good && web_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
