/* SPDX-License-Identifier: MIT */
/* What looplagd --config.check and looplag check-config tell of a file. */
#ifndef LOOPLAG_DAEMON_CONFIG_CHECK_H
#define LOOPLAG_DAEMON_CONFIG_CHECK_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the configuration is good: a line that says so on `out`, or one for each mistake on
 * `err`. */
bool
config_check(const char *path, FILE *out, FILE *err);

/* The same of a web configuration, and of the certificates that it names. */
bool
config_check_web(const char *path, FILE *out, FILE *err);

#endif
