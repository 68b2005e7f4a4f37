/* SPDX-License-Identifier: MIT */
/* HTTP by libcurl: one connection that is kept, plain GET, no proxy, no redirection. */

#include "config.h"

#include "cli/fetch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_CURL

#include <curl/curl.h>

#define CONNECT_MS 2000l
#define ANSWER_MS 10000l
#define BODY_MAX (64u << 20)

struct fetch {
	CURL *curl;
	const char *url;
	char words[CURL_ERROR_SIZE];
	char *body;
	size_t size;
	bool (*gives_up)(void *arg); /* or NULL */
	void *gives_up_arg;
};

bool
fetch_is_possible(void)
{
	return true;
}

/* Keep a part of the body. */
static size_t
keep(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *fetch = arg;
	size_t bytes = size * count;
	char *body;

	if (bytes > BODY_MAX - fetch->size)
		return 0;
	body = realloc(fetch->body, fetch->size + bytes + 1);
	if (!body)
		return 0;
	if (bytes)
		memcpy(body + fetch->size, data, bytes);
	fetch->body = body;
	fetch->size += bytes;
	body[fetch->size] = '\0';
	return bytes;
}

/* Give up as soon as a signal waits for us, or somebody says so. */
static int
look_for_signals(void *arg, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
	curl_off_t up)
{
	const struct fetch *fetch = arg;
	sigset_t waiting;

	if (fetch->gives_up && fetch->gives_up(fetch->gives_up_arg))
		return 1;
	return !sigpending(&waiting) && (sigismember(&waiting, SIGINT) == 1 ||
						sigismember(&waiting, SIGTERM) == 1);
}

struct fetch *
fetch_new(const char *url)
{
	const char *authorities = getenv("SSL_CERT_FILE");
	struct fetch *fetch = calloc(1, sizeof *fetch);

	if (!fetch)
		return NULL;
	fetch->url = url;
	fetch->curl = curl_easy_init();
	if (!fetch->curl) {
		free(fetch);
		return NULL;
	}
	curl_easy_setopt(fetch->curl, CURLOPT_ERRORBUFFER, fetch->words);
	/* A password is in ~/.netrc, where no other user sees it, or in the URL. */
	curl_easy_setopt(fetch->curl, CURLOPT_NETRC, CURL_NETRC_OPTIONAL);
	if (authorities)
		curl_easy_setopt(fetch->curl, CURLOPT_CAINFO, authorities);
	curl_easy_setopt(fetch->curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(fetch->curl, CURLOPT_WRITEDATA, fetch);
	curl_easy_setopt(fetch->curl, CURLOPT_XFERINFOFUNCTION, look_for_signals);
	curl_easy_setopt(fetch->curl, CURLOPT_XFERINFODATA, fetch);
	curl_easy_setopt(fetch->curl, CURLOPT_NOPROGRESS, 0l);
	curl_easy_setopt(fetch->curl, CURLOPT_NOSIGNAL, 1l);
	curl_easy_setopt(fetch->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(fetch->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(fetch->curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
	curl_easy_setopt(fetch->curl, CURLOPT_USERAGENT, "looplag/" PACKAGE_VERSION);
	return fetch;
}

void
fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	curl_easy_cleanup(fetch->curl);
	free(fetch->body);
	free(fetch);
}

void
fetch_interrupt(struct fetch *fetch, bool (*fn)(void *arg), void *arg)
{
	fetch->gives_up = fn;
	fetch->gives_up_arg = arg;
}

/* What a transfer has come to. */
static int
judge(struct fetch *fetch, CURLcode code, char ret_error[FETCH_ERROR_BYTES])
{
	long status = 0, error = 0;

	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -EINTR;
	curl_easy_getinfo(fetch->curl, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && error) {
		snprintf(ret_error, FETCH_ERROR_BYTES, "%s", strerror((int)error));
		return -ENOTCONN;
	}
	if (code) {
		snprintf(ret_error, FETCH_ERROR_BYTES, "%s",
			*fetch->words ? fetch->words : curl_easy_strerror(code));
		return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT
			       ? -EPROTO
			       : -ENOTCONN;
	}
	curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		snprintf(ret_error, FETCH_ERROR_BYTES, "it answers with HTTP status %ld",
			status);
		return -EPROTO;
	}
	return 0;
}

int
fetch_get(struct fetch *fetch, const char *path, char **ret_body,
	char ret_error[FETCH_ERROR_BYTES])
{
	CURLcode code = CURLE_OUT_OF_MEMORY;
	char *address;
	int r;

	free(fetch->body);
	fetch->body = NULL;
	fetch->size = 0;
	*fetch->words = '\0';
	/* An empty body is one, too. */
	if (!keep(NULL, 0, 0, fetch) && fetch->body &&
		asprintf(&address, "%s%s", fetch->url, path) >= 0) {
		curl_easy_setopt(fetch->curl, CURLOPT_URL, address);
		code = curl_easy_perform(fetch->curl);
		free(address);
	}
	r = judge(fetch, code, ret_error);
	if (!r) {
		*ret_body = fetch->body;
		fetch->body = NULL;
	}
	return r;
}

#else

bool
fetch_is_possible(void)
{
	return false;
}

struct fetch *
fetch_new(const char *url)
{
	return NULL;
}

void
fetch_free(struct fetch *fetch)
{
}

void
fetch_interrupt(struct fetch *fetch, bool (*fn)(void *arg), void *arg)
{
}

int
fetch_get(struct fetch *fetch, const char *path, char **ret_body,
	char ret_error[FETCH_ERROR_BYTES])
{
	return -ENOSYS;
}

#endif
