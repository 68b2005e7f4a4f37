/* SPDX-License-Identifier: MIT */
/*
 * Stops one thread of another process for as long as it takes to copy its registers and the
 * upper part of its stack, by ptrace; Linux only lets the thread that began to trace go on
 * with it, so each try has one of its own, whose end lets go of whatever it held.
 */
#ifndef LOOPLAG_DAEMON_TRACER_H
#define LOOPLAG_DAEMON_TRACER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probes/unwind.h"

#define TRACER_STACK_BYTES 65536u

/* A part of a thread's stack, from its stack pointer on. */
struct tracer_stack {
	uint64_t address;
	size_t bytes;
	uint8_t copy[TRACER_STACK_BYTES];
};

/* Copy as much as there is of a stack with that pointer, and the zone below it that functions
 * may use. `memory` is a file like /proc/PID/mem. */
void
tracer_copy_stack(int memory, uint64_t sp, struct tracer_stack *ret_stack);

/* Stop thread `tid`, which must be one of the process whose directory in /proc this is.
 * Returns 0, -EPERM, -EBUSY (somebody else traces it), -ESRCH, -ETIMEDOUT (it could not be
 * stopped: it sleeps in the kernel or gets no CPU), -ENOSYS or another -errno. */
__attribute__((warn_unused_result)) int
tracer_stop(int process, int memory, pid_t tid, struct unwind_registers *ret_registers,
	struct tracer_stack *ret_stack);

#endif
