/* SPDX-License-Identifier: MIT */
/* What frame tables and their expressions say, with tables and stacks made by hand. */

#include "config.h"

#include "probes/unwind.h"

#include <stddef.h>
#include <string.h>

#include <check.h>

#include "probes/expression.h"

#if UNWIND_REGISTERS

#define MAX 64

static uint64_t pcs[MAX];
static size_t count;
static enum unwind_end end;
static uint64_t random_state;

static uint64_t
next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 32;
}

/* Memory that is made of words at an address. */
struct made {
	uint64_t address;
	const void *bytes;
	size_t size;
};

static int
read_made(void *context, uint64_t address, void *to, size_t bytes)
{
	const struct made *made = context;

	for (; made->size; made++) {
		if (address < made->address || address - made->address > made->size ||
			bytes > made->size - (address - made->address))
			continue;
		memcpy(to, (const char *)made->bytes + (address - made->address), bytes);
		return 0;
	}
	return -1;
}

static int
find_none(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	(void)context, (void)pc, (void)ret_module;
	return -1;
}

static struct unwind_registers
made_registers(uint64_t pc, uint64_t sp, uint64_t fp)
{
	struct unwind_registers registers = {
		.known = 1ull << UNWIND_PC | 1ull << UNWIND_SP | 1ull << UNWIND_FP};

	registers.values[UNWIND_PC] = pc;
	registers.values[UNWIND_SP] = sp;
	registers.values[UNWIND_FP] = fp;
	return registers;
}

START_TEST(code_without_information_is_passed_by_the_frame_pointer)
{
	const uint64_t words[] = {
		7, 7, 0x10030, 0x500100, 7, 7, 0x10040, 0x500200, 0, 0x500300};
	const struct made made[] = {{0x10000, words, sizeof(words)}, {0, NULL, 0}};
	struct unwind_calls calls = {read_made, find_none, (void *)made, NULL};
	struct unwind_registers registers = made_registers(0x500000, 0x10000, 0x10010);
	const uint64_t right[] = {0x500000, 0x5000ff, 0x5001ff, 0x5002ff};

	count = unwind_walk(&calls, &registers, pcs, MAX, &end);
	ck_assert_uint_eq(count, 4);
	ck_assert_mem_eq(pcs, right, sizeof(right));
	ck_assert_int_eq(end, UNWIND_LOST);
	/* A chain that goes down or round, or leaves the stack, is none. */
	registers.values[UNWIND_SP] = 0x10018;
	ck_assert_uint_eq(unwind_walk(&calls, &registers, pcs, MAX, &end), 1);
	ck_assert_int_eq(end, UNWIND_LOST);
	registers = made_registers(0x500000, 0x10000, 0x10013);
	ck_assert_uint_eq(unwind_walk(&calls, &registers, pcs, MAX, &end), 1);
	registers = made_registers(0x500000, 0x10000, 0x20000);
	ck_assert_uint_eq(unwind_walk(&calls, &registers, pcs, MAX, &end), 1);
	ck_assert_int_eq(end, UNWIND_UNREAD);
}
END_TEST

/*
 * A table made by hand: one function of 64 bytes at BASE + 0x1000 whose frame is told by
 * `instructions`. The frame description is at BASE + 0x80, its common part at BASE + 0x40.
 */
#define BASE 0x400000u
#define CODE (BASE + 0x1000)

struct table {
	uint8_t bytes[512];
};

static void
put32(struct table *table, size_t at, uint32_t value)
{
	memcpy(table->bytes + at, &value, sizeof(value));
}

static struct table
make_table(const uint8_t *instructions, size_t size)
{
	/* Version 1, "zR", code 1, data -8, return address in register 16, s32 pc-relative;
	 * the CFA is sp + 8, the return address at CFA - 8. */
	static const uint8_t common[] = {1, 'z', 'R', 0, 1, 0x78, UNWIND_PC, 1, 0x1b,
		0x0c, UNWIND_SP, 8, 0x80 | UNWIND_PC, 1, 0, 0};
	static const uint8_t header[] = {1, 0x1b, 0x03, 0x3b};
	struct table table = {{0}};

	memcpy(table.bytes, header, sizeof(header));
	put32(&table, 4, 0x40 - 4);
	put32(&table, 8, 1);
	put32(&table, 12, 0x1000);
	put32(&table, 16, 0x80);
	put32(&table, 0x40, 4 + sizeof(common));
	memcpy(table.bytes + 0x48, common, sizeof(common));
	put32(&table, 0x80, (uint32_t)(13 + size));
	put32(&table, 0x84, 0x84 - 0x40);
	put32(&table, 0x88, 0x1000 - 0x88);
	put32(&table, 0x8c, 64);
	memcpy(table.bytes + 0x91, instructions, size);
	return table;
}

