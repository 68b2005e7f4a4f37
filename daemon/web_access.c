/* SPDX-License-Identifier: MIT */
/* What --web.config.file says, in use; see web_access.h. */

#include "config.h"

#include "daemon/web_access.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/bufferevent.h>

#include "daemon/credentials.h"
#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/tls.h"
#include "daemon/web_config.h"

#define FILES 4

/* By what a file is known to be the same as before; zeros: there is none. */
struct print {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified, changed;
};

struct web_access {
	const char *path; /* NULL: there is no file */
	struct web_config *config;
	struct tls *tls;            /* or NULL */
	struct web_config *refused; /* the newest, if its certificates are not good */
	struct credentials *credentials;
	struct print prints[FILES]; /* of all files, as they were read last */
	bool successful;            /* that time */
	double success_seconds;
};

static struct print
print_of(const char *path)
{
	struct print print;
	struct stat st;

	/* Compared as a whole. */
	memset(&print, 0, sizeof(print));
	if (!path || stat(path, &st))
		return print;
	print.device = st.st_dev;
	print.inode = st.st_ino;
	print.bytes = st.st_size;
	print.modified = st.st_mtim;
	print.changed = st.st_ctim;
	return print;
}

/* Of the files that a configuration, if any, names. */
static void
print_named(const struct web_config *config, struct print prints[FILES])
{
	prints[1] = print_of(config ? config->tls.cert_file : NULL);
	prints[2] = print_of(config ? config->tls.key_file : NULL);
	prints[3] = print_of(config ? config->tls.client_ca_file : NULL);
}

/* Take the configuration and its certificates for use. */
static int
use(struct web_access *access, struct web_config *config, FILE *err)
{
	struct tls *tls = NULL;
	char why[TLS_WHY_BYTES];

	if (config->tls.cert_file) {
		tls = tls_new(&config->tls, why);
		if (!tls) {
			fprintf(err, "%s: %s\n", access->path, why);
			return -EINVAL;
		}
	}
	if (credentials_set(access->credentials, config->users, config->user_count) < 0) {
		fprintf(err, "%s: out of memory\n", access->path);
		tls_free(tls);
		return -ENOMEM;
	}
	tls_free(access->tls);
	web_config_free(access->config);
	access->tls = tls;
	access->config = config;
	return 0;
}

/* Read all files. What changes meanwhile will be seen to have changed. */
static int
read_files(struct web_access *access, FILE *err)
{
	struct web_config *config = NULL;
	int r;

	web_config_free(access->refused);
	access->refused = NULL;
	access->prints[0] = print_of(access->path);
	r = web_config_load(access->path, err, &config);
	print_named(config ? config : access->config, access->prints);
	if (r < 0)
		return r;
	r = use(access, config, err);
	if (r < 0)
		access->refused = config;
	return r;
}

/* Read all files, and log what is wrong with them: as errors before we serve, as warnings
 * afterwards. */
static int
read_and_tell(struct web_access *access, log_fn log)
{
	char *mistakes = NULL;
	size_t length = 0;
	FILE *err = open_memstream(&mistakes, &length);
	int r = err ? read_files(access, err) : -ENOMEM;

	if (err && fclose(err) == EOF)
		length = 0;
	if (length)
		log_lines(log, "web", mistakes);
	free(mistakes);
	access->successful = r == 0;
	if (r == 0)
		access->success_seconds = (double)event_unix_ns() / 1e9;
	return r;
}

struct web_access *
web_access_open(struct event_loop *loop, const char *path)
{
	struct web_access *access = calloc(1, sizeof(*access));

	if (access)
		access->credentials = credentials_new(loop);
	if (!access || !access->credentials) {
		log_error("web", "cannot serve: out of memory");
		web_access_close(access);
		return NULL;
	}
	access->path = path;
	if (path && read_and_tell(access, log_error) < 0) {
		log_error("web",
			"cannot serve by %s as it is; mend it, or leave out "
			"--web.config.file",
			path);
		web_access_close(access);
		return NULL;
	}
	return access;
}

void
web_access_close(struct web_access *access)
{
	if (!access)
		return;
	credentials_free(access->credentials);
	tls_free(access->tls);
	web_config_free(access->config);
	web_config_free(access->refused);
	free(access);
}

void
web_access_look(struct web_access *access)
{
	struct print prints[FILES];

	if (!access->path)
		return;
	prints[0] = print_of(access->path);
	print_named(access->refused ? access->refused : access->config, prints);
	if (!memcmp(prints, access->prints, sizeof(prints)))
		return;
	if (read_and_tell(access, log_warn) < 0)
		log_warn("web", "keeping the web configuration and the certificates that "
				"are in use");
	else
		log_info("web", "loaded %s and its certificates again", access->path);
}

bool
web_access_good(const struct web_access *access)
{
	return !access->path || access->successful;
}

bool
web_access_has_tls(const struct web_access *access)
{
	return access->tls != NULL;
}

struct bufferevent *
web_access_stream(const struct web_access *access, struct event_base *base)
{
	return access->tls ? tls_stream(access->tls, base)
			   : bufferevent_socket_new(base, -1, 0);
}

const struct web_config_header *
web_access_headers(const struct web_access *access, size_t *ret_count)
{
	*ret_count = access->config ? access->config->header_count : 0;
	return access->config ? access->config->headers : NULL;
}

struct credentials *
web_access_credentials(const struct web_access *access)
{
	return credentials_wanted(access->credentials) ? access->credentials : NULL;
}

void
web_access_collect(const struct web_access *access, struct metrics *metrics)
{
	if (!access->path)
		return;
	metrics_family(metrics, METRIC_GAUGE, "looplag_web_config_last_reload_successful",
		"Whether the web configuration and its certificates were good when they "
		"were last read.");
	metrics_add(metrics, &(struct metric_sample){.value = access->successful});
	metrics_family(metrics, METRIC_GAUGE,
		"looplag_web_config_last_reload_success_timestamp_seconds",
		"When the web configuration in use was read, in seconds since the "
		"epoch.");
	metrics_add(metrics, &(struct metric_sample){.value = access->success_seconds});
}

bool
web_access_check(const char *path, FILE *err)
{
	struct web_config *config = NULL;
	struct tls *tls = NULL;
	char why[TLS_WHY_BYTES];
	bool good = web_config_load(path, err, &config) == 0;

	if (good && config->tls.cert_file) {
		tls = tls_new(&config->tls, why);
		good = tls != NULL;
		if (!good)
			fprintf(err, "%s: %s\n", path, why);
	}
	tls_free(tls);
	web_config_free(config);
	return good;
}
