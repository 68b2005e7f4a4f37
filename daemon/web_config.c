/* SPDX-License-Identifier: MIT */
/* From the web configuration's text to what it means; see web_config.h. */

#include "config.h"

#include "daemon/web_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/document.h"
#include "daemon/mistakes.h"
#include "daemon/similar.h"
#include "daemon/text_file.h"
#include "daemon/web_words.h"

/* Each further step takes twice as long, and a turn of the queue: 16 takes three seconds. */
#define COST_MIN 4
#define COST_MAX 16
#define KEYS_MAX 16

struct reader {
	struct mistakes mistakes;
	struct web_config *config;
	const char *path;
	bool no_memory;
};

enum kind {
	KIND_BOOL,    /* bool */
	KIND_WORD,    /* int: what the word stands for */
	KIND_WORDS,   /* char *: a list of them */
	KIND_PATH,    /* char * */
	KIND_HEADER,  /* one of a few words, or of any */
	KIND_HEADERS, /* sections of the file */
	KIND_HTTP,
	KIND_TLS,
	KIND_USERS
};

/* A key, where its value is kept, and the words that it may be. */
struct key {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct web_config */
	const struct web_word *words;
};

#define TLS(field) offsetof(struct web_config, tls.field)

void
web_config_free(struct web_config *config)
{
	if (!config)
		return;
	free(config->tls.cert_file);
	free(config->tls.key_file);
	free(config->tls.client_ca_file);
	free(config->tls.ciphers);
	free(config->tls.curves);
	for (size_t i = 0; i < config->user_count; i++)
		free(config->users[i].name);
	free(config->users);
	for (size_t i = 0; i < config->header_count; i++)
		free(config->headers[i].value);
	free(config);
}

/* What YAML has for no value at all. */
static bool
is_nothing(const struct document_node *node)
{
	return node->kind == DOCUMENT_SCALAR && node->plain &&
	       (!node->text[0] || !strcmp(node->text, "~") ||
		       !strcasecmp(node->text, "null"));
}

/* Tell that a key's value, or an item of it, is not what was expected. */
static void
refuse(struct reader *reader, const struct document_node *key,
	const struct document_node *value, const char *why, const char *expected)
{
	char quoted[MISTAKES_QUOTE_BYTES];
	const char *found = document_kind_name(value);

	/* What is bad was told when it was read. */
	if (value->kind == DOCUMENT_BAD)
		return;
	if (is_nothing(value))
		found = "nothing";
	else if (value->kind == DOCUMENT_SCALAR)
		found = mistakes_quote(value->text, quoted);
	mistakes_add(&reader->mistakes, value->line, value->column,
		"%s: %s%s%s; expected %s", key->text, found, *why ? " " : "", why,
		expected);
}

/* The text of a value, or NULL if it has none, which was told. */
static const char *
text_of(struct reader *reader, const struct document_node *key,
	const struct document_node *value, const char *expected)
{
	if (value->kind == DOCUMENT_SCALAR && !is_nothing(value))
		return value->text;
	refuse(reader, key, value, "", expected);
	return NULL;
}

static void
list_words(const struct web_word *words, FILE *out)
{
	for (; words->name; words++)
		fprintf(out, "%s%s", words->name,
			!words[1].name   ? ""
			: !words[2].name ? " or "
					 : ", ");
}

/* The word that a value is, or NULL if it is none of them, which was told. */
static const struct web_word *
word_of(struct reader *reader, const struct document_node *key,
	const struct document_node *value, const struct web_word *words)
{
	char *expected = NULL;
	size_t length;
	FILE *out;

	for (const struct web_word *word = words; word->name; word++)
		if (value->kind == DOCUMENT_SCALAR && !strcmp(value->text, word->name) &&
			(value->plain || words != web_words_booleans))
			return word;
	out = open_memstream(&expected, &length);
	if (out) {
		list_words(words, out);
		fclose(out);
	}
	refuse(reader, key, value, "", expected ? expected : "another word");
	free(expected);
	return NULL;
}

/* A file's name, relative to the directory of ours. */
static void
read_path(struct reader *reader, const struct document_node *key, char **ret_path)
{
	static const char expected[] = "the name of a PEM file";
	const char *text = text_of(reader, key, key->value, expected);
	const char *slash = strrchr(reader->path, '/');
	int length =
		text && text[0] != '/' && slash ? (int)(slash + 1 - reader->path) : 0;

	if (!text)
		return;
	if (!text[0])
		refuse(reader, key, key->value, "", expected);
	else if (asprintf(ret_path, "%.*s%s", length, reader->path, text) < 0) {
		*ret_path = NULL;
		reader->no_memory = true;
	}
}

