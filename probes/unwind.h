/* SPDX-License-Identifier: MIT */
/*
 * Walks the native stack of a stopped thread, of this process or another one, by the call
 * frame information of .eh_frame (DWARF 5, 6.4; LSB 5, "Exception Frames"), and by the
 * frame pointer where there is none, as in code made at run time.
 *
 * Believes nothing: whatever the tables and the stack say, it reads only through the
 * callback, and ends. Allocates nothing, makes no call but the callbacks.
 */
#ifndef LOOPLAG_PROBES_UNWIND_H
#define LOOPLAG_PROBES_UNWIND_H

#include <stddef.h>
#include <stdint.h>

/* Registers by their DWARF numbers. On x86-64: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp,
 * r8 to r15, and the return address; on aarch64: x0 to x30, sp, and the pc behind them. */
#if defined(__x86_64__)
#define UNWIND_RED_ZONE 128 /* bytes below the stack pointer that are a function's own */
#define UNWIND_REGISTERS 17
#define UNWIND_FP 6
#define UNWIND_SP 7
#define UNWIND_PC 16
#elif defined(__aarch64__)
#define UNWIND_RED_ZONE 0
#define UNWIND_REGISTERS 33
#define UNWIND_FP 29
#define UNWIND_SP 31
#define UNWIND_PC 32
#else
#define UNWIND_REGISTERS 0 /* no stacks here */
#endif

struct unwind_registers {
	uint64_t values[UNWIND_REGISTERS + 1];
	uint64_t known; /* bit n: values[n] is the register's value */
};

/* A mapped object: its code, and its table of frames. */
struct unwind_module {
	uint64_t start, end;   /* of what may be executed */
	uint64_t bias;         /* address where it is, less the one in its file */
	uint64_t eh_frame_hdr; /* address of PT_GNU_EH_FRAME, 0: it has none */
};

/* What was found for code addresses before (cfi.h). It belongs to whoever walks, who clears
 * it with zeroes when code has come or gone. */
struct cfi_memo;

struct unwind_calls {
	/* Copy what is at that address of the thread's memory. Returns 0, or -1. */
	int (*read)(void *context, uint64_t address, void *to, size_t bytes);
	/* The object that the address is in. Returns 0, or -1: none. */
	int (*find)(void *context, uint64_t pc, struct unwind_module *ret_module);
	void *context;
	struct cfi_memo *memo; /* NULL: none */
};

enum unwind_end {
	UNWIND_OUTERMOST, /* all frames were found */
	UNWIND_FULL,      /* there is no room for more */
	UNWIND_UNREAD,    /* memory that was needed could not be read */
	UNWIND_LOST,      /* no way on, or what was found makes no sense */
};

/*
 * Walk from where the registers say (at least pc and sp are known). Gives the code
 * addresses, innermost first: the pc itself where a thread was interrupted, otherwise the
 * return address less 1, which lies in the line of the call. Returns their number, and why
 * there are no more.
 */
size_t
unwind_walk(const struct unwind_calls *calls, const struct unwind_registers *registers,
	uint64_t *pcs, size_t max, enum unwind_end *ret_end);

#endif
