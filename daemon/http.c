/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: evhttp behind a table of routes.
 *
 *	request -> page in the queue -> made in steps -> its answers are sent -> freed
 *
 * Requests that find a page in the queue which is not begun yet share it: what they get
 * was all found out after they came. evhttp owns a request again once its answer is
 * handed over; the pieces of the body, which are only referred to, tell when it is sent.
 */

#include "config.h"

#include "daemon/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "daemon/accept.h"
#include "daemon/admission.h"
#include "daemon/body.h"
#include "daemon/connections.h"
#include "daemon/doors.h"
#include "daemon/event.h"
#include "daemon/gzip.h"
#include "daemon/metrics.h"
#include "daemon/reply.h"
#include "daemon/tls.h"
#include "daemon/web_access.h"
#include "daemon/worker.h"

#define HEADERS_BYTES 16384
#define BODY_BYTES 4096
/* To send a request, to take an answer. */
#define PATIENCE_NS 30000000000ull
#define LOOK_NS 5000000000ull
#define DRAIN_NS 5000000000ull
/* Pages are made so long before other events have their turn. */
#define SLICE_NS 1000000ull
/* Of one route, which differ by their queries. */
#define QUEUED_PAGES 8
/* Of pages that are made and not sent yet, before another one is begun. */
#define MADE_BYTES (32u << 20)

/* Every method that evhttp knows, so that it is us who refuse. */
#define METHODS                                                                \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | \
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |    \
		EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

#define GETS (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)
#define POSTS (EVHTTP_REQ_POST | EVHTTP_REQ_PUT)

enum refusal { REFUSED_BUSY, REFUSED_SLOW, REFUSED_TIMEOUT, REFUSALS };

/* A request, until its answer is sent. */
struct answer {
	TAILQ_ENTRY(answer) entry; /* of its page */
	struct page *page;
	struct evhttp_request *request; /* NULL: evhttp has it again */
	uint64_t connection;            /* its number */
	unsigned pieces;                /* that evhttp has, and 1 while we give it some */
};

TAILQ_HEAD(answers, answer);

struct page {
	TAILQ_ENTRY(page) entry; /* of those that are queued, or that are made */
	struct http *http;       /* NULL: it is closed */
	const struct http_route *route;
	struct http_request request; /* with a query of its own */
	struct answers answers;
	struct http_reply reply;
	struct body *body; /* NULL: it is not begun */
	FILE *out;         /* that adds to it */
	struct http_work *work;
	bool packing; /* the body is being compressed */
	bool packed;  /* it is */
	bool made;    /* and all its answers are handed over */
};

TAILQ_HEAD(pages_list, page);

