/* SPDX-License-Identifier: MIT */
/*
 * Call frame information: finds the entry for an address by the sorted table of
 * .eh_frame_hdr, and runs its instructions up to there (DWARF 5, 6.4). The result says how
 * the caller's registers come out of this frame's.
 */
#ifndef LOOPLAG_PROBES_CFI_H
#define LOOPLAG_PROBES_CFI_H

#include <stdint.h>

#include "probes/unwind.h"

/* How to get a register of the caller, or the frame's address, the CFA. */
enum cfi_kind {
	CFI_SAME,         /* it is what it is here */
	CFI_UNDEFINED,    /* nobody knows; of the return address: there is no caller */
	CFI_OFFSET,       /* saved at CFA + offset */
	CFI_VALUE_OFFSET, /* it is CFA + offset */
	CFI_REGISTER,     /* it is another register + offset */
	CFI_EXPRESSION,   /* saved where an expression says */
	CFI_VALUE_EXPRESSION, /* it is what an expression says */
};

struct cfi_rule {
	uint16_t kind;   /* enum cfi_kind */
	uint16_t number; /* CFI_REGISTER: which one */
	uint32_t bytes;  /* expressions: their length */
	union {
		int64_t offset;
		uint64_t expression; /* where it is */
	};
};

struct cfi_row {
	struct cfi_rule cfa; /* CFI_REGISTER or CFI_VALUE_EXPRESSION */
	struct cfi_rule registers[UNWIND_REGISTERS + 1];
};

struct cfi_frame {
	struct cfi_row row;
	unsigned return_register;
	int is_signal; /* this frame was made by the kernel for a signal handler */
};

/* What cfi_find() has found, by the address: stacks are alike, and a look at the tables
 * reads memory some twenty times. */
#define CFI_MEMO 128u
struct cfi_memo {
	struct {
		uint64_t pc;
		struct cfi_frame frame;
	} entries[CFI_MEMO];
};

/* Returns 1; 0 if no function with such information is at that address; or -1 if it cannot
 * be read or makes no sense. */
int
cfi_find(const struct unwind_calls *calls, const struct unwind_module *module,
	uint64_t pc, struct cfi_frame *ret_frame);

#endif
