/* SPDX-License-Identifier: MIT */
/*
 * A thread whose memory, tables of frames and registers are any bytes: the walk ends, after
 * a bounded number of steps, and is the same when it has been walked before.
 *
 *	1 byte     whether the memory repeats for ever
 *	7 numbers  pc, sp, fp and another register, the module and where its table is
 *	bytes      the memory, from BASE on
 */

#include "config.h"

#include "probes/unwind.h"

#include <string.h>

#include "probes/cfi.h"
#include "tests/fuzz/fuzz.h"

#define BASE 0x100000u
#define FRAMES 64
/* A frame's table is searched, read twice as it is run, and may have expressions. */
#define READS_MAX (FRAMES * 40000ul)

static struct fuzz_input memory;
static struct unwind_module module;
static bool endless;
static unsigned long reads;

static int
read_memory(void *context, uint64_t address, void *to, size_t bytes)
{
	(void)context;
	fuzz_check(++reads <= READS_MAX);
	if (address < BASE || !memory.left || bytes > UINT64_MAX - address ||
		(!endless && address - BASE + bytes > memory.left))
		return -1;
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)to)[i] = memory.at[(address - BASE + i) % memory.left];
	return 0;
}

static int
find_module(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	(void)context;
	if (pc < module.start || pc >= module.end)
		return -1;
	*ret_module = module;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unwind_calls calls = {.read = read_memory, .find = find_module};
	struct unwind_registers registers = {.known = (1ull << UNWIND_REGISTERS) - 1};
	struct fuzz_input input = {data, size};
	enum unwind_end end = UNWIND_LOST, end_again = UNWIND_LOST;
	uint64_t pcs[FRAMES], again[FRAMES];
	static struct cfi_memo memo;
	size_t count;

	endless = fuzz_byte(&input) % 2;
	for (unsigned i = 0; i < UNWIND_REGISTERS; i++)
		registers.values[i] = BASE + 8 * i;
	registers.values[UNWIND_PC] = fuzz_number(&input, BASE);
	registers.values[UNWIND_SP] = fuzz_number(&input, BASE);
	registers.values[UNWIND_FP] = fuzz_number(&input, BASE);
	registers.values[0] = fuzz_number(&input, BASE);
	module = (struct unwind_module){
		.start = fuzz_number(&input, BASE),
		.end = fuzz_number(&input, BASE),
		.eh_frame_hdr = fuzz_number(&input, BASE),
	};
	memory = input;
	reads = 0;
	count = unwind_walk(&calls, &registers, pcs, FRAMES, &end);
	calls.memo = &memo;
	memset(&memo, 0, sizeof(memo));
	for (int i = 0; i < 2; i++) {
		reads = 0;
		fuzz_check(unwind_walk(&calls, &registers, again, FRAMES, &end_again) ==
				   count &&
			   end_again == end && !memcmp(pcs, again, count * sizeof(*pcs)));
	}
	fuzz_check(count && count <= FRAMES && pcs[0] == registers.values[UNWIND_PC]);
	fuzz_check((end == UNWIND_FULL) <= (count == FRAMES) && end <= UNWIND_LOST);
	return 0;
}