/* A list of words, as a text with colons between; NULL for an empty list. */
static void
read_words(struct reader *reader, const struct document_node *key,
	const struct web_word *words, char **ret_text)
{
	size_t length;
	FILE *out;

	if (key->value->kind != DOCUMENT_LIST) {
		refuse(reader, key, key->value, "", "a list");
		return;
	}
	out = key->value->first ? open_memstream(ret_text, &length) : NULL;
	if (!out) {
		reader->no_memory |= !!key->value->first;
		return;
	}
	for (const struct document_node *item = key->value->first; item;
		item = item->next) {
		const struct web_word *word = word_of(reader, key, item, words);

		if (word && *word->text)
			fprintf(out, "%s%s", ftell(out) > 0 ? ":" : "", word->text);
	}
	if (fclose(out)) {
		free(*ret_text);
		*ret_text = NULL;
		reader->no_memory = true;
	}
}

static void
read_header(
	struct reader *reader, const struct document_node *node, const struct key *key)
{
	static const char expected[] = "a line of text";
	struct web_config *config = reader->config;
	const struct web_word *word = NULL;
	const char *text;
	char *value;

	if (key->words) {
		word = word_of(reader, node, node->value, key->words);
		text = word ? word->name : NULL;
	} else {
		text = text_of(reader, node, node->value, expected);
	}
	for (const char *at = text; at && *at; at++) {
		if ((unsigned char)*at >= 0x20 && *at != 0x7f)
			continue;
		refuse(reader, node, node->value, "has a control character", expected);
		return;
	}
	if (!text)
		return;
	value = strdup(text);
	if (value)
		config->headers[config->header_count++] =
			(struct web_config_header){key->name, value};
	else
		reader->no_memory = true;
}

static void
tell_unknown(struct reader *reader, const char *what, const struct key *keys,
	const struct document_node *key)
{
	const char *names[KEYS_MAX], *similar;
	char quoted[MISTAKES_QUOTE_BYTES];
	size_t count = 0;

	for (; keys[count].name; count++)
		names[count] = keys[count].name;
	similar = similar_find(key->text, names, count);
	mistakes_add(&reader->mistakes, key->line, key->column,
		"unknown key %s in %s%s%s%s", mistakes_quote(key->text, quoted), what,
		similar ? "; did you mean " : "", similar ? similar : "",
		similar ? "?" : "");
}

/* Whether it is a key, and the first of its name; if not, tell. */
static bool
check_key(struct reader *reader, const struct document_node *mapping,
	const struct document_node *key)
{
	const struct document_node *first;
	char quoted[MISTAKES_QUOTE_BYTES];

	if (key->kind != DOCUMENT_SCALAR) {
		if (key->kind != DOCUMENT_BAD)
			mistakes_add(&reader->mistakes, key->line, key->column,
				"%s in place of a key", document_kind_name(key));
		return false;
	}
	first = document_key(mapping, key->text);
	if (first != key)
		mistakes_add(&reader->mistakes, key->line, key->column,
			"%s is given twice; line %u has it too",
			mistakes_quote(key->text, quoted), first->line);
	return first == key;
}

/* Whether there are keys and values to be read; if there is something else, tell. */
static bool
is_mapping(struct reader *reader, const char *what, const struct document_node *node)
{
	if (node->kind == DOCUMENT_MAPPING || node->kind == DOCUMENT_BAD ||
		is_nothing(node))
		return node->kind == DOCUMENT_MAPPING;
	mistakes_add(&reader->mistakes, node->line, node->column,
		"%s; expected %s: keys and values", document_kind_name(node), what);
	return false;
}

static void
read_value(
	struct reader *reader, const struct document_node *node, const struct key *key);

static void
read_mapping(struct reader *reader, const char *what, const struct key *keys,
	const struct document_node *mapping)
{
	if (!is_mapping(reader, what, mapping))
		return;
	for (const struct document_node *node = mapping->first; node; node = node->next) {
		const struct key *key = keys;

		if (!check_key(reader, mapping, node))
			continue;
		while (key->name && strcmp(key->name, node->text))
			key++;
		if (key->name)
			read_value(reader, node, key);
		else
			tell_unknown(reader, what, keys, node);
	}
}

