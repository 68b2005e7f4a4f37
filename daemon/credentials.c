/* SPDX-License-Identifier: MIT */
/* Basic authentication (RFC 7617) against bcrypt hashes; see credentials.h. */

#include "config.h"

#include "daemon/credentials.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/web_config.h"
#include "daemon/worker.h"

#define SCHEME "Basic "
/* More of a password does not count in bcrypt, and libxcrypt takes no more than 511. */
#define PASSWORD_BYTES 73
/* As many as that are compared within some seconds. */
#define WAITING_MAX 32

struct user {
	char *name;
	char hash[WEB_CONFIG_HASH_BYTES];
	char password[PASSWORD_BYTES]; /* that was found right */
	bool found;
};

struct credentials {
	struct worker *worker;
	struct user *users;
	size_t count;
	unsigned waiting;
};

/* A password that is compared. */
struct job {
	struct worker_job head; /* first: it is this one */
	struct credentials *credentials;
	credentials_fn done;
	void *arg;
	char *name; /* NULL: nobody is called so */
	char hash[WEB_CONFIG_HASH_BYTES];
	char password[PASSWORD_BYTES];
	bool equal;
};

struct credentials *
credentials_new(struct event_loop *loop)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials)
		return NULL;
	credentials->worker = worker_new(loop);
	if (!credentials->worker) {
		free(credentials);
		return NULL;
	}
	return credentials;
}

static void
free_users(struct user *users, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(users[i].name);
		explicit_bzero(users[i].password, sizeof(users[i].password));
	}
	free(users);
}

void
credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	worker_free(credentials->worker);
	free_users(credentials->users, credentials->count);
	free(credentials);
}

static struct user *
find(const struct credentials *credentials, const char *name)
{
	for (size_t i = 0; i < credentials->count; i++)
		if (!strcmp(credentials->users[i].name, name))
			return &credentials->users[i];
	return NULL;
}

int
credentials_set(struct credentials *credentials, const struct web_config_user *users,
	size_t count)
{
	struct user *copies = calloc(count + 1, sizeof(*copies));

	if (!copies)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct user *before = find(credentials, users[i].name);

		if (before && !strcmp(before->hash, users[i].hash))
			copies[i] = *before;
		copies[i].name = strdup(users[i].name);
		if (!copies[i].name) {
			free_users(copies, i);
			return -ENOMEM;
		}
		strcpy(copies[i].hash, users[i].hash);
	}
	free_users(credentials->users, credentials->count);
	credentials->users = copies;
	credentials->count = count;
	return 0;
}

bool
credentials_wanted(const struct credentials *credentials)
{
	return credentials->count > 0;
}

/* Decode base64 with its padding. Returns the text, or NULL: it is none, has a NUL in it,
 * or there is no memory. */
static char *
decode(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strspn(text, digits), padding = strspn(text + length, "=");
	char *decoded = malloc(length / 4 * 3 + 4), *end = decoded;
	unsigned bits = 0, value = 0;

	if (!decoded || text[length + padding] || (length + padding) % 4 || padding > 2)
		goto fail;
	for (size_t i = 0; i < length; i++) {
		value = value << 6 | (unsigned)(strchr(digits, text[i]) - digits);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		*end = (char)(value >> bits);
		if (!*end++)
			goto fail;
	}
	*end = 0;
	return decoded;
fail:
	free(decoded);
	return NULL;
}

/* In the thread. */
static void
compare(struct worker_job *head)
{
	struct job *job = (struct job *)head;
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *hash;

	if (!data)
		return;
	hash = crypt_r(job->password, job->hash, data);
	job->equal = hash && !strcmp(hash, job->hash);
	explicit_bzero(data, sizeof(*data));
	free(data);
}

static void
drop(struct worker_job *head)
{
	struct job *job = (struct job *)head;

	explicit_bzero(job->password, sizeof(job->password));
	free(job->name);
	free(job);
}

static void
finish(struct worker_job *head)
{
	struct job *job = (struct job *)head;
	struct credentials *credentials = job->credentials;
	struct user *user = job->name ? find(credentials, job->name) : NULL;
	/* There may be other users, or another password, by now. */
	bool good = user && job->equal && !strcmp(user->hash, job->hash);

	credentials->waiting--;
	if (good) {
		memcpy(user->password, job->password, sizeof(user->password));
		user->found = true;
	}
	job->done(job->arg, good);
	drop(head);
}

/* Whether it is the password that was found right, in the same time for all that are not. */
static bool
is_found(const struct user *user, const char password[PASSWORD_BYTES])
{
	volatile unsigned char differences = 0;

	for (size_t i = 0; i < PASSWORD_BYTES; i++)
		differences |= (unsigned char)(user->password[i] ^ password[i]);
	return user->found && !differences;
}

/* Have the password of a user, or of nobody, compared. */
static enum credentials_verdict
submit(struct credentials *credentials, const struct user *user,
	const char password[PASSWORD_BYTES], credentials_fn done, void *arg)
{
	struct job *job;

	if (credentials->waiting == WAITING_MAX)
		return CREDENTIALS_BUSY;
	job = calloc(1, sizeof(*job));
	if (!job)
		return CREDENTIALS_BUSY;
	job->head = (struct worker_job){.work = compare, .done = finish, .drop = drop};
	job->credentials = credentials;
	job->done = done;
	job->arg = arg;
	job->name = user ? strdup(user->name) : NULL;
	strcpy(job->hash, user ? user->hash : credentials->users[0].hash);
	memcpy(job->password, password, PASSWORD_BYTES);
	if ((user && !job->name) || worker_submit(credentials->worker, &job->head) < 0) {
		drop(&job->head);
		return CREDENTIALS_BUSY;
	}
	credentials->waiting++;
	return CREDENTIALS_LATER;
}

enum credentials_verdict
credentials_check(struct credentials *credentials, const char *authorization,
	credentials_fn done, void *arg)
{
	char password[PASSWORD_BYTES] = "", *text, *colon;
	enum credentials_verdict verdict = CREDENTIALS_BAD;
	const struct user *user;

	if (!authorization || strncasecmp(authorization, SCHEME, strlen(SCHEME)))
		return CREDENTIALS_BAD;
	text = decode(authorization + strlen(SCHEME));
	colon = text ? strchr(text, ':') : NULL;
	if (colon) {
		*colon = 0;
		/* strncpy() fills up with zeros: all of it is compared. */
		strncpy(password, colon + 1, sizeof(password) - 1);
		user = find(credentials, text);
		verdict = user && is_found(user, password)
				  ? CREDENTIALS_GOOD
				  : submit(credentials, user, password, done, arg);
		explicit_bzero(colon + 1, strlen(colon + 1));
	}
	explicit_bzero(password, sizeof(password));
	free(text);
	return verdict;
}
