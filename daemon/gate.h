/* SPDX-License-Identifier: MIT */
/*
 * The gate: which descriptors of strangers are taken for segments. A regular file without
 * a name in memory, of exactly the size that was said, which nobody can truncate any more:
 * reading it can neither block nor fail half-way.
 */
#ifndef LOOPLAG_DAEMON_GATE_H
#define LOOPLAG_DAEMON_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/collector.h"

/* Returns 0, or -EINVAL with the reason. Asks only what no file system of a stranger's has
 * to answer. The descriptor stays the caller's. */
__attribute__((warn_unused_result)) int
gate_check(int fd, uint64_t size, enum collector_reason *ret_reason);

/* Whether the file lives in this kernel's memory, so that closing it does not block. */
bool
gate_in_memory(int fd);

#endif