static int
find_made(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	(void)context;
	if (pc < CODE || pc >= CODE + 0x1000)
		return -1;
	*ret_module = (struct unwind_module){CODE, CODE + 0x1000, BASE, BASE};
	return 0;
}

/* Walk one step from CODE + 16 with such a table. Returns the caller's pc; 0: none. */
static uint64_t
caller_by(const uint8_t *instructions, size_t size)
{
	uint64_t stack[64];
	struct table table = make_table(instructions, size);
	struct made made[] = {{BASE, &table, sizeof(table)},
		{0x10000, stack, sizeof(stack)}, {0, NULL, 0}};
	struct unwind_calls calls = {read_made, find_made, made, NULL};
	struct unwind_registers registers = made_registers(CODE + 16, 0x10000, 0x10080);

	for (size_t i = 0; i < 64; i++)
		stack[i] = 0x700000 + i * 16 + 1;
	stack[40] = 0x10100;
	count = unwind_walk(&calls, &registers, pcs, 2, &end);
	return count == 2 ? pcs[1] : 0;
}

#define CALLER_BY(...) \
	caller_by((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define WORD(i) (0x700000u + (i)*16)

/* Two-byte signed offsets and numbers in LEB128, as tables have them. */
#define ADVANCE(n) (0x40 | (n))

START_TEST(instructions_say_where_the_caller_is)
{
	/* Nothing: sp + 8. */
	ck_assert_uint_eq(CALLER_BY(0), WORD(0));
	/* def_cfa_offset 16, and one that is about code behind. */
	ck_assert_uint_eq(CALLER_BY(ADVANCE(4), 0x0e, 16), WORD(1));
	ck_assert_uint_eq(CALLER_BY(ADVANCE(16), 0x0e, 16), WORD(1));
	ck_assert_uint_eq(CALLER_BY(ADVANCE(17), 0x0e, 16), WORD(0));
	ck_assert_uint_eq(CALLER_BY(2, 16, 0x0e, 16), WORD(1));
	ck_assert_uint_eq(CALLER_BY(3, 17, 0, 0x0e, 16), WORD(0));
	ck_assert_uint_eq(CALLER_BY(4, 4, 0, 0, 0, 0x0e, 16), WORD(1));
	/* def_cfa, def_cfa_register, def_cfa_sf, def_cfa_offset_sf. */
	ck_assert_uint_eq(CALLER_BY(0x0c, UNWIND_FP, 16), WORD(17));
	ck_assert_uint_eq(CALLER_BY(0x0d, UNWIND_FP), WORD(16));
	ck_assert_uint_eq(CALLER_BY(0x12, UNWIND_SP, 0x7d), WORD(2));
	ck_assert_uint_eq(CALLER_BY(0x13, 0x7c), WORD(3));
	/* offset_extended and its signed form: CFA - 8, CFA + 16. */
	ck_assert_uint_eq(CALLER_BY(0x0e, 32, 5, UNWIND_PC, 2), WORD(2));
	ck_assert_uint_eq(CALLER_BY(0x11, UNWIND_PC, 0x7e), WORD(3));
	/* remember_state, another CFA, restore_state. */
	ck_assert_uint_eq(CALLER_BY(0x0a, 0x0e, 64, ADVANCE(1), 0x0b), WORD(0));
	/* restore: what the common part has said. */
	ck_assert_uint_eq(CALLER_BY(5, UNWIND_PC, 3, 0xc0 | UNWIND_PC), WORD(0));
	ck_assert_uint_eq(CALLER_BY(5, UNWIND_PC, 3, 6, UNWIND_PC), WORD(0));
	/* register: the caller's pc is what the frame pointer is. */
	ck_assert_uint_eq(CALLER_BY(9, UNWIND_PC, UNWIND_FP), 0x10080 - 1);
	/* val_offset: it is CFA - 8 itself; signed: CFA + 8. */
	ck_assert_uint_eq(CALLER_BY(0x14, UNWIND_PC, 1), 0x10000 - 1);
	ck_assert_uint_eq(CALLER_BY(0x15, UNWIND_PC, 0x7f), 0x10010 - 1);
	/* args_size is no matter. */
	ck_assert_uint_eq(CALLER_BY(0x2e, 8), WORD(0));
}
END_TEST

START_TEST(expressions_say_where_the_caller_is)
{
	/* CFA = *(sp + 320) + 16, as assembly that aligns its stack has it. */
	ck_assert_uint_eq(
		CALLER_BY(0x0f, 6, 0x70 + UNWIND_SP, 0xc0, 2, 0x06, 0x23, 16), WORD(33));
	/* The return address is saved at CFA + 24; it is CFA + 24. */
	ck_assert_uint_eq(CALLER_BY(0x10, UNWIND_PC, 2, 0x23, 24), WORD(4));
	ck_assert_uint_eq(CALLER_BY(0x16, UNWIND_PC, 2, 0x23, 24), 0x10008 + 24 - 1);
}
END_TEST

START_TEST(a_frame_without_a_caller_is_the_outermost)
{
	ck_assert_uint_eq(CALLER_BY(7, UNWIND_PC), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(end, UNWIND_OUTERMOST);
}
END_TEST

START_TEST(tables_that_make_no_sense_end_the_walk)
{
	ck_assert_uint_eq(CALLER_BY(0x0b), 0); /* restores what was not remembered */
	ck_assert_uint_eq(CALLER_BY(0x3f), 0); /* an unknown instruction */
	ck_assert_uint_eq(CALLER_BY(0x0c, 99, 0), 0); /* a register that is not there */
	ck_assert_uint_eq(CALLER_BY(0x0c, 3, 0), 0);  /* one that is not known */
	ck_assert_uint_eq(
		CALLER_BY(0x0f, 1, 0x12), 0); /* an expression without a stack */
	ck_assert_uint_eq(CALLER_BY(0x0f, 0x7f, 0x30), 0);
	ck_assert_uint_eq(CALLER_BY(0x0e, 0), 0); /* a caller that is not above */
	ck_assert_int_eq(end, UNWIND_UNREAD);
	ck_assert_uint_eq(
		CALLER_BY(0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a), 0);
	ck_assert_int_eq(end, UNWIND_LOST);
}
END_TEST

static int
evaluate(const uint8_t *bytes, size_t size, uint64_t *ret_value)
{
	const uint64_t word = 0x1122334455667788;
	const struct made made[] = {
		{0x1000, bytes, size}, {0x2000, &word, sizeof(word)}, {0, NULL, 0}};
	struct unwind_calls calls = {read_made, find_none, (void *)made, NULL};
	struct unwind_registers registers = made_registers(1, 0x2000, 3);

	return expression_evaluate(
		&calls, 0x1000, (uint32_t)size, &registers, NULL, ret_value);
}

#define CHECK_VALUE(right, ...)                                              \
	do {                                                                 \
		const uint8_t bytes[] = {__VA_ARGS__};                       \
		uint64_t value = 0;                                          \
		ck_assert_int_eq(evaluate(bytes, sizeof(bytes), &value), 0); \
		ck_assert_uint_eq(value, (uint64_t)(right));                 \
	} while (0)
#define CHECK_FAILS(...)                                                      \
	do {                                                                  \
		const uint8_t bytes[] = {__VA_ARGS__};                        \
		uint64_t value;                                               \
		ck_assert_int_eq(evaluate(bytes, sizeof(bytes), &value), -1); \
	} while (0)

START_TEST(expressions_have_the_value_that_dwarf_says)
{
	CHECK_VALUE(5, 0x35);
	CHECK_VALUE(0x2000, 0x70 + UNWIND_SP, 0);
	CHECK_VALUE(0x1ff8, 0x92, UNWIND_SP, 0x78);
	CHECK_VALUE(0x1122334455667788, 0x70 + UNWIND_SP, 0, 0x06);
	CHECK_VALUE(0x7788, 0x70 + UNWIND_SP, 0, 0x94, 2);
	CHECK_VALUE(-1, 0x09, 0xff);
	CHECK_VALUE(0xff, 0x08, 0xff);
	CHECK_VALUE(-2, 0x0b, 0xfe, 0xff);
	CHECK_VALUE(0x12345678, 0x0c, 0x78, 0x56, 0x34, 0x12);
	CHECK_VALUE(300, 0x10, 0xac, 2);
	CHECK_VALUE(-300, 0x11, 0xd4, 0x7d);
	CHECK_VALUE(4, 0x37, 0x33, 0x1c);             /* 7 - 3 */
	CHECK_VALUE(21, 0x37, 0x33, 0x1e);            /* 7 * 3 */
	CHECK_VALUE(2, 0x37, 0x33, 0x1b);             /* 7 / 3 */
	CHECK_VALUE(1, 0x37, 0x33, 0x1d);             /* 7 % 3 */
	CHECK_VALUE(56, 0x37, 0x33, 0x24);            /* 7 << 3 */
	CHECK_VALUE(-2, 0x09, 0xf8, 0x32, 0x26);      /* -8 >> 2 */
	CHECK_VALUE(1, 0x33, 0x37, 0x2d);             /* 3 < 7 */
	CHECK_VALUE(0, 0x33, 0x37, 0x2a);             /* 3 >= 7 */
	CHECK_VALUE(1, 0x31, 0x32, 0x33, 0x17, 0x13); /* rot: 3 1 2, then 1 */
	CHECK_VALUE(3, 0x31, 0x32, 0x33, 0x17, 0x13, 0x13);
	CHECK_VALUE(1, 0x31, 0x32, 0x16);       /* swap */
	CHECK_VALUE(1, 0x31, 0x32, 0x14);       /* over */
	CHECK_VALUE(1, 0x31, 0x32, 0x15, 1);    /* pick */
	CHECK_VALUE(5, 0x09, 0xfb, 0x19);       /* abs */
	CHECK_VALUE(-5, 0x35, 0x1f);            /* neg */
	CHECK_VALUE(9, 0x39, 0x2f, 1, 0, 0x31); /* skip */
	CHECK_VALUE(2, 0x32, 0x31, 0x28, 1, 0, 0x33);
	/* The rule of procedure linkage tables, with the pc's lower bits 1. */
	CHECK_VALUE(0x2008, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
}
END_TEST

START_TEST(expressions_that_make_no_sense_have_no_value)
{
	CHECK_FAILS(0x06);                         /* nothing there */
	CHECK_FAILS(0x30, 0x06);                   /* memory that is not there */
	CHECK_FAILS(0x31, 0x30, 0x1b);             /* 1 / 0 */
	CHECK_FAILS(0x31, 0x30, 0x1d);             /* 1 % 0 */
	CHECK_FAILS(0x70, 0);                      /* an unknown register */
	CHECK_FAILS(0x31, 0x15, 9);                /* deeper than there is */
	CHECK_FAILS(0x2f, 0xfd, 0xff);             /* a ring */
	CHECK_FAILS(0x31, 0x12, 0x2f, 0xfc, 0xff); /* a stack without an end */
	CHECK_FAILS(0x31, 0x2f, 0x00, 0x70);       /* away */
	CHECK_FAILS(0x0c, 1);                      /* cut off */
	CHECK_FAILS(0xe0);                         /* unknown */
	CHECK_VALUE(1ull << 63, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09, 0xff, 0x1b);
}
END_TEST

START_TEST(random_instructions_do_no_harm)
{
	uint8_t instructions[128];

	for (unsigned i = 0; i < 20000; i++) {
		size_t size = 1 + next_random() % sizeof(instructions);

		random_state = i;
		for (size_t j = 0; j < size; j++)
			instructions[j] = (uint8_t)(next_random() % 4 ? next_random() % 64
								      : next_random());
		(void)caller_by(instructions, size);
		ck_assert_uint_ge(count, 1);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("frame tables");
	TCase *tcase = tcase_create("frame tables");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, code_without_information_is_passed_by_the_frame_pointer);
	tcase_add_test(tcase, instructions_say_where_the_caller_is);
	tcase_add_test(tcase, expressions_say_where_the_caller_is);
	tcase_add_test(tcase, a_frame_without_a_caller_is_the_outermost);
	tcase_add_test(tcase, tables_that_make_no_sense_end_the_walk);
	tcase_add_test(tcase, expressions_have_the_value_that_dwarf_says);
	tcase_add_test(tcase, expressions_that_make_no_sense_have_no_value);
	tcase_add_test(tcase, random_instructions_do_no_harm);
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
