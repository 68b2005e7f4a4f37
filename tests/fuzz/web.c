/* SPDX-License-Identifier: MIT */
/* Any text as a web configuration: it is taken, or told what is wrong with it, where. And as
 * what a request says of its user and password: that is no good, or has to be compared. */

#include "config.h"

#include "daemon/web_config.h"

#include <errno.h>
#include <string.h>

#include "daemon/credentials.h"
#include "daemon/event.h"
#include "daemon/worker.h"
#include "tests/fuzz/fuzz.h"

#define PATH "web.yml"
#define HASH "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

static struct event_loop *loop; /* or it looks as if it were lost */
static struct credentials *credentials;

/* To compare takes too long. */
int
__wrap_worker_submit(struct worker *worker, struct worker_job *job);
int
__wrap_worker_submit(struct worker *worker, struct worker_job *job)
{
	return -EAGAIN;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct web_config_user user = {.name = (char[]){"a"}, .hash = HASH};

	loop = event_loop_new();
	credentials = credentials_new(loop);
	fuzz_check(credentials && !credentials_set(credentials, &user, 1));
	return 0;
}

static void
check_config(const struct web_config *config)
{
	const struct tls_settings *tls = &config->tls;

	fuzz_check(!tls->cert_file == !tls->key_file);
	fuzz_check(!tls->cert_file || (*tls->cert_file && *tls->key_file));
	fuzz_check(tls->client_auth >= TLS_NO_CLIENT_CERT &&
		   tls->client_auth <= TLS_REQUIRE_AND_VERIFY_CLIENT_CERT);
	fuzz_check(tls->client_auth < TLS_VERIFY_CLIENT_CERT_IF_GIVEN ||
		   (tls->client_ca_file && *tls->client_ca_file));
	fuzz_check(tls->min_version >= TLS_1_0 && tls->min_version <= tls->max_version &&
		   tls->max_version <= TLS_1_3);
	fuzz_check(config->header_count <= WEB_CONFIG_HEADERS);
	for (size_t i = 0; i < config->header_count; i++) {
		fuzz_check(config->headers[i].name);
		fuzz_check(!strpbrk(config->headers[i].value, "\r\n"));
	}
	fuzz_check(config->user_count <= WEB_CONFIG_USERS_MAX);
	for (size_t i = 0; i < config->user_count; i++) {
		fuzz_check(*config->users[i].name && !strchr(config->users[i].name, ':'));
		fuzz_check(strlen(config->users[i].hash) == WEB_CONFIG_HASH_BYTES - 1);
	}
}

static void
let_in(void *arg, bool good)
{
	fuzz_check(false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words = NULL, *text = strndup((const char *)data, size);
	enum credentials_verdict verdict;
	struct web_config *config = NULL;
	size_t words_size = 0;
	FILE *err = open_memstream(&words, &words_size);
	int r;

	fuzz_check(err && text);
	r = web_config_parse((const char *)data, size, PATH, err, &config);
	fclose(err);
	fuzz_check(r == 0 || r == -EINVAL);
	fuzz_check((r == 0) == (config && !words_size));
	if (r == 0)
		check_config(config);
	else
		fuzz_check(!strncmp(words, PATH ":", strlen(PATH ":")));
	web_config_free(config);
	free(words);
	verdict = credentials_check(credentials, text, let_in, NULL);
	fuzz_check(verdict == CREDENTIALS_BAD || verdict == CREDENTIALS_BUSY);
	free(text);
	return 0;
}
