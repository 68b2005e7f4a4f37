/* SPDX-License-Identifier: MIT */
/*
 * CPython's functions are found by name, since the probe runs in any version:
 *
 * - PyGILState_GetThisThreadState() and PyGILState_Check() read thread-specific data and a
 *   global word; faulthandler calls the first one in its signal handlers. In 3.12 the
 *   second one, and in 3.13 and later both, read variables that are local to the thread. A
 *   libpython that was loaded by dlopen() late would make the C library set such variables
 *   aside at a thread's first look, with malloc: a thread that has run Python has had it.
 *   With subinterpreters in use PyGILState_Check() always says yes, up to 3.13.
 * - _Py_DumpTraceback(descriptor, state) is what faulthandler calls: no lock, no memory, it
 *   looks at no more than frames and what they point to. 3.8, 3.11 and 3.12 export it; 3.9,
 *   3.10, 3.13 and 3.14 keep it to themselves, and there is no Python stack; 3.15 has it for
 *   everybody as PyUnstable_DumpTraceback().
 *   But frames are not always in order: up to 3.12 the evaluation loop begins with hanging
 *   a record that it has on its stack into the thread's state, and fills it in some
 *   instructions later. What was on the stack there before would be taken for a frame. So
 *   no stack is taken at the beginning of that function, and in 3.11 and 3.12, whose
 *   structures are laid down below, all frames are looked at first, in a way that cannot
 *   crash.
 * - While the interpreter ends, the states of other threads are freed: Py_IsFinalizing(),
 *   before 3.13 _Py_IsFinalizing(), tells.
 */

#include "probes/python.h"

#include "probes/memory.h"
#include "probes/symbols.h"

/* Of the evaluation loop; gcc 12 needs 109 of them on x86-64 for 3.11, 173 for 3.12. */
#define PROLOGUE_BYTES 256
#define FRAMES 100 /* that are written */

/* Where things are on 64-bit machines: Include/cpython/pystate.h and code.h,
 * Include/internal/pycore_frame.h. */
enum { STATE_CFRAME = 56, OBJECT_TYPE = 8, CODE_FILE = 112, CODE_NAME = 120 };
struct layout {
	unsigned version; /* as Py_Version has it */
	uint8_t cframe_frame, frame_code, frame_previous;
};
static const struct layout layouts[] = {{0x030b, 8, 32, 48}, {0x030c, 0, 0, 8}};

static int prepared;
static void *initialize;
static uint64_t evaluation; /* _PyEval_EvalFrameDefault() */
static uint64_t code_type, unicode_type;
static const struct layout *layout; /* NULL: unknown */
static void *(*get_this_thread_state)(void);
static int (*check)(void);
static int (*is_finalizing)(void);
static void (*dump_traceback)(int descriptor, void *state);

static void *
find_either(const char *name, const char *other)
{
	void *found = symbols_find(name, NULL);

	return found ? found : symbols_find(other, NULL);
}

void
python_prepare(void)
{
	const unsigned long *version;

	if (prepared)
		return;
	prepared = 1;
	initialize = symbols_find("Py_Initialize", NULL);
	if (!initialize)
		return;
	*(void **)&get_this_thread_state =
		symbols_find("PyGILState_GetThisThreadState", NULL);
	*(void **)&check = symbols_find("PyGILState_Check", NULL);
	*(void **)&is_finalizing = find_either("Py_IsFinalizing", "_Py_IsFinalizing");
	evaluation = (uintptr_t)symbols_find("_PyEval_EvalFrameDefault", NULL);
	version = symbols_find("Py_Version", NULL);
	code_type = (uintptr_t)symbols_find("PyCode_Type", NULL);
	unicode_type = (uintptr_t)symbols_find("PyUnicode_Type", NULL);
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (version && *version >> 16 == layouts[i].version && code_type &&
			unicode_type && sizeof(void *) == 8)
			layout = &layouts[i];
	*(void **)&dump_traceback =
		find_either("PyUnstable_DumpTraceback", "_Py_DumpTraceback");
}

uint64_t
python_address(void)
{
	return (uintptr_t)initialize;
}

void *
python_current(void)
{
	return get_this_thread_state ? get_this_thread_state() : NULL;
}

int
python_holds_lock(void)
{
	return check && check();
}

static int
is_code(uint64_t address)
{
	uint64_t code[CODE_NAME / 8 + 1], texts[2], types[2];

	if (memory_copy(address, code, sizeof(code)) != sizeof(code) ||
		code[OBJECT_TYPE / 8] != code_type)
		return 0;
	texts[0] = code[CODE_FILE / 8] + OBJECT_TYPE;
	texts[1] = code[CODE_NAME / 8] + OBJECT_TYPE;
	return memory_gather(texts, 2, sizeof(*types), types) == 0 &&
	       types[0] == unicode_type && types[1] == unicode_type;
}

/* Tell whether all frames are what they seem to be. */
static int
is_in_order(uint64_t state)
{
	uint64_t cframe = memory_pointer(state + STATE_CFRAME), last = 0, words[8];
	uint64_t frame = memory_pointer(cframe + layout->cframe_frame);

	for (int i = 0; frame && i < FRAMES; i++) {
		uint64_t code;

		if (memory_copy(frame, words, sizeof(words)) != sizeof(words))
			return 0;
		code = words[layout->frame_code / 8];
		if (code != last && !is_code(code))
			return 0;
		last = code;
		frame = words[layout->frame_previous / 8];
	}
	return 1;
}

int
python_dump(void *state, uint64_t pc, int descriptor)
{
	if (!dump_traceback || (is_finalizing && is_finalizing()))
		return 0;
	if (pc - evaluation < PROLOGUE_BYTES)
		return -1;
	if (layout && !is_in_order((uintptr_t)state))
		return -1;
	dump_traceback(descriptor, state);
	return 0;
}
