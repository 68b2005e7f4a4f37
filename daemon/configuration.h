/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what the file says, or the defaults. A file is parsed as a whole into
 * a fresh struct, every mistake in it is told, and it is taken whole or not at all. The
 * keys and their defaults stand in one table: schema.c.
 */
#ifndef LOOPLAG_DAEMON_CONFIGURATION_H
#define LOOPLAG_DAEMON_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/rules.h"

#define CONFIGURATION_ALERTS_MAX 64
#define CONFIGURATION_BUCKETS_MAX 64
#define CONFIGURATION_RULES_MAX 256

struct pattern;

/* What is compared with `above` and `below`. */
enum configuration_alert_type {
	CONFIGURATION_DELAY,   /* a quantile of the delay over the window, in seconds */
	CONFIGURATION_STALLED, /* how long the longest stall lasts, in seconds */
	CONFIGURATION_STARVED, /* share of loop life that was lost waiting for a CPU */
	CONFIGURATION_ALERT_TYPES
};

const char *
configuration_alert_type_name(enum configuration_alert_type type);

struct configuration_alert {
	char *name;
	enum configuration_alert_type type;
	double quantile;  /* of a delay */
	double above;     /* fires above that */
	double below;     /* clears below that; not more than `above` */
	uint64_t for_ns;  /* it must have been above for that long */
	uint64_t keep_ns; /* and is over when it was never above `below` for that long */
	struct pattern *groups; /* only these; NULL: all */
};

/* A group's name for the targets that match all of the patterns that it has. */
struct configuration_rule {
	char *name; /* template, see rules.h */
	struct pattern *patterns[RULES_FACTS];
};

struct configuration {
	uint64_t threshold_ns;        /* an iteration longer than this is a stall */
	bool stacks;                  /* take stacks of stalled loops */
	unsigned captures_per_minute; /* in a group */
	unsigned native_buckets;      /* of a native histogram, at most in use */
	double delay_buckets[CONFIGURATION_BUCKETS_MAX]; /* upper bounds, in seconds */
	size_t delay_bucket_count;
	unsigned max_groups;     /* besides the one for those that come later */
	uint64_t keep_groups_ns; /* in which nobody lives; UINT64_MAX: for ever */
	struct configuration_alert *alerts;
	size_t alert_count;
	struct configuration_rule *rules; /* the first one that matches counts */
	size_t rule_count;
};

/* The defaults; caller frees. NULL without memory. */
struct configuration *
configuration_default(void);
void
configuration_free(struct configuration *config);

/* Read a text, which is called `path` in messages. Each mistake is one line on `err`:
 * path:line:column: what, what was expected. Returns 0, -EINVAL or -ENOMEM, and then
 * nothing is returned. */
__attribute__((warn_unused_result)) int
configuration_parse(const char *text, size_t length, const char *path, FILE *err,
	struct configuration **ret_configuration);

/* Read a file; that it cannot be read is told on `err` too, and another -errno. */
__attribute__((warn_unused_result)) int
configuration_load(const char *path, FILE *err, struct configuration **ret_configuration);

#endif
