/* SPDX-License-Identifier: MIT */
/* What looplagd serves at which path, beside the page for people (web_files.h): metrics,
 * health, the JSON API. */
#ifndef LOOPLAG_DAEMON_PAGES_H
#define LOOPLAG_DAEMON_PAGES_H

#include <stdbool.h>
#include <stddef.h>

struct alerting;
struct collector;
struct past;
struct http;
struct http_route;
struct pages;
struct reload;

/* Borrows the arguments. NULL without memory. */
struct pages *
pages_new(struct collector *collector, const struct reload *reload,
	const struct alerting *alerting, const struct past *history,
	const char *telemetry_path);
void
pages_free(struct pages *pages);

/* The server, borrowed, which has metrics of its own; before it serves. */
void
pages_set_http(struct pages *pages, const struct http *http);

/* The metrics of prom-client are served, too. */
void
pages_add_prom_client(struct pages *pages);

/* What /-/reload does: it returns whether that went well. Without it, nothing. */
void
pages_set_reload(struct pages *pages, bool (*fn)(void *arg), void *arg);

/* From now on /-/ready says so. */
void
pages_set_ready(struct pages *pages);

/* To be served with the pages themselves as argument; borrowed from them. */
const struct http_route *
pages_routes(const struct pages *pages, size_t *ret_count);

#endif
