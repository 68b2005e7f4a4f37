/* SPDX-License-Identifier: MIT */
/* See cfi.h. The tables are as LSB 5, "Exception Frames", has them. */

#include "probes/cfi.h"

#include <stddef.h>
#include <string.h>

#include "probes/cursor.h"

#define ENTRIES_MAX (1u << 26) /* in a table: more is nonsense */
#define LENGTH_MAX (1u << 16)  /* of one entry: three times the longest known */
#define REMEMBERED 6           /* rows; compilers never need more than two */
#define SORTED_TABLE 0x3b /* pairs of s32 relative to the table; what linkers write */
#define OMITTED 0xff
#define PAIRS 128u /* of the sorted table that are looked at in a copy */

/* What the common part (CIE) of an entry says. */
struct common {
	uint64_t code_align;
	int64_t data_align;
	unsigned return_register;
	uint8_t encoding; /* of addresses */
	int is_signal;
	int has_augmentation; /* its entries have augmentation data, too */
	struct cursor instructions;
};

struct machine {
	const struct common *common;
	struct cursor *cursor;
	uint64_t location, pc;
	struct cfi_row row, initial;
	struct cfi_row remembered[REMEMBERED];
	unsigned depth;
};

/* Begin to read an entry: its length, and the word after it. Returns -1 if that cannot be
 * one. */
static int
begin_entry(struct cursor *cursor, const struct unwind_calls *calls, uint64_t address,
	uint64_t *ret_place, uint64_t *ret_id)
{
	uint64_t length;
	unsigned word = 4;

	cursor_init(cursor, calls, address, UINT64_MAX);
	length = cursor_fixed(cursor, 4);
	if (length == UINT32_MAX) {
		length = cursor_fixed(cursor, 8);
		word = 8;
	}
	if (cursor->failed || length < word || length > LENGTH_MAX)
		return -1;
	cursor->end = cursor->address + length;
	*ret_place = cursor->address;
	*ret_id = cursor_fixed(cursor, word);
	return cursor->failed || cursor->end < cursor->address ? -1 : 0;
}

/* Read what the letters after "z" say. */
static void
read_augmentation(struct cursor *cursor, const char *letters, struct common *common)
{
	for (; *letters && !cursor->failed; letters++) {
		switch (*letters) {
		case 'R':
			common->encoding = (uint8_t)cursor_fixed(cursor, 1);
			break;
		case 'L':
			cursor_skip(cursor, 1);
			break;
		case 'P':
			/* Where it points is no matter, and may not be readable. */
			(void)cursor_pointer(cursor, cursor_fixed(cursor, 1) & 0x0f, 0);
			break;
		case 'S':
			common->is_signal = 1;
			break;
		case 'B': /* aarch64: return addresses are signed with key B */
			break;
		default:
			return;
		}
	}
}

static int
read_common(const struct unwind_calls *calls, uint64_t address, struct common *ret_common)
{
	struct common common = {0};
	struct cursor cursor;
	char letters[8] = "";
	uint64_t place, id, bytes;
	unsigned version, count = 0;

	if (begin_entry(&cursor, calls, address, &place, &id) || id)
		return -1;
	version = (unsigned)cursor_fixed(&cursor, 1);
	do {
		letters[count] = (char)cursor_fixed(&cursor, 1);
	} while (letters[count] && ++count < sizeof(letters));
	if ((version != 1 && version != 3) || count == sizeof(letters) ||
		(count && letters[0] != 'z'))
		return -1;
	common.code_align = cursor_uleb(&cursor);
	common.data_align = cursor_sleb(&cursor);
	common.return_register = (unsigned)(version == 1 ? cursor_fixed(&cursor, 1)
							 : cursor_uleb(&cursor));
	common.has_augmentation = count != 0;
	if (count) {
		bytes = cursor_uleb(&cursor);
		common.instructions = cursor;
		cursor_skip(&common.instructions, bytes);
		read_augmentation(&cursor, letters + 1, &common);
		cursor.failed |= common.instructions.failed;
	} else {
		common.instructions = cursor;
	}
	if (cursor.failed || common.return_register >= UNWIND_REGISTERS)
		return -1;
	*ret_common = common;
	return 0;
}

