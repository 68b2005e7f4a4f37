/* SPDX-License-Identifier: MIT */
/* A stack machine that ends after a bounded number of steps, whatever it is fed. */

#include "probes/expression.h"

#include <stddef.h>

#include "probes/cursor.h"

#define DEPTH 16u
#define STEPS 512

/* DW_OP_* */
enum { ADDR = 0x03, DEREF = 0x06, CONST1U = 0x08, CONST1S, CONST2U, CONST2S, CONST4U };
enum { CONST4S = 0x0d, CONST8U, CONST8S, CONSTU, CONSTS, DUP, DROP, OVER, PICK, SWAP };
enum { ROT = 0x17, ABS = 0x19, AND, DIV, MINUS, MOD, MUL, NEG, NOT, OR, PLUS };
enum { PLUS_UCONST = 0x23, SHL, SHR, SHRA, XOR, BRA, EQ, GE, GT, LE, LT, NE, SKIP };
enum { LIT0 = 0x30, BREG0 = 0x70, BREGX = 0x92, DEREF_SIZE = 0x94, NOP = 0x96 };

struct machine {
	const struct unwind_calls *calls;
	const struct unwind_registers *registers;
	struct cursor cursor;
	uint64_t begin;
	uint64_t stack[DEPTH];
	unsigned depth;
	int failed;
};

static void
push(struct machine *machine, uint64_t value)
{
	if (machine->depth == DEPTH)
		machine->failed = 1;
	else
		machine->stack[machine->depth++] = value;
}

static uint64_t
pop(struct machine *machine)
{
	if (!machine->depth) {
		machine->failed = 1;
		return 0;
	}
	return machine->stack[--machine->depth];
}

/* The value `down` places below the top. */
static uint64_t
peek(struct machine *machine, uint64_t down)
{
	if (down >= machine->depth) {
		machine->failed = 1;
		return 0;
	}
	return machine->stack[machine->depth - 1 - down];
}

static void
push_register(struct machine *machine, uint64_t number)
{
	int64_t offset = cursor_sleb(&machine->cursor);

	if (number >= UNWIND_REGISTERS || !(machine->registers->known >> number & 1))
		machine->failed = 1;
	else
		push(machine, machine->registers->values[number] + (uint64_t)offset);
}

static void
push_memory(struct machine *machine, uint64_t bytes)
{
	struct cursor there;
	uint64_t address = pop(machine);

	if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) {
		machine->failed = 1;
		return;
	}
	cursor_init(&there, machine->calls, address, address + bytes);
	push(machine, cursor_fixed(&there, (unsigned)bytes));
	machine->failed |= there.failed;
}

/* Go on somewhere else in the expression. */
static void
jump(struct machine *machine, int64_t offset)
{
	struct cursor *cursor = &machine->cursor;
	uint64_t target = cursor->address + (uint64_t)offset;

	if (target < machine->begin || target > cursor->end)
		machine->failed = 1;
	else
		cursor->address = target;
}

/* Push a constant. Returns -1 for another operation. */
static int
run_constant(struct machine *machine, unsigned op)
{
	struct cursor *cursor = &machine->cursor;

	if (op >= LIT0 && op < LIT0 + 32)
		return push(machine, op - LIT0), 0;
	switch (op) {
	case ADDR:
	case CONST8U:
	case CONST8S:
		return push(machine, cursor_fixed(cursor, 8)), 0;
	case CONST1U:
		return push(machine, cursor_fixed(cursor, 1)), 0;
	case CONST1S:
		return push(machine, (uint64_t)(int8_t)cursor_fixed(cursor, 1)), 0;
	case CONST2U:
		return push(machine, cursor_fixed(cursor, 2)), 0;
	case CONST2S:
		return push(machine, (uint64_t)(int16_t)cursor_fixed(cursor, 2)), 0;
	case CONST4U:
		return push(machine, cursor_fixed(cursor, 4)), 0;
	case CONST4S:
		return push(machine, (uint64_t)(int32_t)cursor_fixed(cursor, 4)), 0;
	case CONSTU:
		return push(machine, cursor_uleb(cursor)), 0;
	case CONSTS:
		return push(machine, (uint64_t)cursor_sleb(cursor)), 0;
	default:
		return -1;
	}
}

