/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what the file says, or the defaults. A file is parsed as a whole into
 * a fresh struct, every mistake in it is told, and it is taken whole or not at all.
 */
#ifndef LOOPLAG_DAEMON_CONFIGURATION_H
#define LOOPLAG_DAEMON_CONFIGURATION_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIGURATION_ALERTS_MAX 64
#define CONFIGURATION_RULES_MAX 256
#define CONFIGURATION_THRESHOLD_MIN_NS \
	10000000ull /* shorter ones are not in a slot's ring */

enum configuration_alert_type {
	CONFIGURATION_DELAY,
	CONFIGURATION_STALLED,
	CONFIGURATION_STARVED
};

struct configuration_alert {
	char *name;
	enum configuration_alert_type type;
	double quantile; /* delay */
	uint64_t
		above_ns; /* delay: fires above; stalled: an open stall older than that */
	uint64_t below_ns;  /* delay: clears below; not above above_ns */
	double above_share; /* starved: share of time without a CPU */
	double below_share;
	uint64_t for_ns;  /* it must have been so for that long */
	uint64_t keep_ns; /* and is over when it has not been so for that long */
	regex_t *groups;  /* only these; NULL: all */
};

/* A group's name for the targets that match all of what is given. */
struct configuration_rule {
	char *name;                       /* template: ${1}, ${unit:1}, ... */
	regex_t *unit, *command, *cgroup; /* NULL: any */
};

struct configuration {
	uint64_t threshold_ns;        /* an iteration longer than this is a stall */
	bool stacks;                  /* take stacks of stalled loops */
	unsigned captures_per_minute; /* in a group */
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

/* Read a file. Each mistake is one line on `err`: file:line:column: what, what was
 * expected. Returns 0, or -errno (-EINVAL: mistakes were told; others: it cannot be read,
 * which was told too), and then nothing is returned. */
__attribute__((warn_unused_result)) int
configuration_load(const char *path, FILE *err, struct configuration **ret_configuration);

#endif
