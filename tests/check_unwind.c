/* SPDX-License-Identifier: MIT */
/* Walking the stacks of this very program, whole, cut off and spoiled. */

#include "config.h"

#include "probes/unwind.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <check.h>

#include "probes/cfi.h"
#include "probes/memory.h"
#include "probes/modules.h"

#if UNWIND_REGISTERS

#define MAX 64
#define DEEP 40
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

/* What a walk has found, and what it should have. */
static uint64_t pcs[MAX], expected[MAX];
static size_t count, expected_count;
static enum unwind_end end;
static size_t max = MAX;
static uint64_t unreadable_from; /* memory from here on cannot be read; 0: all can be */
static unsigned spoiled;         /* of 65536 bytes read, about so many are made up */
static uint64_t random_state;
static unsigned long reads;

static uint64_t
next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 32;
}

static int
read_own(void *context, uint64_t address, void *to, size_t bytes)
{
	struct iovec local = {to, bytes}, remote = {(void *)address, bytes};

	(void)context;
	reads++;
	if (unreadable_from && address + bytes > unreadable_from)
		return -1;
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)bytes)
		return -1;
	for (size_t i = 0; spoiled && i < bytes; i++)
		if (next_random() % 65536 < spoiled)
			((uint8_t *)to)[i] = (uint8_t)next_random();
	return 0;
}

static int
find_own(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	const struct module *module = modules_find_code(pc);

	(void)context;
	if (!module)
		return -1;
	*ret_module = (struct unwind_module){
		module->code_start, module->code_end, module->bias, module->eh_frame_hdr};
	return 0;
}

static struct unwind_calls own = {read_own, find_own, NULL, NULL};

static struct unwind_registers
registers_of(const ucontext_t *context)
{
	struct unwind_registers registers;

#ifdef __x86_64__
	static const int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13,
		REG_R14, REG_R15, REG_RIP};

	for (int i = 0; i < UNWIND_REGISTERS; i++)
		registers.values[i] = (uint64_t)context->uc_mcontext.gregs[order[i]];
#else
	memcpy(registers.values, context->uc_mcontext.regs, 31 * sizeof(uint64_t));
	registers.values[UNWIND_SP] = context->uc_mcontext.sp;
	registers.values[UNWIND_PC] = context->uc_mcontext.pc;
#endif
	registers.known = (1ull << UNWIND_REGISTERS) - 1;
	return registers;
}

static void
walk(const ucontext_t *context)
{
	struct unwind_registers registers = registers_of(context);

	modules_refresh();
	count = unwind_walk(&own, &registers, pcs, max, &end);
}

static void
walk_from_here(void)
{
	ucontext_t context;

	getcontext(&context);
	walk(&context);
}

/* Walk from where the signal came. */
static void
walk_interrupted(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info;
	walk(context);
}

/* Walk from the handler itself, through the kernel's frame. */
static void
walk_handler(int number, siginfo_t *info, void *context)
{
	(void)number, (void)info, (void)context;
	walk_from_here();
}

static void
on_signal(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void
raise_signal(void)
{
	raise(SIGUSR1);
}

static void (*at_the_bottom)(void);

static void
expect_caller(void *back)
{
	expected[expected_count++] = (uint64_t)back - 1;
}

/* Functions that keep their callers' registers busy and return to known places. */
NOINLINE static uint64_t
descend(unsigned levels, uint64_t a, uint64_t b, uint64_t c)
{
	volatile char room[24] = {0};
	uint64_t result;

	room[levels % sizeof(room)] = (char)a;
	if (levels)
		result = descend(levels - 1, a + b, b ^ c, c + a) + a * b;
	else
		at_the_bottom(), result = c;
	expect_caller(__builtin_return_address(0));
	return result + a + b * c + (uint64_t)room[0];
}

/* A function with room on the stack whose size only run time knows. */
NOINLINE static uint64_t
descend_in_steps(unsigned size, uint64_t a)
{
	volatile char *room = __builtin_alloca(size);
	uint64_t result;

	room[size - 1] = 1;
	result = descend(2, a, a + size, 3);
	expect_caller(__builtin_return_address(0));
	return result + (uint64_t)room[size - 1];
}

static void
go(void (*bottom)(void), unsigned levels)
{
	at_the_bottom = bottom;
	count = expected_count = 0;
	ck_assert_uint_ne(descend(levels, 1, 2, 3), 0);
}

/* The expected return addresses follow one another somewhere in what was found. */
static void
check_found(void)
{
	size_t at = 0;

	while (at < count && pcs[at] != expected[0])
		at++;
	ck_assert_msg(at + expected_count <= count, "found %zu frames", count);
	for (size_t i = 0; i < expected_count; i++)
		ck_assert_msg(pcs[at + i] == expected[i], "frame %zu is another one", i);
}

START_TEST(all_frames_are_found_from_the_innermost_to_the_outermost)
{
	for (unsigned levels = 0; levels < DEEP; levels++) {
		go(walk_from_here, levels);
		check_found();
		ck_assert_int_eq(end, UNWIND_OUTERMOST);
	}
}
END_TEST

START_TEST(frames_of_a_size_known_at_run_time_alone_are_found)
{
	at_the_bottom = walk_from_here;
	for (unsigned size = 1; size < 5000; size += 777) {
		expected_count = 0;
		descend_in_steps(size, size);
		check_found();
		ck_assert_int_eq(end, UNWIND_OUTERMOST);
	}
}
END_TEST

START_TEST(an_interrupted_function_is_found_where_it_was_interrupted)
{
	on_signal(walk_interrupted, 0);
	go(raise_signal, 3);
	check_found();
	ck_assert_int_eq(end, UNWIND_OUTERMOST);
}
END_TEST

START_TEST(the_frame_of_a_signal_is_passed)
{
	on_signal(walk_handler, 0);
	go(raise_signal, 3);
	check_found();
	ck_assert_int_eq(end, UNWIND_OUTERMOST);
}
END_TEST

START_TEST(the_frame_of_a_signal_on_a_stack_of_its_own_is_passed)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};

	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	on_signal(walk_handler, SA_ONSTACK);
	go(raise_signal, 3);
	check_found();
	ck_assert_int_eq(end, UNWIND_OUTERMOST);
	stack.ss_flags = SS_DISABLE;
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	free(stack.ss_sp);
}
END_TEST