/* Do an operation on two values. Returns -1 for another one. */
static int
run_binary(struct machine *machine, unsigned op)
{
	uint64_t b = peek(machine, 0), a = peek(machine, 1), value;
	int64_t sb = (int64_t)b, sa = (int64_t)a;

	switch (op) {
	case AND:
		value = a & b;
		break;
	case OR:
		value = a | b;
		break;
	case XOR:
		value = a ^ b;
		break;
	case PLUS:
		value = a + b;
		break;
	case MINUS:
		value = a - b;
		break;
	case MUL:
		value = a * b;
		break;
	case DIV:
		/* INT64_MIN / -1 would trap, as would a zero. */
		value = b == UINT64_MAX ? -a : b ? (uint64_t)(sa / sb) : 0;
		machine->failed |= !b;
		break;
	case MOD:
		value = b ? a % b : 0;
		machine->failed |= !b;
		break;
	case SHL:
		value = b < 64 ? a << b : 0;
		break;
	case SHR:
		value = b < 64 ? a >> b : 0;
		break;
	case SHRA:
		value = (uint64_t)(sa >> (b < 64 ? b : 63));
		break;
	case EQ:
		value = sa == sb;
		break;
	case NE:
		value = sa != sb;
		break;
	case GE:
		value = sa >= sb;
		break;
	case GT:
		value = sa > sb;
		break;
	case LE:
		value = sa <= sb;
		break;
	case LT:
		value = sa < sb;
		break;
	default:
		return -1;
	}
	(void)pop(machine);
	(void)pop(machine);
	push(machine, value);
	return 0;
}

/* Do an operation on one value, or on the stack. Returns -1 for another one. */
static int
run_stack(struct machine *machine, unsigned op)
{
	struct cursor *cursor = &machine->cursor;
	uint64_t a, b, c;

	switch (op) {
	case DUP:
		return push(machine, peek(machine, 0)), 0;
	case DROP:
		return (void)pop(machine), 0;
	case OVER:
		return push(machine, peek(machine, 1)), 0;
	case PICK:
		return push(machine, peek(machine, cursor_fixed(cursor, 1))), 0;
	case SWAP:
		a = pop(machine);
		b = pop(machine);
		push(machine, a);
		return push(machine, b), 0;
	case ROT:
		a = pop(machine);
		b = pop(machine);
		c = pop(machine);
		push(machine, a);
		push(machine, c);
		return push(machine, b), 0;
	case ABS:
		a = pop(machine);
		return push(machine, (int64_t)a < 0 ? -a : a), 0;
	case NEG:
		return push(machine, -pop(machine)), 0;
	case NOT:
		return push(machine, ~pop(machine)), 0;
	case PLUS_UCONST:
		a = pop(machine);
		return push(machine, a + cursor_uleb(cursor)), 0;
	default:
		return -1;
	}
}

/* Do what touches registers, memory or the place in the expression. */
static int
run_rest(struct machine *machine, unsigned op)
{
	struct cursor *cursor = &machine->cursor;
	int64_t offset;

	if (op >= BREG0 && op < BREG0 + 32)
		return push_register(machine, op - BREG0), 0;
	switch (op) {
	case NOP:
		return 0;
	case BREGX:
		return push_register(machine, cursor_uleb(cursor)), 0;
	case DEREF:
		return push_memory(machine, 8), 0;
	case DEREF_SIZE:
		return push_memory(machine, cursor_fixed(cursor, 1)), 0;
	case SKIP:
	case BRA:
		offset = (int16_t)cursor_fixed(cursor, 2);
		if (op == SKIP || pop(machine))
			jump(machine, offset);
		return 0;
	default:
		return -1;
	}
}

static int
run_one(struct machine *machine)
{
	unsigned op = (unsigned)cursor_fixed(&machine->cursor, 1);

	if (run_constant(machine, op) == 0 || run_stack(machine, op) == 0)
		return 0;
	if ((op >= AND && op <= XOR && op != NEG && op != NOT) || (op >= EQ && op <= NE))
		return run_binary(machine, op);
	return run_rest(machine, op);
}

int
expression_evaluate(const struct unwind_calls *calls, uint64_t address, uint32_t bytes,
	const struct unwind_registers *registers, const uint64_t *initial,
	uint64_t *ret_value)
{
	struct machine machine = {
		.calls = calls, .registers = registers, .begin = address};

	cursor_init(&machine.cursor, calls, address, address + bytes);
	if (initial)
		push(&machine, *initial);
	for (int step = 0; machine.cursor.address < machine.cursor.end; step++)
		if (step == STEPS || run_one(&machine) || machine.failed ||
			machine.cursor.failed)
			return -1;
	if (!machine.depth || machine.cursor.failed)
		return -1;
	*ret_value = pop(&machine);
	return 0;
}
