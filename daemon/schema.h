/* SPDX-License-Identifier: MIT */
/*
 * The keys of the configuration file, in one table: the parser, the defaults, what is told
 * of mistakes, and the checks of sample file and manual page are made from it.
 */
#ifndef LOOPLAG_DAEMON_SCHEMA_H
#define LOOPLAG_DAEMON_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

struct document_node;
struct mistakes;

/* Where a key may stand; keys of an alert depend on its type. */
enum schema_section {
	SCHEMA_TOP = 1,
	SCHEMA_ALERT = 2, /* any alert */
	SCHEMA_DELAY = 4,
	SCHEMA_STALLED = 8,
	SCHEMA_STARVED = 16,
	SCHEMA_GROUP = 32
};

/* Of a value, and what it is kept as. */
enum schema_type {
	SCHEMA_BOOL,     /* bool */
	SCHEMA_COUNT,    /* unsigned */
	SCHEMA_DURATION, /* uint64_t, nanoseconds */
	SCHEMA_PERIOD,   /* the same, or "never": UINT64_MAX */
	SCHEMA_SECONDS,  /* a duration too: double */
	SCHEMA_SHARE,    /* a number: double */
	SCHEMA_NAME,     /* char * */
	SCHEMA_TEMPLATE, /* char * */
	SCHEMA_PATTERN,  /* struct pattern * */
	SCHEMA_KIND,     /* enum configuration_alert_type */
	SCHEMA_BUCKETS,  /* lists, which configuration.c reads */
	SCHEMA_ALERTS,
	SCHEMA_GROUPS
};

struct schema_option {
	enum schema_section section;
	const char *key;
	enum schema_type type;
	size_t offset;       /* in the struct of its section */
	double least, most;  /* of a duration in seconds */
	const char *initial; /* as in a file; NULL: it is nothing, or required */
	bool required;
	const char *help;
};

/* All of them. Constant. */
const struct schema_option *
schema_options(size_t *ret_count);

/* The option of that key in any of the sections, or NULL. */
const struct schema_option *
schema_find(unsigned sections, const char *key);

/* The key in these sections that was probably meant, or NULL. */
const char *
schema_similar(unsigned sections, const char *key);

/* Give the option's place in `object` what a node says. Returns whether that is good; if
 * not, it was told. Not for lists. */
bool
schema_set(const struct schema_option *option, const struct document_node *node,
	struct mistakes *mistakes, void *object);

/* Tell that a node is not what the option expects; `why` may be NULL. */
void
schema_refuse(const struct schema_option *option, const struct document_node *node,
	struct mistakes *mistakes, const char *why);

#endif
