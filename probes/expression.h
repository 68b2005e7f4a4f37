/* SPDX-License-Identifier: MIT */
/* DWARF expressions (DWARF 5, 2.5), as far as call frame information uses them. */
#ifndef LOOPLAG_PROBES_EXPRESSION_H
#define LOOPLAG_PROBES_EXPRESSION_H

#include <stdint.h>

#include "probes/unwind.h"

/* Evaluate the expression at that address, with `initial` on the stack unless it is NULL.
 * Returns 0 or -1. */
int
expression_evaluate(const struct unwind_calls *calls, uint64_t address, uint32_t bytes,
	const struct unwind_registers *registers, const uint64_t *initial,
	uint64_t *ret_value);

#endif
