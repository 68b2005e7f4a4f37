/* SPDX-License-Identifier: MIT */
/* The daemon as a whole. */
#ifndef LOOPLAG_DAEMON_LOOPLAGD_H
#define LOOPLAG_DAEMON_LOOPLAGD_H

struct options;

/* Serve until SIGTERM or SIGINT. Returns the exit status. */
int
looplagd_run(const struct options *options);

/* Tell whether the configuration file is good. Returns the exit status. */
int
looplagd_check(const struct options *options);

#endif