/* What the settings of TLS must be together. */
static void
check_tls(struct reader *reader, const struct document_node *node)
{
	const struct tls_settings *tls = &reader->config->tls;
	const char *wrong = NULL;

	if (!tls->cert_file || !tls->key_file)
		wrong = tls->cert_file ? "needs 'key_file'" : "needs 'cert_file'";
	else if (tls->client_ca_file && tls->client_auth == TLS_NO_CLIENT_CERT)
		wrong = "has a client_ca_file, but a client_auth_type by which no client "
			"is asked; expected RequireAndVerifyClientCert or another one";
	else if (!tls->client_ca_file &&
		 tls->client_auth >= TLS_VERIFY_CLIENT_CERT_IF_GIVEN)
		wrong = "needs 'client_ca_file' to verify clients by";
	else if (tls->min_version > tls->max_version)
		wrong = "has a min_version above max_version; expected no such thing";
	else if (tls->ciphers && !*tls->ciphers && tls->max_version < TLS_1_3)
		wrong = "has no cipher suite for its max_version";
	if (wrong)
		mistakes_add(&reader->mistakes, node->line, node->column,
			"tls_server_config %s", wrong);
}

static void
read_tls(struct reader *reader, const struct document_node *key)
{
	static const struct key keys[] = {
		{"cert_file", KIND_PATH, TLS(cert_file), NULL},
		{"cipher_suites", KIND_WORDS, TLS(ciphers), web_words_ciphers},
		{"client_auth_type", KIND_WORD, TLS(client_auth), web_words_client_auths},
		{"client_ca_file", KIND_PATH, TLS(client_ca_file), NULL},
		{"curve_preferences", KIND_WORDS, TLS(curves), web_words_curves},
		{"key_file", KIND_PATH, TLS(key_file), NULL},
		{"max_version", KIND_WORD, TLS(max_version), web_words_versions},
		{"min_version", KIND_WORD, TLS(min_version), web_words_versions},
		{"prefer_server_cipher_suites", KIND_BOOL, TLS(prefer_server_ciphers),
			web_words_booleans},
		{NULL, 0, 0, NULL},
	};
	size_t before = reader->mistakes.count;

	read_mapping(reader, key->text, keys, key->value);
	if (reader->mistakes.count == before && !reader->no_memory &&
		key->value->kind == DOCUMENT_MAPPING && key->value->first)
		check_tls(reader, key->value);
}

static void
read_headers(struct reader *reader, const struct document_node *key)
{
	static const struct web_word nosniff[] = {{"nosniff", 0, NULL}, {NULL, 0, NULL}};
	static const struct web_word frames[] = {
		{"deny", 0, NULL}, {"sameorigin", 0, NULL}, {NULL, 0, NULL}};
	static const struct key keys[] = {
		{"Content-Security-Policy", KIND_HEADER, 0, NULL},
		{"Strict-Transport-Security", KIND_HEADER, 0, NULL},
		{"X-Content-Type-Options", KIND_HEADER, 0, nosniff},
		{"X-Frame-Options", KIND_HEADER, 0, frames},
		{"X-XSS-Protection", KIND_HEADER, 0, NULL},
		{NULL, 0, 0, NULL},
	};

	read_mapping(reader, key->text, keys, key->value);
}

static void
read_http(struct reader *reader, const struct document_node *key)
{
	static const struct key keys[] = {
		{"headers", KIND_HEADERS, 0, NULL},
		{"http2", KIND_BOOL, offsetof(struct web_config, http2),
			web_words_booleans},
		{NULL, 0, 0, NULL},
	};

	read_mapping(reader, key->text, keys, key->value);
}

/* NULL if it is a bcrypt hash, or what is wrong. */
static const char *
check_hash(const char *text)
{
	static const char letters[] =
		"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	int cost;

	if (strlen(text) != WEB_CONFIG_HASH_BYTES - 1 || strncmp(text, "$2", 2) ||
		!strchr("aby", text[2]) || text[3] != '$' ||
		strspn(text + 4, "0123456789") != 2 || text[6] != '$' ||
		strspn(text + 7, letters) != WEB_CONFIG_HASH_BYTES - 8)
		return "is none";
	cost = atoi(text + 4);
	return cost < COST_MIN || cost > COST_MAX ? "has a cost out of range" : NULL;
}

