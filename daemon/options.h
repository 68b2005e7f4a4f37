/* SPDX-License-Identifier: MIT */
/*
 * The command line of looplagd. One table says all: the parser, --help and the check that
 * the manual page knows every option are made from it.
 */
#ifndef LOOPLAG_DAEMON_OPTIONS_H
#define LOOPLAG_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/log.h"

#define OPTIONS_ADDRESSES 8

/* Strings are borrowed from argv, or constant. */
struct options {
	const char *listen_addresses[OPTIONS_ADDRESSES];
	size_t listen_count;
	const char *telemetry_path;
	const char *web_config_file; /* NULL: everybody may ask, without TLS */
	bool lifecycle;              /* whoever may ask may also have us reload */
	bool systemd_socket;   /* serve HTTP on what systemd passes on, nowhere else */
	unsigned max_requests; /* at a time; 0: any number */
	const char *config_file;
	bool config_file_given; /* it must exist */
	bool prom_client;       /* tell what prom-client tells, too */
	bool config_check;
	unsigned processes; /* rows of them */
	const char *probe_socket;
	const char *state_directory; /* NULL: no history is kept */
	enum log_level log_level;
	enum log_format log_format;
};

enum options_verdict {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* help or version was printed */
	OPTIONS_USAGE, /* the mistake was told on `err` */
};

enum options_verdict
options_parse(int argc, char *argv[], FILE *out, FILE *err, struct options *ret_options);

#endif
