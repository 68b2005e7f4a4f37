/* SPDX-License-Identifier: MIT */
/*
 * Who may ask over HTTP, and by TLS or not, as the file of --web.config.file says it. That
 * and the certificates are read anew whenever they have changed, so that they can be
 * replaced while we serve; if they are not good, the log says so once, and what was in use
 * stays in use.
 */
#ifndef LOOPLAG_DAEMON_WEB_ACCESS_H
#define LOOPLAG_DAEMON_WEB_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct credentials;
struct event_loop;
struct metrics;
struct web_access;
struct web_config_header;

/* libevent's. */
struct bufferevent;
struct event_base;

/* By that file, borrowed; NULL: everybody may ask, without TLS. Returns NULL if there is
 * nothing to go on with, which was logged. */
struct web_access *
web_access_open(struct event_loop *loop, const char *path);
void
web_access_close(struct web_access *access);

/* Read all anew if a file is not what it was. Cheap if there is nothing to do. */
void
web_access_look(struct web_access *access);

/* Whether what is in use is what the files say now. */
bool
web_access_good(const struct web_access *access);

/* Whether connections speak TLS. */
bool
web_access_has_tls(const struct web_access *access);

/* The stream of a connection that is accepted, with no descriptor yet. NULL without
 * memory. */
struct bufferevent *
web_access_stream(const struct web_access *access, struct event_base *base);

/* What is sent with each answer; borrowed until the next look. */
const struct web_config_header *
web_access_headers(const struct web_access *access, size_t *ret_count);

/* Who may ask; NULL: everybody. Borrowed. */
struct credentials *
web_access_credentials(const struct web_access *access);

/* Add the metrics about reading it, if there is a file. */
void
web_access_collect(const struct web_access *access, struct metrics *metrics);

/* Whether that file and those that it names are good; mistakes are told on `err`. */
bool
web_access_check(const char *path, FILE *err);

#endif
