/* SPDX-License-Identifier: MIT */
/* What a target's group and runtime are called. */
#ifndef LOOPLAG_DAEMON_NAMING_H
#define LOOPLAG_DAEMON_NAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/identity.h"
#include "daemon/reception.h"

struct configuration_rule;

struct naming {
	const char *own_groupname; /* of this very process, or NULL */
	bool ignore_units;
	const struct configuration_rule *rules; /* borrowed */
	size_t rule_count;
};

/* What is known of a guest that has no name yet. */
struct naming_query;

/*
 * Ask who a guest is. Its name is that of the first rule that matches; else the systemd
 * unit, unless those are ignored; else the target's own wish; else its command name. What
 * only the kernel can tell is taken from it alone, while the process's number is surely its
 * own: its pidfd stays the caller's, and open. NULL without memory.
 */
struct naming_query *
naming_ask(const struct naming *naming, const struct reception_guest *guest,
	uint64_t now_ns);
void
naming_free(struct naming_query *query);

/* Returns whether the name is known by now; and whether it is given: no choice of the
 * process's or its user's. */
bool
naming_answer(const struct naming *naming, struct naming_query *query, uint64_t now_ns,
	char ret_name[IDENTITY_NAME_BYTES], bool *ret_given);

/* "node", "python", "java", or NULL. */
const char *
naming_runtime(const struct segment_hello *hello);

#endif
