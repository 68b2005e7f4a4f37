/* SPDX-License-Identifier: MIT */
/* The query of a URL: NAME=VALUE&..., with %XX for bytes and + for a blank. Pure. */
#ifndef LOOPLAG_DAEMON_QUERY_H
#define LOOPLAG_DAEMON_QUERY_H

#include <stddef.h>

#define QUERY_PARAMETERS_MAX 16

struct query {
	char *text; /* what the others point into */
	size_t count;
	struct {
		const char *name, *value;
	} parameters[QUERY_PARAMETERS_MAX];
};

/* Take a query apart; NULL is an empty one. Returns 0, or -EINVAL when it cannot be one,
 * -E2BIG, -ENOMEM. */
__attribute__((warn_unused_result)) int
query_parse(const char *text, struct query *ret_query);
void
query_fini(struct query *query);

#endif
