/* SPDX-License-Identifier: MIT */
/*
 * The configuration that is in use: read at the start and again on request, taken whole or
 * not at all. Says in the log what is wrong with a file, and keeps for the metrics how the
 * last time went.
 */
#ifndef LOOPLAG_DAEMON_RELOAD_H
#define LOOPLAG_DAEMON_RELOAD_H

#include <stdbool.h>

struct configuration;
struct metrics;
struct reload;

/* Read `path`, which is borrowed. If it need not exist, its absence means the defaults.
 * Returns NULL if there is nothing to go on with, which was logged. */
struct reload *
reload_open(const char *path, bool must_exist);
void
reload_close(struct reload *reload);

/* Borrowed until the next successful reload_again() is finished. */
const struct configuration *
reload_configuration(const struct reload *reload);

/* Read the file again; if it is good, call use(arg, configuration), and the one before is
 * freed only then. Logs what happened. Returns 0 or -errno. */
int
reload_again(struct reload *reload,
	void (*use)(void *arg, const struct configuration *config), void *arg);

/* Whether the file was good when it was last read, and when the configuration in use was
 * read, in seconds since the epoch. */
bool
reload_is_good(const struct reload *reload, double *ret_read_seconds);

/* Add the metrics about reloads. */
void
reload_collect(const struct reload *reload, struct metrics *metrics);

#endif
