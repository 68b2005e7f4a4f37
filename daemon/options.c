/* SPDX-License-Identifier: MIT */
/* The command line of looplagd: getopt_long fed by one table. */

#include "config.h"

#include "daemon/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/processes.h"
#include "daemon/similar.h"
#include "daemon/sockets.h"

/* Each returns NULL, or what is wrong with the value and what would be right. */
typedef const char *(*set_fn)(struct options *options, const char *value);

static const char *
set_listen_address(struct options *options, const char *value)
{
	if (!sockets_address_valid(value))
		return "is no address; write HOST:PORT, :PORT or [IPV6]:PORT";
	if (options->listen_count == OPTIONS_ADDRESSES)
		return "is one address too many; eight is the most";
	options->listen_addresses[options->listen_count++] = value;
	return NULL;
}

static const char *
set_telemetry_path(struct options *options, const char *value)
{
	if (value[0] != '/' ||
		value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/_.~-")])
		return "is no path; write / and letters, digits or _ . ~ -";
	if (!strcmp(value, "/") || !strncmp(value, "/-/", 3) ||
		!strncmp(value, "/api/", 5) || !strncmp(value, "/web/", 5))
		return "is taken; choose a path other than / and not below /-/, /api/ or "
		       "/web/";
	options->telemetry_path = value;
	return NULL;
}

static const char *
set_config_file(struct options *options, const char *value)
{
	if (!value[0])
		return "is no path";
	options->config_file = value;
	return NULL;
}

static const char *
set_prom_client(struct options *options, const char *value)
{
	options->prom_client = true;
	return NULL;
}

static const char *
set_config_check(struct options *options, const char *value)
{
	options->config_check = true;
	return NULL;
}

static const char *
set_web_config_file(struct options *options, const char *value)
{
	if (!value[0])
		return "is no path";
	options->web_config_file = value;
	return NULL;
}

static const char *
set_lifecycle(struct options *options, const char *value)
{
	options->lifecycle = true;
	return NULL;
}

static const char *
set_systemd_socket(struct options *options, const char *value)
{
	options->systemd_socket = true;
	return NULL;
}

static const char *
set_max_requests(struct options *options, const char *value)
{
	if (!value[0] || value[strspn(value, "0123456789")] || strlen(value) > 6)
		return "is no number; write one from 0, for any number, to 999999";
	options->max_requests = (unsigned)atoi(value);
	return NULL;
}

static const char *
set_processes(struct options *options, const char *value)
{
	size_t length = strlen(value);

	if (!length || length > 4 || value[strspn(value, "0123456789")] ||
		atoi(value) > PROCESSES_MAX)
		return "is no number from 0 to 1000";
	options->processes = (unsigned)atoi(value);
	return NULL;
}

static const char *
set_probe_socket(struct options *options, const char *value)
{
	if (value[0] != '/')
		return "is no absolute path";
	if (strlen(value) >= SOCKETS_PATH_BYTES)
		return "is too long for a socket; the most is 107 bytes";
	options->probe_socket = value;
	return NULL;
}

static const char *
set_state_directory(struct options *options, const char *value)
{
	if (value[0] != '/')
		return "is no absolute path";
	options->state_directory = value;
	return NULL;
}

static const char *
set_log_level(struct options *options, const char *value)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	for (enum log_level level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
		if (!strcmp(value, names[level])) {
			options->log_level = level;
			return NULL;
		}
	}
	return "is no level; write debug, info, warn or error";
}

static const char *
set_log_format(struct options *options, const char *value)
{
	if (!strcmp(value, "logfmt"))
		options->log_format = LOG_FORMAT_LOGFMT;
	else if (!strcmp(value, "json"))
		options->log_format = LOG_FORMAT_JSON;
	else
		return "is no format; write logfmt or json";
	return NULL;
}

