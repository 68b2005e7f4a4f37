/* SPDX-License-Identifier: MIT */
/*
 * The page at / and its parts below /web/, which are built into the program: sent with an
 * ETag, so that a browser takes each once, compressed for who wants that, and with a policy
 * that lets the page load nothing from elsewhere and run nothing that stands in it. A part
 * of http.c.
 */
#ifndef LOOPLAG_DAEMON_WEB_FILES_H
#define LOOPLAG_DAEMON_WEB_FILES_H

/* libevent's. */
struct evhttp_request;
struct web_file;
struct web_files;

/* The page has a link to the metrics, which are at that path. NULL without memory. */
struct web_files *
web_files_new(const char *telemetry_path);
void
web_files_free(struct web_files *files);

/* The one at that path, or NULL. Borrowed. */
const struct web_file *
web_files_find(const struct web_files *files, const char *path);

/* Answer a GET or HEAD with it. */
void
web_files_reply(const struct web_file *file, struct evhttp_request *request);

#endif