static unsigned long table_reads;

static int
read_and_count(void *context, uint64_t address, void *to, size_t bytes)
{
	if (modules_find(address))
		table_reads++;
	return read_own(context, address, to, bytes);
}

static unsigned long
count_table_reads(unsigned levels)
{
	table_reads = 0;
	go(walk_from_here, levels);
	check_found();
	return table_reads;
}

START_TEST(a_stack_that_was_seen_before_needs_no_tables)
{
	static struct cfi_memo memo;
	unsigned long first, plain;

	own.read = read_and_count;
	plain = count_table_reads(DEEP);
	own.memo = &memo;
	first = count_table_reads(3);
	/* Two that share a place, by where they were loaded, do need them once more. */
	ck_assert_uint_lt(count_table_reads(3), first);
	/* What was forgotten has to be looked up again, but not for each level. */
	memset(&memo, 0, sizeof(memo));
	ck_assert_uint_eq(count_table_reads(DEEP), first);
	ck_assert_uint_gt(plain, 2 * first);
}
END_TEST

START_TEST(what_there_is_no_room_for_is_left_out)
{
	uint64_t all[MAX];
	size_t whole;

	go(walk_from_here, DEEP / 2);
	whole = count;
	memcpy(all, pcs, sizeof(all));
	for (max = 0; max < whole; max++) {
		go(walk_from_here, DEEP / 2);
		ck_assert_uint_eq(count, max);
		ck_assert_int_eq(end, UNWIND_FULL);
		/* Further out they come from other lines of this test. */
		ck_assert_mem_eq(
			pcs, all, (max < DEEP / 2 ? max : DEEP / 2) * sizeof(*pcs));
	}
	max = MAX;
}
END_TEST

static void
walk_a_part(void)
{
	char here;

	unreadable_from = (uint64_t)&here + 1024;
	walk_from_here();
	unreadable_from = 0;
}

START_TEST(a_stack_that_was_not_copied_to_its_end_gives_the_frames_that_were)
{
	go(walk_a_part, DEEP);
	ck_assert_int_eq(end, UNWIND_UNREAD);
	ck_assert_uint_gt(count, 3);
	ck_assert_uint_lt(count, DEEP);
	/* walk_a_part() and those that were walked from stand before them. */
	for (size_t at = 0, i = 0; at < count; at++)
		if (i || pcs[at] == expected[0])
			ck_assert_uint_eq(pcs[at], expected[i++]);
}
END_TEST

START_TEST(spoiled_tables_and_stacks_end_the_walk_all_the_same)
{
	size_t ends[4] = {0};

	on_signal(walk_handler, 0);
	for (unsigned i = 0; i < 3000; i++) {
		random_state = i;
		spoiled = i % 3 == 0 ? 16 : i % 3 == 1 ? 4096 : 65536;
		reads = 0;
		go(i % 2 ? raise_signal : walk_from_here, i % DEEP);
		ck_assert_uint_le(count, MAX);
		ck_assert_uint_lt(reads, 100000);
		ends[end]++;
	}
	spoiled = 0;
	ck_assert_uint_gt(ends[UNWIND_LOST], 0);
	ck_assert_uint_gt(ends[UNWIND_UNREAD], 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("unwind");
	TCase *tcase = tcase_create("unwind");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, memory_start, NULL);
	tcase_add_test(tcase, all_frames_are_found_from_the_innermost_to_the_outermost);
	tcase_add_test(tcase, frames_of_a_size_known_at_run_time_alone_are_found);
	tcase_add_test(tcase, an_interrupted_function_is_found_where_it_was_interrupted);
	tcase_add_test(tcase, the_frame_of_a_signal_is_passed);
	tcase_add_test(tcase, the_frame_of_a_signal_on_a_stack_of_its_own_is_passed);
	tcase_add_test(tcase, a_stack_that_was_seen_before_needs_no_tables);
	tcase_add_test(tcase, what_there_is_no_room_for_is_left_out);
	tcase_add_test(
		tcase, a_stack_that_was_not_copied_to_its_end_gives_the_frames_that_were);
	tcase_add_test(tcase, spoiled_tables_and_stacks_end_the_walk_all_the_same);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#else

int
main(void)
{
	return 77;
}

#endif