/* Alphabetical. */
static const struct spec {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *initial;
	set_fn set;
	const char *help;
} specs[] = {
	{"collector.processes", "N", "0", set_processes,
		"How many series there may be of single processes, with their pids."},
	{"compat.prom-client", NULL, NULL, set_prom_client,
		"Tell of Node.js groups in the metrics of prom-client, too."},
	{"config.check", NULL, NULL, set_config_check,
		"Read the configuration files, tell every mistake in them, and exit."},
	{"config.file", "PATH", SYSCONFDIR "/looplag/looplagd.yaml", set_config_file,
		"Configuration file; one that is named here must exist."},
	{"help", NULL, NULL, NULL, "Print this and exit."},
	{"log.format", "FORMAT", "logfmt", set_log_format,
		"Shape of the messages on stderr: logfmt or json."},
	{"log.level", "LEVEL", "info", set_log_level,
		"Least severe messages to print: debug, info, warn or error."},
	{"probe.socket", "PATH", RUNSTATEDIR "/looplag/probe.sock", set_probe_socket,
		"Socket on which processes with the probe register."},
	{"state.dir", "PATH", NULL, set_state_directory,
		"Directory for what the counters need to go on after a restart. Default: "
		"the one that systemd made for the service, or none."},
	{"version", NULL, NULL, NULL, "Print the version and exit."},
	{"web.config.file", "PATH", NULL, set_web_config_file,
		"File that says who may ask, and by which certificates we answer, as all "
		"exporters of Prometheus have it. Default: everybody may ask, without "
		"TLS."},
	{"web.enable-lifecycle", NULL, NULL, set_lifecycle,
		"Load the configuration again for POST or PUT of /-/reload."},
	{"web.listen-address", "ADDRESS", "127.0.0.1:9923", set_listen_address,
		"Where to serve HTTP: HOST:PORT, :PORT or [IPV6]:PORT. Repeatable."},
	{"web.max-requests", "NUMBER", "40", set_max_requests,
		"Most requests that may wait for a page at a time; 0: any number."},
	{"web.systemd-socket", NULL, NULL, set_systemd_socket,
		"Serve HTTP on the sockets that systemd passes on, and nowhere else."},
	{"web.telemetry-path", "PATH", "/metrics", set_telemetry_path,
		"Where Prometheus finds the metrics."},
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

static void
print_help(FILE *out)
{
	fputs("looplagd tells Prometheus how late event loops are.\n"
	      "\n"
	      "Example: serve metrics on all interfaces, and log less:\n"
	      "\n"
	      "  looplagd --web.listen-address=:9923 --log.level=warn\n"
	      "  LD_PRELOAD=" LIBDIR "/liblooplag.so node server.js\n"
	      "\n"
	      "Options:\n",
		out);
	for (size_t i = 0; i < SPECS; i++) {
		const struct spec *spec = &specs[i];

		fprintf(out, "  --%s%s%s\n      %s", spec->name,
			spec->argument ? "=" : "", spec->argument ? spec->argument : "",
			spec->help);
		if (spec->initial)
			fprintf(out, " Default: %s", spec->initial);
		fputc('\n', out);
	}
}

/* The option that was probably meant, or NULL. */
static const char *
similar_option(const char *name)
{
	const char *names[SPECS];

	for (size_t i = 0; i < SPECS; i++)
		names[i] = specs[i].name;
	return similar_find(name, names, SPECS);
}

/* Say what is wrong with an option that getopt did not take. */
static void
print_mistake(FILE *err, const char *word)
{
	size_t dashes = strspn(word, "-"), length = strcspn(word, "=");
	const char *similar;
	char *name = strndup(word + dashes, length - dashes);

	if (!name)
		return;
	for (size_t i = 0; i < SPECS; i++) {
		if (dashes != 2 || strcmp(specs[i].name, name))
			continue;
		fprintf(err, "looplagd: --%s %s\n", name,
			specs[i].argument ? "needs a value; see --help"
					  : "takes no value");
		goto out;
	}
	similar = similar_option(name);
	fprintf(err, "looplagd: unknown option %.*s; ", (int)length, word);
	if (similar)
		fprintf(err, "did you mean --%s?\n", similar);
	else
		fputs("see --help\n", err);
out:
	free(name);
}

/* The first of the directories that systemd made for us, or NULL. */
static const char *
service_directory(void)
{
	static char directory[4096];
	const char *all = getenv("STATE_DIRECTORY");
	size_t length = all ? strcspn(all, ":") : 0;

	if (!length || length >= sizeof(directory) || all[0] != '/')
		return NULL;
	memcpy(directory, all, length);
	directory[length] = 0;
	return directory;
}

/* Give the options that were not on the command line their defaults. */
static void
set_defaults(struct options *options, const bool given[SPECS])
{
	for (size_t i = 0; i < SPECS; i++)
		if (specs[i].initial && !given[i])
			specs[i].set(options, specs[i].initial);
}

enum options_verdict
options_parse(int argc, char *argv[], FILE *out, FILE *err, struct options *ret_options)
{
	struct option long_options[SPECS + 1] = {0};
	struct options options = {0};
	bool given[SPECS] = {0};
	const char *wrong;

	for (size_t i = 0; i < SPECS; i++)
		long_options[i] = (struct option){.name = specs[i].name,
			.has_arg = specs[i].argument ? required_argument : no_argument,
			.val = 256 + (int)i};
	for (optind = 0;;) {
		const char *word = argv[optind ? optind : 1];
		int found = getopt_long(argc, argv, "+:h", long_options, NULL);
		const struct spec *spec;

		if (found < 0)
			break;
		if (found == '?' || found == ':') {
			print_mistake(err, word);
			return OPTIONS_USAGE;
		}
		if (found == 'h' || !strcmp(specs[found - 256].name, "help")) {
			print_help(out);
			return OPTIONS_DONE;
		}
		spec = &specs[found - 256];
		if (!strcmp(spec->name, "version")) {
			fprintf(out, "looplagd %s\n", PACKAGE_VERSION);
			return OPTIONS_DONE;
		}
		given[spec - specs] = true;
		wrong = spec->set(&options, optarg);
		if (wrong) {
			fprintf(err, "looplagd: --%s: '%s' %s\n", spec->name, optarg,
				wrong);
			return OPTIONS_USAGE;
		}
		options.config_file_given |= spec->set == set_config_file;
	}
	if (optind < argc) {
		fprintf(err, "looplagd: unexpected argument '%s'; see --help\n",
			argv[optind]);
		return OPTIONS_USAGE;
	}
	set_defaults(&options, given);
	if (!options.state_directory)
		options.state_directory = service_directory();
	*ret_options = options;
	return OPTIONS_RUN;
}