/* The rule of a register, or one that nobody looks at. */
static struct cfi_rule *
rule_of(struct machine *machine, uint64_t number)
{
	return &machine->row
			.registers[number < UNWIND_REGISTERS ? number : UNWIND_REGISTERS];
}

static void
set_offset(struct machine *machine, uint64_t number, enum cfi_kind kind, int64_t offset)
{
	*rule_of(machine, number) = (struct cfi_rule){.kind = (uint16_t)kind,
		.offset = (int64_t)((uint64_t)offset *
				    (uint64_t)machine->common->data_align)};
}

static void
restore(struct machine *machine, uint64_t number)
{
	if (number < UNWIND_REGISTERS)
		machine->row.registers[number] = machine->initial.registers[number];
}

static struct cfi_rule
read_expression(struct cursor *cursor, enum cfi_kind kind)
{
	struct cfi_rule rule = {.kind = (uint16_t)kind};
	uint64_t bytes = cursor_uleb(cursor);

	rule.bytes = (uint32_t)bytes;
	rule.expression = cursor->address;
	cursor_skip(cursor, bytes);
	return rule;
}

static void
define_cfa(struct machine *machine, uint64_t number, int64_t offset)
{
	machine->row.cfa = (struct cfi_rule){.kind = CFI_REGISTER,
		.number =
			(uint16_t)(number < UNWIND_REGISTERS ? number : UNWIND_REGISTERS),
		.offset = offset};
}

static int64_t
factored(const struct machine *machine, int64_t value)
{
	return (int64_t)((uint64_t)value * (uint64_t)machine->common->data_align);
}

/* DW_CFA_*, those without an operand in their lower six bits. */
enum { NOP, SET_LOC, ADVANCE_LOC1, ADVANCE_LOC2, ADVANCE_LOC4, OFFSET_EXTENDED };
enum { RESTORE_EXTENDED = 6, UNDEFINED, SAME_VALUE, REGISTER, REMEMBER_STATE };
enum { RESTORE_STATE = 0x0b, DEF_CFA, DEF_CFA_REGISTER, DEF_CFA_OFFSET };
enum { DEF_CFA_EXPRESSION = 0x0f, EXPRESSION, OFFSET_EXTENDED_SF, DEF_CFA_SF };
enum { DEF_CFA_OFFSET_SF = 0x13, VAL_OFFSET, VAL_OFFSET_SF, VAL_EXPRESSION };
enum { NEGATE_RA_STATE = 0x2d, GNU_ARGS_SIZE, GNU_NEGATIVE_OFFSET_EXTENDED };
enum { ADVANCE_LOC = 0x40, OFFSET = 0x80, RESTORE = 0xc0 };

/* Do what changes the frame's address. Returns -1 for another instruction. */
static int
run_cfa(struct machine *machine, unsigned op)
{
	struct cursor *cursor = machine->cursor;
	struct cfi_rule *cfa = &machine->row.cfa;
	uint64_t number;

	switch (op) {
	case DEF_CFA:
		number = cursor_uleb(cursor);
		define_cfa(machine, number, (int64_t)cursor_uleb(cursor));
		return 0;
	case DEF_CFA_SF:
		number = cursor_uleb(cursor);
		define_cfa(machine, number, factored(machine, cursor_sleb(cursor)));
		return 0;
	case DEF_CFA_REGISTER:
		number = cursor_uleb(cursor);
		if (cfa->kind != CFI_REGISTER)
			return -1;
		define_cfa(machine, number, cfa->offset);
		return 0;
	case DEF_CFA_OFFSET:
	case DEF_CFA_OFFSET_SF:
		if (cfa->kind != CFI_REGISTER)
			return -1;
		cfa->offset = op == DEF_CFA_OFFSET
				      ? (int64_t)cursor_uleb(cursor)
				      : factored(machine, cursor_sleb(cursor));
		return 0;
	case DEF_CFA_EXPRESSION:
		*cfa = read_expression(cursor, CFI_VALUE_EXPRESSION);
		return 0;
	default:
		return -1;
	}
}