struct http {
	struct event_loop *loop; /* borrowed */
	struct evhttp *evhttp;
	struct http_options options;
	struct admission *admission;
	struct doors *doors;
	struct connections *connections; /* theirs */
	struct event_watch *look;
	struct event_watch *making; /* or NULL: there is nothing to be made */
	struct worker *worker;      /* that compresses */
	struct pages_list queued, made;
	size_t answers; /* of all pages, and requests that are not let in yet */
	size_t waiting; /* of the answers, those whose pages are not made yet */
	uint64_t refused[REFUSALS];
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
page_free(struct page *page)
{
	if (page->work)
		page->work->free(page->work);
	if (page->out)
		fclose(page->out);
	body_free(page->body);
	free((void *)(uintptr_t)page->request.query);
	free(page);
}

/* Free the page if it was made and nobody has any of it to come. */
static void
release(struct page *page)
{
	if (!page->made || !TAILQ_EMPTY(&page->answers))
		return;
	if (page->http)
		TAILQ_REMOVE(&page->http->made, page, entry);
	page_free(page);
}

static void
answer_free(struct answer *answer)
{
	struct page *page = answer->page;
	struct http *http = page->http;

	TAILQ_REMOVE(&page->answers, answer, entry);
	if (http) {
		connections_end(http->connections, answer->connection, event_now_ns());
		leave(http);
	}
	free(answer);
	release(page);
}

/* Called when a piece is sent, or its connection is gone. */
static void
piece_cb(const void *data, size_t bytes, void *arg)
{
	struct answer *answer = arg;

	if (!--answer->pieces)
		answer_free(answer);
}

/* Tell what may be the same page in another form. */
static void
add_form(struct evhttp_request *request, const struct page *page)
{
	reply_add_header(request, "Vary", "Accept, Accept-Encoding");
	if (page->packed)
		reply_add_header(request, "Content-Encoding", "gzip");
}

/* Send all pieces of the page; false: out of memory. */
static bool
add_pieces(struct answer *answer, struct evbuffer *body)
{
	const struct body *source = answer->page->body;

	for (size_t i = 0; i < body_pieces(source); i++) {
		size_t bytes;
		const char *piece = body_piece(source, i, &bytes);

		if (evbuffer_add_reference(body, piece, bytes, piece_cb, answer))
			return false;
		answer->pieces++;
	}
	return true;
}

/* Answer with the page, which is whole or has failed. May free the answer. */
static void
send_answer(struct answer *answer)
{
	const struct page *page = answer->page;
	struct evhttp_request *request = answer->request;
	bool head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
	struct evbuffer *body = evbuffer_new();

	answer->request = NULL;
	answer->pieces = 1;
	page->http->waiting--;
	if (body && page->reply.status && (head || add_pieces(answer, body))) {
		add_form(request, page);
		reply_send(request, &page->reply, body_bytes(page->body), body);
	} else {
		reply_text(request, HTTP_INTERNAL, "Out of memory.\n");
	}
	if (body)
		evbuffer_free(body);
	piece_cb(NULL, 0, answer);
}

/* While too much is made and not taken, give up those who read the oldest page. */
static void
make_room(struct http *http)
{
	size_t bytes = 0;
	struct answer *answer;
	struct page *page;

	TAILQ_FOREACH (page, &http->made, entry)
		bytes += body_bytes(page->body);
	TAILQ_FOREACH (page, &http->made, entry) {
		if (bytes <= MADE_BYTES)
			return;
		bytes -= body_bytes(page->body);
		TAILQ_FOREACH (answer, &page->answers, entry)
			http->refused[REFUSED_SLOW] +=
				connections_shut(http->connections, answer->connection);
	}
}

/* Returns 1 while there is more to be made, 0 when the page is whole, or -errno. */
static int
begin_page(struct page *page)
{
	struct http *http = page->http;

	make_room(http);
	page->body = body_new(&page->out);
	if (!page->body)
		return -ENOMEM;
	page->reply = page->route->fn(
		http->options.arg, &page->request, page->out, &page->work);
	return page->work != NULL;
}

/* A page that is compressed in another thread. */
struct packing {
	struct worker_job head; /* first */
	struct page *page;
	struct body *packed; /* NULL: it is not, or there was no memory */
};

static void
pack(struct worker_job *head)
{
	struct packing *packing = (struct packing *)head;

	packing->packed = gzip_pack(packing->page->body);
}

static void
drop_packing(struct worker_job *head)
{
	struct packing *packing = (struct packing *)head;

	body_free(packing->packed);
	free(packing);
}

static void
end_packing(struct worker_job *head);

/* The page is whole: have it compressed, if that is wanted and worth it. Until then no other
 * page is made. Returns whether it will be. */
static bool
begin_packing(struct page *page)
{
	struct packing *packing;

	if (!page->request.gzip || body_bytes(page->body) < GZIP_WORTH_BYTES)
		return false;
	packing = calloc(1, sizeof(*packing));
	if (!packing)
		return false;
	packing->head = (struct worker_job){
		.work = pack, .done = end_packing, .drop = drop_packing};
	packing->page = page;
	page->packing = worker_submit(page->http->worker, &packing->head) == 0;
	if (!page->packing)
		free(packing);
	return page->packing;
}

/* Answer all who have waited for it. */
static void
finish_page(struct page *page, int error)
{
	struct answer *answer, *next;

	if (page->work)
		page->work->free(page->work);
	page->work = NULL;
	if ((page->out && fclose(page->out)) || error)
		page->reply.status = 0;
	page->out = NULL;
	TAILQ_REMOVE(&page->http->queued, page, entry);
	TAILQ_INSERT_TAIL(&page->http->made, page, entry);
	for (answer = TAILQ_FIRST(&page->answers); answer; answer = next) {
		next = TAILQ_NEXT(answer, entry);
		send_answer(answer);
	}
	page->made = true;
	release(page);
}

static void
make_some(void *arg);

/* Make what is to be made. */
static void
go_on(struct http *http)
{
	const struct page *page = TAILQ_FIRST(&http->queued);

	if (page && !page->packing && !http->making)
		http->making = event_after(http->loop, 0, make_some, http);
}

/* There is no more to write. */
static void
close_page(struct page *page)
{
	bool good = !fclose(page->out);

	page->out = NULL;
	if (!good)
		finish_page(page, -ENOMEM);
	else if (!begin_packing(page))
		finish_page(page, 0);
}

/* Make pages, or a part of one. */
static void
make_some(void *arg)
{
	struct http *http = arg;
	uint64_t started_ns = event_now_ns();
	struct page *page;

	event_watch_free(http->making);
	http->making = NULL;
	while ((page = TAILQ_FIRST(&http->queued)) && !page->packing) {
		int r = page->body ? page->work->step(page->work, page->out)
				   : begin_page(page);

		if (r == 0)
			close_page(page);
		else if (r < 0)
			finish_page(page, r);
		if (event_now_ns() - started_ns >= SLICE_NS)
			break;
	}
	go_on(http);
}

static void
end_packing(struct worker_job *head)
{
	struct packing *packing = (struct packing *)head;
	struct page *page = packing->page;
	struct http *http = page->http;

	page->packing = false;
	page->packed = packing->packed;
	if (packing->packed) {
		body_free(page->body);
		page->body = packing->packed;
		packing->packed = NULL;
	}
	drop_packing(head);
	finish_page(page, 0);
	go_on(http);
}

/* Make a page that is no work. */
static void
make_at_once(struct page *page)
{
	finish_page(page, begin_page(page));
}

static bool
is_same(const struct http_request *a, const struct http_request *b)
{
	return a->variant == b->variant && a->gzip == b->gzip &&
	       strcmp(a->query ?: "", b->query ?: "") == 0;
}

/* The page, not begun yet, that answers this too. Returns 0 with it or NULL, or -EBUSY:
 * there are too many of that route. */
static int
find_page(const struct http *http, const struct http_route *route,
	const struct http_request *request, struct page **ret_page)
{
	struct page *page;
	unsigned count = 0;

	*ret_page = NULL;
	TAILQ_FOREACH (page, &http->queued, entry) {
		if (page->route != route)
			continue;
		count++;
		if (!page->body && is_same(&page->request, request)) {
			*ret_page = page;
			return 0;
		}
	}
	return count < QUEUED_PAGES ? 0 : -EBUSY;
}

static struct page *
page_new(struct http *http, const struct http_route *route,
	const struct http_request *request)
{
	struct page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->http = http;
	page->route = route;
	page->request = *request;
	page->request.query = request->query ? strdup(request->query) : NULL;
	TAILQ_INIT(&page->answers);
	if (request->query && !page->request.query) {
		free(page);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&http->queued, page, entry);
	return page;
}

static void
refuse(struct http *http, struct evhttp_request *request, const char *why)
{
	http->refused[REFUSED_BUSY]++;
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
	struct bufferevent *stream =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
	struct answer *answer = NULL;
	struct page *page;

	if (http->done) {
		refuse(http, request, "looplagd is ending.\n");
		return;
	}
	if (route->queued && http->options.max_requests &&
		http->waiting >= http->options.max_requests) {
		refuse(http, request,
			"Limit of concurrent requests reached, try again later.\n");
		return;
	}
	if (find_page(http, route, &asked, &page) < 0) {
		refuse(http, request, "Too many such requests wait already.\n");
		return;
	}
	if (!page)
		page = page_new(http, route, &asked);
	if (page)
		answer = calloc(1, sizeof(*answer));
	if (!answer) {
		reply_text(request, HTTP_INTERNAL, "Out of memory.\n");
		return;
	}
	answer->page = page;
	answer->request = request;
	answer->connection = connections_begin(
		http->connections, bufferevent_getfd(stream), event_now_ns());
	TAILQ_INSERT_TAIL(&page->answers, answer, entry);
	http->answers++;
	http->waiting++;
	if (!route->queued)
		make_at_once(page);
	else
		go_on(http);
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
	struct http *http = arg;

	for (size_t i = 0; path && i < http->options.count && !route; i++)
		if (!strcmp(path, http->options.routes[i].path))
			route = &http->options.routes[i];
	/* A CONNECT has no path. */
	if (!route && method != EVHTTP_REQ_CONNECT)
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

	http->refused[REFUSED_TIMEOUT] +=
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
	TAILQ_INIT(&http->queued);
	TAILQ_INIT(&http->made);
	http->look = event_every(loop, LOOK_NS, look, http);
	http->worker = worker_new(loop);
	http->evhttp = evhttp_new(event_loop_base(loop));
	if (http->evhttp)
		http->doors = doors_new(loop, http->evhttp, options->access);
	http->admission = admission_new(options->access, enter, leave, http);
	if (!http->look || !http->worker || !http->doors || !http->admission) {
		http_close(http);
		return -ENOMEM;
	}
	http->connections = doors_connections(http->doors);
	evhttp_set_allowed_methods(http->evhttp, METHODS);
	evhttp_set_max_headers_size(http->evhttp, HEADERS_BYTES);
	evhttp_set_max_body_size(http->evhttp, BODY_BYTES);
	evhttp_set_gencb(http->evhttp, request_cb, http);
	*ret_http = http;
	return 0;
}

/* Forget pages; evhttp frees their requests, and frees later what it still has to send. */
static void
forget(struct pages_list *pages)
{
	struct answer *answer;
	struct page *page;

	while ((page = TAILQ_FIRST(pages))) {
		TAILQ_REMOVE(pages, page, entry);
		page->http = NULL;
		if (page->made)
			continue;
		while ((answer = TAILQ_FIRST(&page->answers))) {
			TAILQ_REMOVE(&page->answers, answer, entry);
			free(answer);
		}
		page_free(page);
	}
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	worker_free(http->worker);
	event_watch_free(http->making);
	event_watch_free(http->look);
	event_watch_free(http->deadline);
	http->done = NULL;
	forget(&http->queued);
	forget(&http->made);
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
		{"busy", http->refused[REFUSED_BUSY] +
				 admission_count_busy(http->admission)},
		{"slow", http->refused[REFUSED_SLOW]},
		{"timeout", http->refused[REFUSED_TIMEOUT]},
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
