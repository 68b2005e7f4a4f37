/* SPDX-License-Identifier: MIT */
/*
 * One request at a time, in a word of a number that grows and a state. The word's changes
 * by compare-and-swap decide who was first, the helper or the thread.
 */

#include "probes/handler.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "probes/python.h"
#include "probes/symbols.h"
#include "probes/v8.h"
#include "probes/waits.h"

#define MS 1000000u
#define PARK_NS (20 * MS)
#define LOOSE_NS (50 * MS) /* a helper with no lock to wait for may wait for a CPU */
#define SETTLE_NS (1000 * MS)
#define TRIES 3 /* a thread that went on unclaimed is asked again */

enum state { FREE, ASKED, ENTERED, PARKED, CLAIMED, LOOSE, LEFT, STATES = 8 };

static struct {
	uint32_t word; /* number * STATES + state */
	uint32_t tid;  /* whom it is for; written before it is asked */
	struct handler_facts facts;
} request;

static uint64_t (*clock_now_ns)(void);
static int (*libc_sigaction)(int, const struct sigaction *, struct sigaction *);
static struct sigaction before; /* what ours has replaced */

static uint32_t
load(void)
{
	return __atomic_load_n(&request.word, __ATOMIC_ACQUIRE);
}

static enum state
state_of(uint32_t word)
{
	return (enum state)(word % STATES);
}

