/* SPDX-License-Identifier: MIT */
/*
 * Pages, and who waits for them; see page_queue.h. evhttp owns a request again once its
 * answer is handed over; the pieces of the body, which are only referred to, tell when it
 * is sent.
 */

#include "config.h"

#include "daemon/page_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "daemon/body.h"
#include "daemon/connections.h"
#include "daemon/event.h"
#include "daemon/gzip.h"
#include "daemon/reply.h"
#include "daemon/worker.h"

/* Pages are made so long before other events have their turn. */
#define SLICE_NS 1000000ull
/* Of one route, which differ by their queries. */
#define QUEUED_PAGES 8
/* Of pages that are made and not sent yet, before another one is begun. */
#define MADE_BYTES (32u << 20)
/* Those who read them have so long before they give way to it. */
#define TAKING_NS 2000000000ull

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
	TAILQ_ENTRY(page) entry;  /* of those that are queued, or that are made */
	struct page_queue *queue; /* NULL: that is no more */
	const struct http_route *route;
	struct http_request request; /* with a query of its own */
	struct answers answers;
	struct http_reply reply;
	struct body *body; /* NULL: it is not begun */
	FILE *out;         /* that adds to it */
	struct http_work *work;
	bool writing; /* another thread has it */
	bool packed;  /* it is compressed */
	bool made;    /* and all its answers are handed over */
	uint64_t made_ns;
};

TAILQ_HEAD(pages_list, page);

struct page_queue {
	struct event_loop *loop;         /* borrowed */
	struct connections *connections; /* borrowed */
	void *fn_arg;                    /* of the routes' functions */
	void (*leave)(void *arg);
	void *arg;
	struct event_watch *making; /* or NULL: nothing is to be done for now */
	struct worker *worker;      /* that writes and compresses */
	struct pages_list queued, made;
	size_t waiting; /* answers whose pages are not made yet */
	uint64_t slow;
};

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

static void
make_some(void *arg);

/* Make what is to be made, when there is room for it. */
static void
go_on(struct page_queue *queue, uint64_t after_ns)
{
	const struct page *page = TAILQ_FIRST(&queue->queued);

	event_watch_free(queue->making);
	queue->making = page && !page->writing
				? event_after(queue->loop, after_ns, make_some, queue)
				: NULL;
}

/* Free the page if it was made and nobody has any of it to come. */
static void
release(struct page *page)
{
	struct page_queue *queue = page->queue;

	if (!page->made || !TAILQ_EMPTY(&page->answers))
		return;
	if (queue) {
		TAILQ_REMOVE(&queue->made, page, entry);
		go_on(queue, 0);
	}
	page_free(page);
}