/* Do what changes a register's rule. Returns -1 for another instruction. */
static int
run_rule(struct machine *machine, unsigned op)
{
	struct cursor *cursor = machine->cursor;
	uint64_t number = cursor_uleb(cursor);

	switch (op) {
	case OFFSET_EXTENDED:
		set_offset(machine, number, CFI_OFFSET, (int64_t)cursor_uleb(cursor));
		return 0;
	case OFFSET_EXTENDED_SF:
		set_offset(machine, number, CFI_OFFSET, cursor_sleb(cursor));
		return 0;
	case GNU_NEGATIVE_OFFSET_EXTENDED:
		set_offset(machine, number, CFI_OFFSET, (int64_t)-cursor_uleb(cursor));
		return 0;
	case VAL_OFFSET:
		set_offset(
			machine, number, CFI_VALUE_OFFSET, (int64_t)cursor_uleb(cursor));
		return 0;
	case VAL_OFFSET_SF:
		set_offset(machine, number, CFI_VALUE_OFFSET, cursor_sleb(cursor));
		return 0;
	case RESTORE_EXTENDED:
		restore(machine, number);
		return 0;
	case UNDEFINED:
		*rule_of(machine, number) = (struct cfi_rule){.kind = CFI_UNDEFINED};
		return 0;
	case SAME_VALUE:
		*rule_of(machine, number) = (struct cfi_rule){.kind = CFI_SAME};
		return 0;
	case REGISTER: {
		uint64_t other = cursor_uleb(cursor);

		*rule_of(machine, number) = (struct cfi_rule){.kind = CFI_REGISTER,
			.number =
				(uint16_t)(other < UNWIND_REGISTERS ? other
								    : UNWIND_REGISTERS)};
		return 0;
	}
	case EXPRESSION:
		*rule_of(machine, number) = read_expression(cursor, CFI_EXPRESSION);
		return 0;
	case VAL_EXPRESSION:
		*rule_of(machine, number) = read_expression(cursor, CFI_VALUE_EXPRESSION);
		return 0;
	default:
		return -1;
	}
}

/* Do one instruction that is neither. */
static int
run_other(struct machine *machine, unsigned op)
{
	struct cursor *cursor = machine->cursor;
	uint64_t align = machine->common->code_align;

	switch (op) {
	case NOP:
	case NEGATE_RA_STATE: /* signatures are taken off return addresses anyway */
		return 0;
	case SET_LOC:
		machine->location = cursor_pointer(cursor, machine->common->encoding, 0);
		return 0;
	case ADVANCE_LOC1:
		machine->location += cursor_fixed(cursor, 1) * align;
		return 0;
	case ADVANCE_LOC2:
		machine->location += cursor_fixed(cursor, 2) * align;
		return 0;
	case ADVANCE_LOC4:
		machine->location += cursor_fixed(cursor, 4) * align;
		return 0;
	case REMEMBER_STATE:
		if (machine->depth == REMEMBERED)
			return -1;
		machine->remembered[machine->depth++] = machine->row;
		return 0;
	case RESTORE_STATE:
		if (!machine->depth)
			return -1;
		machine->row = machine->remembered[--machine->depth];
		return 0;
	case GNU_ARGS_SIZE:
		(void)cursor_uleb(cursor);
		return 0;
	default:
		return -1;
	}
}

static int
run_one(struct machine *machine)
{
	unsigned op = (unsigned)cursor_fixed(machine->cursor, 1);
	unsigned operand = op & 0x3f;

	switch (op & 0xc0) {
	case ADVANCE_LOC:
		machine->location += operand * machine->common->code_align;
		return 0;
	case OFFSET:
		set_offset(machine, operand, CFI_OFFSET,
			(int64_t)cursor_uleb(machine->cursor));
		return 0;
	case RESTORE:
		restore(machine, operand);
		return 0;
	default:
		break;
	}
	switch (op) {
	case DEF_CFA:
	case DEF_CFA_SF:
	case DEF_CFA_REGISTER:
	case DEF_CFA_OFFSET:
	case DEF_CFA_OFFSET_SF:
	case DEF_CFA_EXPRESSION:
		return run_cfa(machine, op);
	case OFFSET_EXTENDED:
	case OFFSET_EXTENDED_SF:
	case GNU_NEGATIVE_OFFSET_EXTENDED:
	case VAL_OFFSET:
	case VAL_OFFSET_SF:
	case RESTORE_EXTENDED:
	case UNDEFINED:
	case SAME_VALUE:
	case REGISTER:
	case EXPRESSION:
	case VAL_EXPRESSION:
		return run_rule(machine, op);
	default:
		return run_other(machine, op);
	}
}

