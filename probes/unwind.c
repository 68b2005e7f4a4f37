/* SPDX-License-Identifier: MIT */
/* See unwind.h: one step after the other, from a frame's registers to its caller's. */

#include "probes/unwind.h"

#include "probes/cfi.h"
#include "probes/expression.h"

#if UNWIND_REGISTERS

#define LOWEST 4096u
#define HIGHEST (1ull << 47) /* beyond it no program has its code */
#define NO_SIGNATURE ((1ull << 48) - 1)
#define FRAME_MAX (64u << 20) /* no frame that is reached by its pointer is larger */

enum step { STEP_DONE = -1 }; /* else enum unwind_end: why not */

static int
is_known(const struct unwind_registers *registers, unsigned number)
{
	return number < UNWIND_REGISTERS && (registers->known >> number & 1);
}

static void
set(struct unwind_registers *registers, unsigned number, uint64_t value)
{
	registers->values[number] = value;
	registers->known |= 1ull << number;
}

static int
read_word(const struct unwind_calls *calls, uint64_t address, uint64_t *ret_value)
{
	return calls->read(calls->context, address, ret_value, sizeof(*ret_value));
}

/* Where the frame is. */
static int
find_cfa(const struct unwind_calls *calls, const struct cfi_rule *rule,
	const struct unwind_registers *registers, uint64_t *ret_cfa)
{
	if (rule->kind == CFI_VALUE_EXPRESSION)
		return expression_evaluate(
			calls, rule->expression, rule->bytes, registers, NULL, ret_cfa);
	if (!is_known(registers, rule->number))
		return -1;
	*ret_cfa = registers->values[rule->number] + (uint64_t)rule->offset;
	return 0;
}

/* Bring one register of the caller over. Returns -1 if memory could not be read. */
static int
apply(const struct unwind_calls *calls, const struct cfi_rule *rule,
	const struct unwind_registers *from, uint64_t cfa, unsigned number,
	struct unwind_registers *to)
{
	uint64_t value;

	switch ((enum cfi_kind)rule->kind) {
	case CFI_SAME:
		if (is_known(from, number))
			set(to, number, from->values[number]);
		return 0;
	case CFI_UNDEFINED:
		return 0;
	case CFI_VALUE_OFFSET:
		set(to, number, cfa + (uint64_t)rule->offset);
		return 0;
	case CFI_REGISTER:
		if (is_known(from, rule->number))
			set(to, number,
				from->values[rule->number] + (uint64_t)rule->offset);
		return 0;
	case CFI_VALUE_EXPRESSION:
		if (expression_evaluate(calls, rule->expression, rule->bytes, from, &cfa,
			    &value) == 0)
			set(to, number, value);
		return 0;
	case CFI_EXPRESSION:
		if (expression_evaluate(
			    calls, rule->expression, rule->bytes, from, &cfa, &value))
			return 0;
		break;
	case CFI_OFFSET:
		value = cfa + (uint64_t)rule->offset;
		break;
	}
	if (read_word(calls, value, &value))
		return -1;
	set(to, number, value);
	return 0;
}

/* Step by the frame's rules. */
static int
step_by_rules(const struct unwind_calls *calls, const struct cfi_frame *frame,
	struct unwind_registers *registers)
{
	const struct cfi_rule *rules = frame->row.registers;
	struct unwind_registers caller = {.known = 0};
	unsigned back = frame->return_register;
	uint64_t cfa;

	if (rules[back].kind == CFI_UNDEFINED)
		return UNWIND_OUTERMOST;
	if (find_cfa(calls, &frame->row.cfa, registers, &cfa))
		return UNWIND_LOST;
	/* The caller's sp, unless there is a rule for it. */
	set(&caller, UNWIND_SP, cfa);
	for (unsigned i = 0; i < UNWIND_REGISTERS; i++) {
		if ((i == UNWIND_SP || i == UNWIND_PC) && rules[i].kind == CFI_SAME)
			continue;
		if (apply(calls, &rules[i], registers, cfa, i, &caller) &&
			(i == back || i == UNWIND_SP || i == UNWIND_FP))
			return UNWIND_UNREAD;
	}
	if (!is_known(&caller, back))
		return UNWIND_LOST;
	set(&caller, UNWIND_PC, caller.values[back]);
	*registers = caller;
	return STEP_DONE;
}

