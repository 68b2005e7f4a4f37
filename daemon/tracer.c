/* SPDX-License-Identifier: MIT */
/* Stops a thread and copies its stack; see tracer.h. */

#include "config.h"

#include "daemon/tracer.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "daemon/event.h"

#define DEADLINE_NS 100000000ull
#define LOOK_NS 50000 /* whether it has stopped */
#define PAGE 4096u

struct attempt {
	int process, memory;
	pid_t tid;
	struct unwind_registers *registers;
	struct tracer_stack *stack;
	int result;
};

static void
copy_from(int memory, uint64_t address, struct tracer_stack *ret_stack)
{
	ret_stack->address = address;
	ret_stack->bytes = 0;
	/* Page by page, as the stack may end before the copy does. */
	while (ret_stack->bytes < TRACER_STACK_BYTES) {
		uint64_t at = address + ret_stack->bytes;
		size_t size = PAGE - at % PAGE;

		if (size > TRACER_STACK_BYTES - ret_stack->bytes)
			size = TRACER_STACK_BYTES - ret_stack->bytes;
		if (pread(memory, ret_stack->copy + ret_stack->bytes, size, (off_t)at) !=
			(ssize_t)size)
			return;
		ret_stack->bytes += size;
	}
}

void
tracer_copy_stack(int memory, uint64_t sp, struct tracer_stack *ret_stack)
{
	copy_from(memory, sp - UNWIND_RED_ZONE, ret_stack);
	/* A coroutine's may begin right there. */
	if (!ret_stack->bytes)
		copy_from(memory, sp, ret_stack);
}

/* Who traces the thread, as /proc tells; -1 if it is gone. */
static pid_t
tracer_of(int process, pid_t tid)
{
	char path[64], text[2048], *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "task/%d/status", (int)tid);
	fd = openat(process, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	line = strstr(text, "\nTracerPid:");
	return line ? (pid_t)strtol(line + 11, NULL, 10) : -1;
}

/* Its registers, if it has stopped. Returns 0, -ESRCH while it has not, or -errno. */
static int
get_registers(pid_t tid, struct unwind_registers *registers)
{
#if defined(__x86_64__)
	struct user_regs_struct user;
	struct iovec to = {.iov_base = &user, .iov_len = sizeof(user)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &to))
		return -errno;
	/* A program of 32 bits has others. */
	if (to.iov_len != sizeof(user))
		return -ENOSYS;
	*registers = (struct unwind_registers){
		.values = {user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi,
			user.rbp, user.rsp, user.r8, user.r9, user.r10, user.r11,
			user.r12, user.r13, user.r14, user.r15, user.rip},
		.known = (1ull << UNWIND_REGISTERS) - 1,
	};
	return 0;
#elif defined(__aarch64__)
	struct user_regs_struct user;
	struct iovec to = {.iov_base = &user, .iov_len = sizeof(user)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &to))
		return -errno;
	if (to.iov_len != sizeof(user))
		return -ENOSYS;
	memcpy(registers->values, user.regs, sizeof(user.regs));
	registers->values[UNWIND_SP] = user.sp;
	registers->values[UNWIND_PC] = user.pc;
	registers->known = (1ull << UNWIND_REGISTERS) - 1;
	return 0;
#else
	return -ENOSYS;
#endif
}

/* The signal that it was about to take when it stopped, and has to have: 0 for our stop. */
static int
signal_it_awaits(pid_t tid)
{
	siginfo_t info;

	if (ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) ||
		info.si_code >> 8 == PTRACE_EVENT_STOP)
		return 0;
	return info.si_signo;
}

static int
stop_and_copy(struct attempt *attempt)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	uint64_t deadline_ns = event_now_ns() + DEADLINE_NS;
	int r;

	if (ptrace(PTRACE_SEIZE, attempt->tid, NULL, NULL)) {
		r = -errno;
		return r == -EPERM && tracer_of(attempt->process, attempt->tid) > 0
			       ? -EBUSY
			       : r;
	}
	/* The number might have become another thread's: is ours in that process? */
	if (tracer_of(attempt->process, attempt->tid) != (pid_t)syscall(SYS_gettid))
		return -ESRCH;
	if (ptrace(PTRACE_INTERRUPT, attempt->tid, NULL, NULL))
		return -errno;
	/* Not by wait(), which would be a wait for a child of the whole process. */
	while ((r = get_registers(attempt->tid, attempt->registers)) == -ESRCH) {
		if (event_now_ns() > deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	if (r == 0)
		tracer_copy_stack(attempt->memory, attempt->registers->values[UNWIND_SP],
			attempt->stack);
	ptrace(PTRACE_DETACH, attempt->tid, NULL,
		(void *)(intptr_t)signal_it_awaits(attempt->tid));
	return r;
}

static void *
run(void *arg)
{
	struct attempt *attempt = arg;

	attempt->result = stop_and_copy(attempt);
	return NULL;
}

int
tracer_stop(int process, int memory, pid_t tid, struct unwind_registers *ret_registers,
	struct tracer_stack *ret_stack)
{
	struct attempt attempt = {
		.process = process,
		.memory = memory,
		.tid = tid,
		.registers = ret_registers,
		.stack = ret_stack,
	};
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run, &attempt);

	if (r)
		return -r;
	pthread_join(thread, NULL);
	return attempt.result;
}
