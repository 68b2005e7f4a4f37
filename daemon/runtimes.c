/* SPDX-License-Identifier: MIT */
/* Which frames only run the program; see runtimes.h. */

#include "config.h"

#include "daemon/runtimes.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the text begins with one of the words. */
static bool
begins_with_one(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; text && i < count; i++)
		if (begins_with(text, words[i]))
			return true;
	return false;
}

static bool
is_one(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; text && i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static const char *
base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

bool
runtimes_is_libc(const struct stall_frame *frame)
{
	static const char *const names[] = {"libc.so", "libc-", "libc.musl", "libpthread",
		"ld-linux", "ld-musl", "ld-2", "ld.so", "librt.so", "librt-", "libdl.so",
		"libresolv", "libnss_", "libm.so", "libm-", "linux-vdso", "[vdso]",
		"liblooplag"};

	return frame->language == STALL_NATIVE &&
	       begins_with_one(base_name(frame->module), names, COUNT(names));
}

bool
runtimes_is_probe(const struct stall_frame *frame)
{
	return frame->language == STALL_NATIVE && frame->module &&
	       begins_with(base_name(frame->module), "liblooplag");
}

bool
runtimes_is_start(const struct stall_frame *frame)
{
	static const char *const names[] = {"_start", "__libc_start_main",
		"__libc_start_main_impl", "__libc_start_call_main", "__libc_start_main@",
		"start_thread", "clone", "clone3", "__clone", "__clone3", "thread_start"};

	return is_one(frame->function, names, COUNT(names));
}

/* The program or library that is the runtime itself. */
static bool
is_runtime_module(const char *module)
{
	static const char *const prefixes[] = {
		"libnode.so", "libv8", "libuv.so", "libpython"};
	const char *name = base_name(module);

	if (!name)
		return false;
	return begins_with_one(name, prefixes, COUNT(prefixes)) ||
	       strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0 ||
	       (begins_with(name, "python") && !strstr(name, ".so"));
}

bool
runtimes_is_interpreter(const struct stall_frame *frame, enum stall_language language)
{
	static const char *const python[] = {"_PyEval_", "PyEval_EvalFrame",
		"PyEval_EvalCode", "_PyFunction_Vectorcall", "_TAIL_CALL_"};
	static const char *const v8[] = {"Builtins_", "v8::internal::Execution::",
		"v8::internal::(anonymous namespace)::Invoke", "v8::Function::Call"};

	if (language == STALL_PYTHON)
		return begins_with_one(frame->function, python, COUNT(python));
	/* Code that V8 has made itself lies in no module. */
	return !frame->module || begins_with_one(frame->function, v8, COUNT(v8));
}

bool
runtimes_is_plumbing(const struct stall_frame *frame)
{
	static const char *const prefixes[] = {/* V8 and Node.js */
		"Builtins_", "v8::internal::Builtin_", "v8::internal::Runtime_",
		"v8::internal::Execution::",
		"v8::internal::(anonymous namespace)::Invoke",
		"v8::internal::FunctionCallbackArguments::",
		"v8::internal::MicrotaskQueue::", "v8::internal::InvokeFunctionCallback",
		"v8::internal::(anonymous namespace)::HandleApiCall",
		"v8::Function::", "v8::Script::Run", "node::", "uv_", "uv__",
		/* V8's memory; its collections are kept by one name */
		"v8::internal::Scavenger", "v8::internal::MarkCompact",
		"v8::internal::Marking", "v8::internal::MainMarking",
		"v8::internal::IncrementalMarking", "v8::internal::Sweeper",
		"v8::internal::AllocationCounter", "v8::internal::HeapAllocator",
		"v8::internal::Heap::", "v8::internal::Factory",
		"v8::internal::HandleScope", "v8::internal::BodyDescriptor",
		"v8::internal::ClearStale", "v8::internal::LocalHeap",
		"v8::internal::PagedSpace", "v8::internal::NewSpace", "v8::platform::",
		/* CPython: how a function written in C is called */
		"_PyEval_", "PyEval_", "_PyFunction_", "_PyObject_", "PyObject_",
		"PyVectorcall_", "_TAIL_CALL_", "cfunction_", "method_vectorcall",
		"vectorcall_", "slot_tp_", "type_call", "PyCFunction_", "_PyCFunction",
		"object_vacall", "Py_RunMain", "Py_BytesMain", "pymain_", "run_mod",
		"run_eval_code", "PyRun_", "_PyRun_", "_PyVectorcall_", "context_run",
		"gen_send_ex", "gen_iternext", "_asyncio_", "task_step",
		"TaskStepMethWrapper", "PyIter_", "PyEval_RestoreThread", "take_gil"};

	if (frame->function &&
		strcmp(frame->function, "v8::internal::Heap::CollectGarbage") == 0)
		return false;
	if (begins_with_one(frame->function, prefixes, COUNT(prefixes)))
		return true;
	/* Without a name a frame of the runtime says nothing. */
	return !frame->function && (!frame->module || is_runtime_module(frame->module));
}

/* The part of a path inside Python's standard library, or NULL if it does not lie there. */
static const char *
in_python_library(const char *file)
{
	const char *lib = file ? strstr(file, "/python3") : NULL;
	const char *rest;

	if (file && begins_with(file, "<frozen "))
		return file;
	if (!lib || !(rest = strchr(lib + 1, '/')) || strstr(rest, "/site-packages/") ||
		strstr(rest, "/dist-packages/"))
		return NULL;
	/* /usr/lib/python3.11/, ~/.pyenv/versions/3.11.2/lib/python3.11/ */
	if (strstr(file, "/lib/python3") != lib - 4 &&
		strstr(file, "/lib64/python3") != lib - 6)
		return NULL;
	return rest + 1;
}

bool
runtimes_is_folded(const struct stall_frame *frame)
{
	static const char *const files[] = {"asyncio/base_events.py", "asyncio/events.py",
		"asyncio/runners.py", "asyncio/selector_events.py",
		"asyncio/unix_events.py", "asyncio/tasks.py", "asyncio/futures.py",
		"concurrent/futures/thread.py", "threading.py", "runpy.py"};
	const char *file;

	switch (frame->language) {
	case STALL_JS:
		return frame->file && begins_with(frame->file, "node:internal/");
	case STALL_PYTHON:
		file = in_python_library(frame->file);
		return file && (begins_with(file, "<frozen ") ||
				       is_one(file, files, COUNT(files)));
	default:
		return false;
	}
}

bool
runtimes_is_nameless(const struct stall_frame *frame)
{
	static const char *const names[] = {"<module>", "<lambda>", "<listcomp>",
		"<genexpr>", "<dictcomp>", "<setcomp>", "Object.<anonymous>", "eval"};

	return !frame->function || is_one(frame->function, names, COUNT(names));
}

static enum runtimes_rank
rank_of_script(const struct stall_frame *frame)
{
	static const char *const packages[] = {
		"/site-packages/", "/dist-packages/", "/node_modules/"};
	const char *name = base_name(frame->file);

	/* Without a file it is built in: Array.map. */
	if (!frame->file || begins_with(frame->file, "node:") ||
		in_python_library(frame->file))
		return RUNTIMES_RUNTIME;
	for (size_t i = 0; i < COUNT(packages); i++)
		if (strstr(frame->file, packages[i]))
			return RUNTIMES_LIBRARY;
	/* /usr/bin/gunicorn only imports what it runs. */
	if (frame->function && strcmp(frame->function, "<module>") == 0 &&
		name - frame->file >= 5 && begins_with(name - 5, "/bin/"))
		return RUNTIMES_LIBRARY;
	return RUNTIMES_OWN;
}

enum runtimes_rank
runtimes_rank(const struct stall_frame *frame)
{
	static const char *const directories[] = {
		"/lib/", "/lib32/", "/lib64/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/"};

	if (frame->language != STALL_NATIVE)
		return rank_of_script(frame);
	if (!frame->module || runtimes_is_libc(frame) || runtimes_is_plumbing(frame) ||
		runtimes_is_start(frame) || is_runtime_module(frame->module))
		return RUNTIMES_RUNTIME;
	if (strstr(base_name(frame->module), ".so") &&
		begins_with_one(frame->module, directories, COUNT(directories)))
		return RUNTIMES_LIBRARY;
	return frame->function ? RUNTIMES_OWN : RUNTIMES_UNNAMED;
}
