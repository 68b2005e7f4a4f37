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
 *   looks at no more than frames and what they point to. Exported up to 3.12; 3.13 and 3.14
 *   keep it to themselves, and there is no Python stack; 3.15 has it for everybody as
 *   PyUnstable_DumpTraceback().
 * - While the interpreter ends, the states of other threads are freed: Py_IsFinalizing(),
 *   before 3.13 _Py_IsFinalizing(), tells.
 */

#include "probes/python.h"

#include "probes/symbols.h"

static int prepared;
static void *initialize;
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

void
python_dump(void *state, int descriptor)
{
	if (dump_traceback && !(is_finalizing && is_finalizing()))
		dump_traceback(descriptor, state);
}
