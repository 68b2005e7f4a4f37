/* SPDX-License-Identifier: MIT */
/* Reads stalls as GET /api/v1/stalls gives them. */
#ifndef LOOPLAG_CLI_STALL_JSON_H
#define LOOPLAG_CLI_STALL_JSON_H

#include <jansson.h>

#include "daemon/stall.h"

/* The array of stalls in an answer, borrowed; NULL if there is none. */
const json_t *
stall_json_array(const json_t *answer);

/* Read one; its names are borrowed from the object, its sample is the caller's. What is
 * absent is 0 or NULL. Returns 0, -EINVAL if it is no stall, or -ENOMEM. */
__attribute__((warn_unused_result)) int
stall_json_read(const json_t *object, struct stall *ret_stall);

#endif
