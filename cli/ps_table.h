/* SPDX-License-Identifier: MIT */
/* Loops as a table for people, each line as wide as it needs to be. */
#ifndef LOOPLAG_CLI_PS_TABLE_H
#define LOOPLAG_CLI_PS_TABLE_H

#include <stddef.h>

#include "cli/loops.h"

struct style;

/* The width of each column. */
void
ps_table_lay_out(const struct loops *loops, bool utf8, size_t ret_columns[LOOPS_COLUMNS]);

/* Print it to standard output. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
ps_table_print(const struct loops *loops, const struct style *style);

#endif