static void
answer_free(struct answer *answer)
{
	struct page *page = answer->page;
	struct page_queue *queue = page->queue;

	TAILQ_REMOVE(&page->answers, answer, entry);
	if (queue) {
		connections_end(queue->connections, answer->connection, event_now_ns());
		queue->leave(queue->arg);
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
	page->queue->waiting--;
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

/* While too much is made and not taken, give up those who read the oldest page, if they had
 * their time. Returns 0, or how long it is until there will be room. */
static uint64_t
make_room(struct page_queue *queue, uint64_t now_ns)
{
	size_t bytes = 0;
	struct answer *answer;
	struct page *page;

	TAILQ_FOREACH (page, &queue->made, entry)
		bytes += body_bytes(page->body);
	TAILQ_FOREACH (page, &queue->made, entry) {
		if (bytes <= MADE_BYTES)
			return 0;
		if (now_ns - page->made_ns < TAKING_NS)
			return TAKING_NS - (now_ns - page->made_ns);
		bytes -= body_bytes(page->body);
		TAILQ_FOREACH (answer, &page->answers, entry)
			queue->slow +=
				connections_shut(queue->connections, answer->connection);
	}
	return 0;
}

/* Returns 1 while there is more to be made, 0 when the page is whole, or -errno. */
static int
begin_page(struct page *page)
{
	struct page_queue *queue = page->queue;

	page->body = body_new(&page->out);
	if (!page->body)
		return -ENOMEM;
	page->reply =
		page->route->fn(queue->fn_arg, &page->request, page->out, &page->work);
	return page->work != NULL;
}

/* There is no more of it. Returns 0, or -ENOMEM if not all of it is there. */
static int
end_body(struct page *page)
{
	bool failed;

	if (!page->out)
		return 0;
	failed = ferror(page->out);
	failed |= fclose(page->out) != 0;
	page->out = NULL;
	return failed ? -ENOMEM : 0;
}

/* Answer all who have waited for it. */
static void
finish_page(struct page *page, int error)
{
	struct answer *answer, *next;

	if (page->work)
		page->work->free(page->work);
	page->work = NULL;
	if (end_body(page) < 0 || error)
		page->reply.status = 0;
	TAILQ_REMOVE(&page->queue->queued, page, entry);
	TAILQ_INSERT_TAIL(&page->queue->made, page, entry);
	page->made_ns = event_now_ns();
	for (answer = TAILQ_FIRST(&page->answers); answer; answer = next) {
		next = TAILQ_NEXT(answer, entry);
		send_answer(answer);
	}
	page->made = true;
	release(page);
}

/* A page that is written in another thread, or compressed there, or both. */
struct writing {
	struct worker_job head; /* first */
	struct page *page;
	struct body *packed; /* NULL: it is not, or there was no memory */
	int error;
};

static bool
worth_packing(const struct page *page)
{
	return page->request.gzip && body_bytes(page->body) >= GZIP_WORTH_BYTES;
}

/* Write the rest of the page, and have no more of it. */
static int
write_rest(struct page *page)
{
	struct http_work *work = page->work;
	int r = work && work->write ? work->write(work, page->out) : 0;

	return r < 0 ? r : end_body(page);
}

static void
write_page(struct worker_job *head)
{
	struct writing *writing = (struct writing *)head;

	writing->error = write_rest(writing->page);
	if (!writing->error && worth_packing(writing->page))
		writing->packed = gzip_pack(writing->page->body);
}

static void
drop_writing(struct worker_job *head)
{
	struct writing *writing = (struct writing *)head;

	body_free(writing->packed);
	free(writing);
}

static void
end_writing(struct worker_job *head)
{
	struct writing *writing = (struct writing *)head;
	struct page *page = writing->page;
	struct page_queue *queue = page->queue;
	int error = writing->error;

	page->writing = false;
	page->packed = writing->packed;
	if (writing->packed) {
		body_free(page->body);
		page->body = writing->packed;
		writing->packed = NULL;
	}
	drop_writing(head);
	finish_page(page, error);
	go_on(queue, 0);
}

/* There are no more steps: do the rest in another thread, if that takes long. Until it is
 * done no other page is begun. */
static void
end_steps(struct page *page)
{
	struct writing *writing = NULL;

	fflush(page->out); /* that its length may be seen */
	if ((page->work && page->work->write) || worth_packing(page))
		writing = calloc(1, sizeof(*writing));
	if (writing) {
		writing->head = (struct worker_job){
			.work = write_page, .done = end_writing, .drop = drop_writing};
		writing->page = page;
		page->writing = worker_submit(page->queue->worker, &writing->head) == 0;
	}
	if (page->writing)
		return;
	free(writing);
	finish_page(page, write_rest(page));
}

/* Make pages, or a part of one. */
static void
make_some(void *arg)
{
	struct page_queue *queue = arg;
	uint64_t started_ns = event_now_ns(), wait_ns = 0;
	struct page *page;

	while ((page = TAILQ_FIRST(&queue->queued)) && !page->writing) {
		int r;

		if (!page->body)
			wait_ns = make_room(queue, event_now_ns());
		if (wait_ns)
			break;
		r = page->body ? page->work->step(page->work, page->out)
			       : begin_page(page);
		if (r == 0)
			end_steps(page);
		else if (r < 0)
			finish_page(page, r);
		if (event_now_ns() - started_ns >= SLICE_NS)
			break;
	}
	go_on(queue, wait_ns);
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
find_page(const struct page_queue *queue, const struct http_route *route,
	const struct http_request *request, struct page **ret_page)
{
	struct page *page;
	unsigned count = 0;

	*ret_page = NULL;
	TAILQ_FOREACH (page, &queue->queued, entry) {
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
page_new(struct page_queue *queue, const struct http_route *route,
	const struct http_request *request)
{
	struct page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->queue = queue;
	page->route = route;
	page->request = *request;
	page->request.query = request->query ? strdup(request->query) : NULL;
	TAILQ_INIT(&page->answers);
	if (request->query && !page->request.query) {
		free(page);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&queue->queued, page, entry);
	return page;
}

struct page_queue *
page_queue_new(struct event_loop *loop, void *fn_arg, struct connections *connections,
	void (*leave)(void *arg), void *arg)
{
	struct page_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->loop = loop;
	queue->fn_arg = fn_arg;
	queue->connections = connections;
	queue->leave = leave;
	queue->arg = arg;
	TAILQ_INIT(&queue->queued);
	TAILQ_INIT(&queue->made);
	queue->worker = worker_new(loop);
	if (queue->worker)
		return queue;
	free(queue);
	return NULL;
}

int
page_queue_add(struct page_queue *queue, const struct http_route *route,
	const struct http_request *asked, struct evhttp_request *request)
{
	struct bufferevent *stream =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
	struct answer *answer;
	struct page *page;
	int r = find_page(queue, route, asked, &page);

	if (r < 0)
		return r;
	answer = calloc(1, sizeof(*answer));
	if (answer && !page)
		page = page_new(queue, route, asked);
	if (!page || !answer) {
		free(answer);
		return -ENOMEM;
	}
	answer->page = page;
	answer->request = request;
	answer->connection = connections_begin(
		queue->connections, bufferevent_getfd(stream), event_now_ns());
	TAILQ_INSERT_TAIL(&page->answers, answer, entry);
	queue->waiting++;
	if (!route->queued)
		make_at_once(page);
	else if (!queue->making)
		go_on(queue, 0);
	return 0;
}

size_t
page_queue_waiting(const struct page_queue *queue)
{
	return queue->waiting;
}

uint64_t
page_queue_count_slow(const struct page_queue *queue)
{
	return queue->slow;
}

/* Forget pages; evhttp frees their requests, and frees later what it still has to send. */
static void
forget(struct pages_list *pages)
{
	struct answer *answer;
	struct page *page;

	while ((page = TAILQ_FIRST(pages))) {
		TAILQ_REMOVE(pages, page, entry);
		page->queue = NULL;
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
page_queue_free(struct page_queue *queue)
{
	if (!queue)
		return;
	worker_free(queue->worker);
	event_watch_free(queue->making);
	forget(&queue->queued);
	forget(&queue->made);
	free(queue);
}