/* Step by the chain of frame pointers: both architectures keep the caller's one and the
 * return address side by side. */
static int
step_by_pointer(const struct unwind_calls *calls, struct unwind_registers *registers)
{
	struct unwind_registers caller = {.known = 0};
	uint64_t fp = registers->values[UNWIND_FP], saved, back;

	if (!is_known(registers, UNWIND_FP) || fp < registers->values[UNWIND_SP] ||
		fp - registers->values[UNWIND_SP] > FRAME_MAX || fp % 8)
		return UNWIND_LOST;
	if (read_word(calls, fp, &saved) || read_word(calls, fp + 8, &back))
		return UNWIND_UNREAD;
	set(&caller, UNWIND_FP, saved);
	set(&caller, UNWIND_SP, fp + 16);
	set(&caller, UNWIND_PC, back);
	*registers = caller;
	return STEP_DONE;
}

/* What cfi_find() says of the code at `place`, or has said before. */
static int
find_frame(const struct unwind_calls *calls, uint64_t place, struct cfi_frame *ret_frame)
{
	unsigned i = (unsigned)((place ^ place >> 12) % CFI_MEMO);
	struct unwind_module module;
	int found;

	/* What has not been found yet has 0 there. */
	if (calls->memo && place && calls->memo->entries[i].pc == place) {
		*ret_frame = calls->memo->entries[i].frame;
		return 1;
	}
	if (calls->find(calls->context, place, &module))
		return 0;
	found = cfi_find(calls, &module, place, ret_frame);
	if (calls->memo && found > 0) {
		calls->memo->entries[i].pc = place;
		calls->memo->entries[i].frame = *ret_frame;
	}
	return found;
}

/* Step to the caller of the frame that is at `place`. */
static int
step(const struct unwind_calls *calls, uint64_t place, int *interrupted,
	struct unwind_registers *registers)
{
	uint64_t sp = registers->values[UNWIND_SP];
	struct cfi_frame frame = {.is_signal = 0};
	int result, found = find_frame(calls, place, &frame);

	if (found < 0)
		return UNWIND_LOST;
	result = found ? step_by_rules(calls, &frame, registers)
		       : step_by_pointer(calls, registers);
	if (result != STEP_DONE)
		return result;
#ifdef __aarch64__
	registers->values[UNWIND_PC] &= NO_SIGNATURE;
#endif
	if (!registers->values[UNWIND_PC])
		return UNWIND_OUTERMOST;
	if (registers->values[UNWIND_PC] < LOWEST ||
		registers->values[UNWIND_PC] >= HIGHEST)
		return UNWIND_LOST;
	/* Callers lie higher, but for those that a signal interrupted on another stack, and
	 * the first one of a function that needs no stack. */
	if (!frame.is_signal && registers->values[UNWIND_SP] <= sp &&
		!(*interrupted && registers->values[UNWIND_SP] == sp))
		return UNWIND_LOST;
	*interrupted = frame.is_signal;
	return STEP_DONE;
}

size_t
unwind_walk(const struct unwind_calls *calls, const struct unwind_registers *registers,
	uint64_t *pcs, size_t max, enum unwind_end *ret_end)
{
	struct unwind_registers at = *registers;
	int interrupted = 1, result = UNWIND_LOST;
	size_t count = 0;

	if (is_known(&at, UNWIND_PC) && is_known(&at, UNWIND_SP)) {
		do {
			uint64_t place = at.values[UNWIND_PC] - !interrupted;

			if (count == max) {
				result = UNWIND_FULL;
				break;
			}
			pcs[count++] = place;
			result = step(calls, place, &interrupted, &at);
		} while (result == STEP_DONE);
	}
	*ret_end = (enum unwind_end)result;
	return count;
}

#else

size_t
unwind_walk(const struct unwind_calls *calls, const struct unwind_registers *registers,
	uint64_t *pcs, size_t max, enum unwind_end *ret_end)
{
	(void)calls, (void)registers, (void)pcs, (void)max;
	*ret_end = UNWIND_LOST;
	return 0;
}

#endif
