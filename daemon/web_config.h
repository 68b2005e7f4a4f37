/* SPDX-License-Identifier: MIT */
/*
 * The file of --web.config.file, in the format that Prometheus's exporters share
 * (exporter-toolkit, docs/web-configuration.md, as of its release 0.8): who may ask, and by
 * what certificate we answer. What is accepted here, `promtool check web-config` accepts,
 * too. A file is taken whole or not at all, and every mistake in it is told.
 */
#ifndef LOOPLAG_DAEMON_WEB_CONFIG_H
#define LOOPLAG_DAEMON_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/tls.h"

#define WEB_CONFIG_USERS_MAX 256
#define WEB_CONFIG_HEADERS 5
#define WEB_CONFIG_HASH_BYTES 61

struct web_config_user {
	char *name;
	char hash[WEB_CONFIG_HASH_BYTES]; /* bcrypt, of the password */
};

/* Sent with each answer. */
struct web_config_header {
	const char *name; /* constant */
	char *value;
};

struct web_config {
	struct tls_settings tls; /* without a cert_file: plain HTTP */
	struct web_config_user *users;
	size_t user_count; /* 0: everybody may ask */
	struct web_config_header headers[WEB_CONFIG_HEADERS];
	size_t header_count;
	bool http2; /* without a meaning: all speak HTTP/1.1, too */
};

void
web_config_free(struct web_config *config);

/* Read a text, which is called `path` in messages; names of files in it are relative to
 * that. Each mistake is one line on `err`: path:line:column: what, what was expected.
 * Returns 0, -EINVAL or -ENOMEM, and then nothing is returned. */
__attribute__((warn_unused_result)) int
web_config_parse(const char *text, size_t length, const char *path, FILE *err,
	struct web_config **ret_config);

/* Read a file; that it cannot be read is told on `err` too, and another -errno. */
__attribute__((warn_unused_result)) int
web_config_load(const char *path, FILE *err, struct web_config **ret_config);

#endif
