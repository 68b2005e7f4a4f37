/* SPDX-License-Identifier: MIT */
/* Who is let in; see admission.h. */

#include "config.h"

#include "daemon/admission.h"

#include <stdlib.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/http.h>

#include "daemon/credentials.h"
#include "daemon/reply.h"
#include "daemon/web_access.h"
#include "daemon/web_config.h"

#define UNAUTHORIZED 401

/* A request whose password is being looked at. */
struct visitor {
	TAILQ_ENTRY(visitor) entry;
	struct admission *admission;
	struct evhttp_request *request;
};

TAILQ_HEAD(visitors, visitor);

struct admission {
	struct web_access *access;
	admission_fn enter;
	admission_end_fn end;
	void *arg;
	struct visitors visitors;
	uint64_t denied, busy;
};

struct admission *
admission_new(
	struct web_access *access, admission_fn enter, admission_end_fn end, void *arg)
{
	struct admission *admission = calloc(1, sizeof(*admission));

	if (!admission)
		return NULL;
	admission->access = access;
	admission->enter = enter;
	admission->end = end;
	admission->arg = arg;
	TAILQ_INIT(&admission->visitors);
	return admission;
}

/* Free a request whose connection is gone; it is nobody's but ours. */
static bool
free_if_gone(struct evhttp_request *request)
{
	if (evhttp_request_get_connection(request))
		return false;
	evhttp_request_free(request);
	return true;
}

void
admission_free(struct admission *admission)
{
	struct visitor *visitor;

	if (!admission)
		return;
	while ((visitor = TAILQ_FIRST(&admission->visitors))) {
		TAILQ_REMOVE(&admission->visitors, visitor, entry);
		free_if_gone(visitor->request);
		free(visitor);
	}
	free(admission);
}

static void
deny(struct admission *admission, struct evhttp_request *request)
{
	admission->denied++;
	reply_add_header(request, "WWW-Authenticate", "Basic");
	reply_text_then(
		request, UNAUTHORIZED, "Unauthorized\n", admission->end, admission->arg);
}

static void
turn_away(struct admission *admission, struct evhttp_request *request)
{
	admission->busy++;
	reply_come_again(request);
	reply_text_then(request, HTTP_SERVUNAVAIL, "Too many passwords wait already.\n",
		admission->end, admission->arg);
}

/* It is known whether the password is right. */
static void
judge(void *arg, bool good)
{
	struct visitor *visitor = arg;
	struct admission *admission = visitor->admission;
	struct evhttp_request *request = visitor->request;

	TAILQ_REMOVE(&admission->visitors, visitor, entry);
	free(visitor);
	if (free_if_gone(request))
		admission->end(admission->arg);
	else if (good)
		admission->enter(admission->arg, request);
	else
		deny(admission, request);
}

static void
check(struct admission *admission, struct evhttp_request *request,
	struct credentials *credentials)
{
	const char *authorization = evhttp_find_header(
		evhttp_request_get_input_headers(request), "Authorization");
	struct visitor *visitor = calloc(1, sizeof(*visitor));
	enum credentials_verdict verdict = CREDENTIALS_BUSY;

	if (visitor) {
		visitor->admission = admission;
		visitor->request = request;
		verdict = credentials_check(credentials, authorization, judge, visitor);
	}
	if (verdict == CREDENTIALS_LATER) {
		TAILQ_INSERT_TAIL(&admission->visitors, visitor, entry);
		return;
	}
	free(visitor);
	if (verdict == CREDENTIALS_GOOD)
		admission->enter(admission->arg, request);
	else if (verdict == CREDENTIALS_BAD)
		deny(admission, request);
	else
		turn_away(admission, request);
}

void
admission_ask(struct admission *admission, struct evhttp_request *request)
{
	struct credentials *credentials;
	const struct web_config_header *headers;
	size_t count;

	web_access_look(admission->access);
	headers = web_access_headers(admission->access, &count);
	for (size_t i = 0; i < count; i++)
		reply_add_header(request, headers[i].name, headers[i].value);
	credentials = web_access_credentials(admission->access);
	if (credentials)
		check(admission, request, credentials);
	else
		admission->enter(admission->arg, request);
}

uint64_t
admission_count_denied(const struct admission *admission)
{
	return admission->denied;
}

uint64_t
admission_count_busy(const struct admission *admission)
{
	return admission->busy;
}