static void
read_user(struct reader *reader, const struct document_node *key)
{
	static const char expected[] = "a bcrypt hash with a cost from 4 to 16, such as "
				       "htpasswd -nBC 10 '' prints after the colon";
	struct web_config *config = reader->config;
	struct web_config_user *user = &config->users[config->user_count];
	const struct document_node *value = key->value;
	const char *why = value->kind == DOCUMENT_SCALAR && !is_nothing(value)
				  ? check_hash(value->text)
				  : "is none";

	if (is_nothing(key) || !key->text[0] || strchr(key->text, ':') ||
		!strcmp(key->text, "<<"))
		mistakes_add(&reader->mistakes, key->line, key->column,
			"basic_auth_users: expected a user's name, without a colon");
	else if (why && value->kind != DOCUMENT_BAD)
		/* Not the value: it may be a password by mistake. */
		mistakes_add(&reader->mistakes, value->line, value->column,
			"basic_auth_users: what stands here %s; expected %s", why,
			expected);
	if (why)
		return;
	user->name = strdup(key->text);
	strcpy(user->hash, value->text);
	if (user->name)
		config->user_count++;
	else
		reader->no_memory = true;
}

static void
read_users(struct reader *reader, const struct document_node *key)
{
	const struct document_node *node;
	size_t count = 0;

	if (!is_mapping(reader, key->text, key->value))
		return;
	for (node = key->value->first; node; node = node->next)
		count++;
	if (count > WEB_CONFIG_USERS_MAX) {
		refuse(reader, key, key->value, "with too many users",
			"256 of them at most");
		return;
	}
	reader->config->users = calloc(count + 1, sizeof(*reader->config->users));
	if (!reader->config->users) {
		reader->no_memory = true;
		return;
	}
	for (node = key->value->first; node; node = node->next)
		if (check_key(reader, key->value, node))
			read_user(reader, node);
}

static void
read_value(struct reader *reader, const struct document_node *node, const struct key *key)
{
	void *place = (char *)reader->config + key->offset;
	const struct web_word *word;

	switch (key->kind) {
	case KIND_BOOL:
	case KIND_WORD:
		word = word_of(reader, node, node->value, key->words);
		if (word && key->kind == KIND_BOOL)
			*(bool *)place = word->number;
		else if (word)
			*(int *)place = word->number;
		break;
	case KIND_WORDS:
		read_words(reader, node, key->words, place);
		break;
	case KIND_PATH:
		read_path(reader, node, place);
		break;
	case KIND_HEADER:
		read_header(reader, node, key);
		break;
	case KIND_HEADERS:
		read_headers(reader, node);
		break;
	case KIND_HTTP:
		read_http(reader, node);
		break;
	case KIND_TLS:
		read_tls(reader, node);
		break;
	case KIND_USERS:
		read_users(reader, node);
		break;
	}
}

static void
read_root(struct reader *reader, const struct document_node *root)
{
	static const struct key keys[] = {
		{"basic_auth_users", KIND_USERS, 0, NULL},
		{"http_server_config", KIND_HTTP, 0, NULL},
		{"tls_server_config", KIND_TLS, 0, NULL},
		{NULL, 0, 0, NULL},
	};

	read_mapping(reader, "the web configuration", keys, root);
}

int
web_config_parse(const char *text, size_t length, const char *path, FILE *err,
	struct web_config **ret_config)
{
	struct reader reader = {
		.config = calloc(1, sizeof(*reader.config)), .path = path};
	struct document_node *root = NULL;
	int r = -ENOMEM;

	if (reader.config) {
		reader.config->tls.min_version = TLS_1_2;
		reader.config->tls.max_version = TLS_1_3;
		reader.config->tls.prefer_server_ciphers = true;
		r = document_read(text, length, &reader.mistakes, &root);
	}
	if (r == 0 && root)
		read_root(&reader, root);
	document_free(root);
	if (reader.no_memory)
		r = -ENOMEM;
	else if (r == 0 && reader.mistakes.count)
		r = -EINVAL;
	mistakes_print(&reader.mistakes, path, err);
	if (r == -ENOMEM)
		fprintf(err, "%s: out of memory\n", path);
	mistakes_fini(&reader.mistakes);
	if (r < 0)
		web_config_free(reader.config);
	else
		*ret_config = reader.config;
	return r;
}

int
web_config_load(const char *path, FILE *err, struct web_config **ret_config)
{
	size_t length = 0;
	char *text = NULL;
	int r = text_file_load(path, err, &text, &length);

	if (r < 0)
		return r;
	r = web_config_parse(text, length, path, err, ret_config);
	free(text);
	return r;
}