/* Go from one state to another. Returns whether nobody else was first. */
static int
change(uint32_t word, enum state to)
{
	return __atomic_compare_exchange_n(&request.word, &word,
		word - word % STATES + to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void
wake(void)
{
	(void)syscall(
		SYS_futex, &request.word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* Wait for the word to become another one; timeout_ns 0: for good. Returns -1 when the time
 * is over. */
static int
wait_while(uint32_t word, uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / (1000 * MS)),
		.tv_nsec = (long)(timeout_ns % (1000 * MS))};

	return syscall(SYS_futex, &request.word, FUTEX_WAIT_PRIVATE, word,
		       timeout_ns ? &timeout : NULL, NULL, 0) &&
			       errno == ETIMEDOUT
		       ? -1
		       : 0;
}

/* Keep the registers of what was interrupted. */
static void
keep_registers(const ucontext_t *context, struct unwind_registers *registers)
{
#if defined(__x86_64__)
	static const uint8_t order[UNWIND_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX,
		REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10,
		REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

	for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
		registers->values[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
	registers->known = (1ull << UNWIND_REGISTERS) - 1;
#elif defined(__aarch64__)
	for (unsigned i = 0; i < UNWIND_SP; i++)
		registers->values[i] = context->uc_mcontext.regs[i];
	registers->values[UNWIND_SP] = context->uc_mcontext.sp;
	registers->values[UNWIND_PC] = context->uc_mcontext.pc;
	registers->known = (1ull << UNWIND_REGISTERS) - 1;
#else
	(void)context;
	registers->known = 0;
#endif
}

/* Wait until the helper has done what it wants, or the time for it is over. */
static void
park(uint32_t word)
{
	for (;;) {
		enum state state = state_of(word);
		uint64_t timeout_ns = state == PARKED  ? PARK_NS
				      : state == LOOSE ? LOOSE_NS
						       : 0;
		uint32_t next;

		if (state != PARKED && state != CLAIMED && state != LOOSE)
			return;
		if (wait_while(word, timeout_ns)) {
			if (state == PARKED && change(word, FREE)) {
				wake();
				return;
			}
			if (state == LOOSE && change(word, LEFT)) {
				waits_hold();
				return;
			}
		}
		next = load();
		/* Another number is another request: ours is over. */
		if (next / STATES != word / STATES)
			return;
		word = next;
	}
}

/*
 * What the asked thread does. All signals are blocked, so no other handler runs, or leaves
 * by longjmp, while the helper looks at the stack.
 */
static void
on_signal(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	uint32_t word = load();

	(void)number;
	(void)info;
	if (state_of(word) == ASKED && request.tid == (uint32_t)syscall(SYS_gettid) &&
		change(word, ENTERED)) {
		keep_registers(context, &request.facts.registers);
		request.facts.python = python_current();
		request.facts.holds_gil = request.facts.python && python_holds_lock();
		request.facts.isolate = v8_current();
		word = word - ASKED + PARKED;
		__atomic_store_n(&request.word, word, __ATOMIC_RELEASE);
		wake();
		park(word);
	}
	errno = saved;
}

int
handler_start(uint64_t (*clock_ns)(void))
{
	clock_now_ns = clock_ns;
	*(void **)&libc_sigaction = symbols_libc("sigaction");
	/* In a forked child nobody is parked, whatever the word says. */
	__atomic_store_n(&request.word, load() - load() % STATES, __ATOMIC_RELEASE);
	return libc_sigaction ? 0 : -1;
}

static int
is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_signal;
}

/* Whether the program has left the signal alone. */
static int
is_unused(const struct sigaction *action)
{
	return !(action->sa_flags & SA_SIGINFO) &&
	       (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

/*
 * A handler of the program's own is left in place, as a signal that comes while it is away
 * would be lost. Otherwise the kernel swaps the actions, so that we know what was there at
 * that moment. What the program puts there between our calls is found in the answer to the
 * last one, and put back too. The alternate stack is used where a thread has one: a
 * coroutine's stack may have no room for a signal frame.
 */
int
handler_install(void)
{
	struct sigaction ours, replaced;

	if (libc_sigaction(SIGURG, NULL, &replaced) ||
		(!is_unused(&replaced) && !is_ours(&replaced)))
		return -1;
	memset(&ours, 0, sizeof(ours));
	ours.sa_sigaction = on_signal;
	ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	/* Also those that libc keeps for itself: a thread must not be cancelled here. */
	memset(&ours.sa_mask, 0xff, sizeof(ours.sa_mask));
	if (libc_sigaction(SIGURG, &ours, &replaced))
		return -1;
	/* A forked child, or a program that puts back what it has seen, may have ours. */
	if (is_ours(&replaced)) {
		memset(&before, 0, sizeof(before));
		before.sa_handler = SIG_DFL;
		return 0;
	}
	before = replaced;
	if (is_unused(&before))
		return 0;
	handler_remove();
	return -1;
}

void
handler_remove(void)
{
	struct sigaction now;

	if (libc_sigaction(SIGURG, NULL, &now) || !is_ours(&now))
		return;
	if (libc_sigaction(SIGURG, &before, &now) == 0 && !is_ours(&now))
		(void)libc_sigaction(SIGURG, &now, NULL);
}

/* Wait until the thread is parked, and claim it. */
static int
claim(uint64_t deadline_ns)
{
	for (;;) {
		uint32_t word = load();
		uint64_t now_ns = clock_now_ns();

		switch (state_of(word)) {
		case PARKED:
			if (change(word, CLAIMED))
				return 0;
			break;
		case ASKED:
			if (now_ns < deadline_ns)
				(void)wait_while(word, deadline_ns - now_ns);
			else if (change(word, FREE))
				return -ETIMEDOUT;
			break;
		case ENTERED:
			/* It is on its way, and writes the facts. */
			(void)wait_while(word, PARK_NS);
			break;
		default:
			return -EAGAIN;
		}
	}
}

int
handler_stop(uint32_t tid, uint64_t timeout_ns, const struct handler_facts **ret_facts)
{
	uint64_t deadline_ns = clock_now_ns() + timeout_ns;
	int result = -EAGAIN;

	for (int i = 0; i < TRIES && result == -EAGAIN; i++) {
		uint32_t word = (load() / STATES + 1) * STATES + ASKED;

		request.tid = tid;
		__atomic_store_n(&request.word, word, __ATOMIC_RELEASE);
		if (syscall(SYS_tgkill, getpid(), tid, SIGURG)) {
			if (change(word, FREE))
				return -ESRCH;
		}
		result = claim(deadline_ns);
	}
	if (result)
		return result == -EAGAIN ? -ETIMEDOUT : result;
	*ret_facts = &request.facts;
	return 0;
}

void
handler_loosen(void)
{
	if (change(load(), LOOSE))
		wake();
}

void
handler_free(void)
{
	uint32_t word;

	do {
		word = load();
	} while (!change(word, FREE));
	wake();
}

void
handler_settle(void)
{
	int saved = errno;
	uint64_t until_ns = clock_now_ns() + SETTLE_NS;

	for (;;) {
		uint32_t word = load();
		uint64_t now_ns = clock_now_ns();

		if (state_of(word) != LEFT || now_ns >= until_ns ||
			wait_while(word, until_ns - now_ns))
			break;
	}
	errno = saved;
}