/* Run instructions until they are about code behind pc. */
static int
run(struct machine *machine, struct cursor *instructions)
{
	machine->cursor = instructions;
	while (instructions->address < instructions->end &&
		machine->location <= machine->pc)
		if (run_one(machine) || instructions->failed)
			return -1;
	return 0;
}

/* Read the entry (FDE) at that address and see what it says of pc. */
static int
read_entry(const struct unwind_calls *calls, uint64_t address, uint64_t pc,
	struct cfi_frame *ret_frame)
{
	struct machine machine;
	struct common common;
	struct cursor cursor;
	uint64_t place, id, start, bytes;

	if (begin_entry(&cursor, calls, address, &place, &id) || !id || id > place ||
		read_common(calls, place - id, &common))
		return -1;
	start = cursor_pointer(&cursor, common.encoding, 0);
	bytes = cursor_pointer(&cursor, common.encoding & 0x0f, 0);
	if (cursor.failed)
		return -1;
	if (pc < start || pc - start >= bytes)
		return 0;
	if (common.has_augmentation)
		cursor_skip(&cursor, cursor_uleb(&cursor));
	memset(&machine, 0, sizeof(machine));
	machine.common = &common;
	machine.pc = pc;
	if (run(&machine, &common.instructions))
		return -1;
	machine.initial = machine.row;
	machine.location = start;
	if (run(&machine, &cursor) || machine.row.cfa.kind == CFI_SAME)
		return -1;
	ret_frame->row = machine.row;
	ret_frame->return_register = common.return_register;
	ret_frame->is_signal = common.is_signal;
	return 1;
}

/* One pair of the sorted table, relative to its header. */
struct pair {
	int32_t start; /* of a function */
	int32_t entry;
};

/* Find the last pair of `count` that begins at pc or before it; the first if none does. The
 * last steps are made in a copy: each read is a system call. */
static int
find_pair(const struct unwind_calls *calls, uint64_t table, uint64_t base, uint64_t count,
	uint64_t pc, struct pair *ret_pair)
{
	struct pair pairs[PAIRS];
	uint64_t low = 0, high = count;

	while (high - low > PAIRS) {
		uint64_t middle = low + (high - low) / 2;

		if (calls->read(calls->context, table + middle * sizeof(*pairs), pairs,
			    sizeof(*pairs)))
			return -1;
		if (base + (uint64_t)(int64_t)pairs->start <= pc)
			low = middle;
		else
			high = middle;
	}
	if (calls->read(calls->context, table + low * sizeof(*pairs), pairs,
		    (high - low) * sizeof(*pairs)))
		return -1;
	*ret_pair = pairs[0];
	for (uint64_t i = 1; i < high - low; i++)
		if (base + (uint64_t)(int64_t)pairs[i].start <= pc)
			*ret_pair = pairs[i];
	return 0;
}

int
cfi_find(const struct unwind_calls *calls, const struct unwind_module *module,
	uint64_t pc, struct cfi_frame *ret_frame)
{
	uint64_t header = module->eh_frame_hdr, count;
	struct pair pair;
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	struct cursor cursor;

	if (!header)
		return 0;
	cursor_init(&cursor, calls, header, UINT64_MAX);
	version = (uint8_t)cursor_fixed(&cursor, 1);
	frame_encoding = (uint8_t)cursor_fixed(&cursor, 1);
	count_encoding = (uint8_t)cursor_fixed(&cursor, 1);
	table_encoding = (uint8_t)cursor_fixed(&cursor, 1);
	if (cursor.failed || version != 1 || count_encoding == OMITTED ||
		table_encoding != SORTED_TABLE)
		return -1;
	if (frame_encoding != OMITTED)
		(void)cursor_pointer(&cursor, frame_encoding, header);
	count = cursor_pointer(&cursor, count_encoding, header);
	if (cursor.failed || count > ENTRIES_MAX)
		return -1;
	if (!count)
		return 0;
	if (find_pair(calls, cursor.address, header, count, pc, &pair))
		return -1;
	if (header + (uint64_t)(int64_t)pair.start > pc)
		return 0;
	return read_entry(calls, header + (uint64_t)(int64_t)pair.entry, pc, ret_frame);
}
