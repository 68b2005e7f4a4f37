/* SPDX-License-Identifier: MIT */
/* The HTTP server: evhttp behind a table of routes; see http.h. */

#include "config.h"

#include "daemon/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "daemon/accept.h"
#include "daemon/admission.h"
#include "daemon/connections.h"
#include "daemon/doors.h"
#include "daemon/event.h"
#include "daemon/metrics.h"
#include "daemon/page_queue.h"
#include "daemon/reply.h"
#include "daemon/tls.h"
#include "daemon/web_access.h"
#include "daemon/web_files.h"

#define HEADERS_BYTES 16384
#define BODY_BYTES 4096
/* To send a request, to take an answer. */
#define PATIENCE_NS 30000000000ull
#define LOOK_NS 5000000000ull
#define DRAIN_NS 5000000000ull

/* Every method that evhttp knows, so that it is us who refuse. */
#define METHODS                                                                \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | \
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |    \
		EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

#define GETS (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)
#define POSTS (EVHTTP_REQ_POST | EVHTTP_REQ_PUT)

struct http {
	struct event_loop *loop; /* borrowed */
	struct evhttp *evhttp;
	struct http_options options;
	struct admission *admission;
	struct doors *doors;
	struct connections *connections; /* theirs */
	struct event_watch *look;
	struct page_queue *queue;
	size_t answers; /* of all pages, and requests that are not let in yet */
	uint64_t busy,
		timeouts; /* requests that were refused, that did not come to an end */
	void (*done)(void *arg); /* drained, or NULL */
	void *done_arg;
	struct event_watch *deadline;
};

static void
end_drain(void *arg)
{
	struct http *http = arg;
	void (*done)(void *arg) = http->done;

	event_watch_free(http->deadline);
	http->deadline = NULL;
	http->done = NULL;
	if (done)
		done(http->done_arg);
}

/* One request less has to be answered. */
static void
leave(void *arg)
{
	struct http *http = arg;

	http->answers--;
	if (!http->answers && http->done)
		end_drain(http);
}

static void
refuse(struct http *http, struct evhttp_request *request, const char *why)
{
	http->busy++;
	reply_come_again(request);
	reply_text(request, HTTP_SERVUNAVAIL, why);
}

static struct http_request
understand(const struct http_route *route, struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	struct http_request asked = {0};

	if (route->queries)
		asked.query =
			evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	if (route->choose)
		asked.variant = route->choose(evhttp_find_header(headers, "Accept"));
	/* Who is answered at once gets little. */
	asked.gzip = route->queued &&
		     accept_gzip(evhttp_find_header(headers, "Accept-Encoding"));
	return asked;
}

/* Have the request answered with a page. */
static void
serve(struct http *http, const struct http_route *route, struct evhttp_request *request)
{
	struct http_request asked = understand(route, request);
	int r;

	if (http->done) {
		refuse(http, request, "looplagd is ending.\n");
		return;
	}
	if (route->queued && http->options.max_requests &&
		page_queue_waiting(http->queue) >= http->options.max_requests) {
		refuse(http, request,
			"Limit of concurrent requests reached, try again later.\n");
		return;
	}
	http->answers++;
	r = page_queue_add(http->queue, route, &asked, request);
	if (!r)
		return;
	http->answers--;
	if (r == -EBUSY)
		refuse(http, request, "Too many such requests wait already.\n");
	else
		reply_text(request, HTTP_INTERNAL, "Out of memory.\n");
}

static void
refuse_method(struct evhttp_request *request, bool posts)
{
	reply_add_header(request, "Allow", posts ? "POST, PUT" : "GET, HEAD");
	reply_text(request, HTTP_BADMETHOD,
		posts ? "Only POST and PUT do this.\n"
		      : "Only GET and HEAD are served.\n");
}

/* Answer a request that is let in. */
static void
enter(void *arg, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const struct http_route *route = NULL;
	const struct web_file *file = NULL;
	struct http *http = arg;

	for (size_t i = 0; path && i < http->options.count && !route; i++)
		if (!strcmp(path, http->options.routes[i].path))
			route = &http->options.routes[i];
	if (path && !route)
		file = web_files_find(http->options.files, path);
	if (file && (method & GETS))
		web_files_reply(file, request);
	/* A CONNECT has no path. */
	else if (!route && !file && method != EVHTTP_REQ_CONNECT)
		reply_text(request, HTTP_NOTFOUND, "Not found; / says what there is.\n");
	else if (!route || !(method & (route->posts ? POSTS : GETS)))
		refuse_method(request, route && route->posts);
	else
		serve(http, route, request);
	leave(http);
}

static void
request_cb(struct evhttp_request *request, void *arg)
{
	struct http *http = arg;

	http->answers++;
	admission_ask(http->admission, request);
}

static void
look(void *arg)
{
	struct http *http = arg;

	http->timeouts +=
		connections_look(http->connections, PATIENCE_NS, event_now_ns());
}

int
http_open(struct event_loop *loop, const struct http_options *options,
	struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->options = *options;
	http->look = event_every(loop, LOOK_NS, look, http);
	http->evhttp = evhttp_new(event_loop_base(loop));
	if (http->evhttp)
		http->doors = doors_new(loop, http->evhttp, options->access);
	http->admission = admission_new(options->access, enter, leave, http);
	if (http->doors) {
		http->connections = doors_connections(http->doors);
		http->queue = page_queue_new(
			loop, options->arg, http->connections, leave, http);
	}
	if (!http->look || !http->queue || !http->admission) {
		http_close(http);
		return -ENOMEM;
	}
	evhttp_set_allowed_methods(http->evhttp, METHODS);
	evhttp_set_max_headers_size(http->evhttp, HEADERS_BYTES);
	evhttp_set_max_body_size(http->evhttp, BODY_BYTES);
	evhttp_set_gencb(http->evhttp, request_cb, http);
	*ret_http = http;
	return 0;
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	event_watch_free(http->look);
	event_watch_free(http->deadline);
	http->done = NULL;
	page_queue_free(http->queue);
	admission_free(http->admission);
	if (http->evhttp)
		evhttp_free(http->evhttp);
	doors_free(http->doors);
	free(http);
}

int
http_accept(struct http *http, int fd)
{
	return doors_open(http->doors, fd);
}

void
http_drain(struct http *http, void (*done)(void *arg), void *arg)
{
	doors_shut(http->doors);
	http->done = done;
	http->done_arg = arg;
	http->deadline = event_after(http->loop, DRAIN_NS, end_drain, http);
	if (!http->answers || !http->deadline)
		end_drain(http);
}

void
http_collect(const struct http *http, struct metrics *metrics)
{
	const struct {
		const char *reason;
		uint64_t count;
	} refused[] = {
		{"connections", connections_count_shed(http->connections)},
		{"busy", http->busy + admission_count_busy(http->admission)},
		{"slow", page_queue_count_slow(http->queue)},
		{"timeout", http->timeouts},
		{"tls", tls_count_refused()},
		{"unauthorized", admission_count_denied(http->admission)},
	};

	metrics_family(metrics, METRIC_COUNTER, "looplag_http_refused_total",
		"HTTP requests and connections that were given up, by reason.");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		metrics_add(metrics,
			&(struct metric_sample){.labels = {{"reason", refused[i].reason}},
				.value = (double)refused[i].count});
	web_access_collect(http->options.access, metrics);
}
