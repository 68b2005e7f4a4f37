/* SPDX-License-Identifier: MIT */
/* What becomes of frames: folded, ranked, and numbered by their path. */

#include "config.h"

#include "daemon/frames.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/demangle.h"

static struct capture *capture;
static struct stall_sample sample;

static void
set_up(void)
{
	capture = capture_new();
	ck_assert_ptr_nonnull(capture);
	sample = (struct stall_sample){0};
}

static void
clear(void)
{
	for (size_t i = 0; i < sample.count; i++) {
		free(sample.frames[i].function);
		free(sample.frames[i].file);
		free(sample.frames[i].module);
	}
	free(sample.frames);
	capture_free(capture);
}

static char *
copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void
native(const char *function, const char *module, uint64_t offset)
{
	capture->natives[capture->native_count++] =
		(struct stall_frame){.language = STALL_NATIVE,
			.function = copy(function),
			.module = copy(module),
			.offset = offset};
}

static void
script(enum stall_language language, const char *function, const char *file,
	unsigned line)
{
	capture->scripts[capture->script_count++] =
		(struct stall_frame){.language = language,
			.function = copy(function),
			.file = copy(file),
			.line = line};
}

static void
python(const char *function, const char *file, unsigned line)
{
	script(STALL_PYTHON, function, file, line);
}

static void
js(const char *function, const char *file, unsigned line)
{
	script(STALL_JS, function, file, line);
}

/* The functions of the sample, innermost first, with blanks between them. */
static const char *
functions(void)
{
	static char text[1024];

	ck_assert_int_eq(frames_make(capture, &sample), 0);
	text[0] = 0;
	for (size_t i = 0; i < sample.count; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, sample.frames[i].function ? sample.frames[i].function : "-");
	}
	return text;
}

static const char *
application(void)
{
	const struct stall_frame *frame = frames_application(&sample);

	return !frame ? "none" : frame->function ? frame->function : "-";
}

#define LIBC "/lib/x86_64-linux-gnu/libc.so.6"
#define PYTHON "/usr/bin/python3.11"
#define NODE "/usr/bin/node"
#define STDLIB "/usr/lib/python3.11/"

START_TEST(python_frames_stand_in_place_of_the_interpreters)
{
	native("clock_nanosleep", LIBC, 1);
	native(NULL, PYTHON, 2);
	native("PyObject_Vectorcall", PYTHON, 3);
	native("_PyEval_EvalFrameDefault", PYTHON, 4);
	native("_PyFunction_Vectorcall", PYTHON, 5);
	native("main", PYTHON, 6);
	python("handler", "/srv/app.py", 12);
	python("_run", STDLIB "asyncio/events.py", 80);
	python("_run_once", STDLIB "asyncio/base_events.py", 1922);
	python("run_forever", STDLIB "asyncio/base_events.py", 607);
	python("run", STDLIB "asyncio/runners.py", 190);
	python("<module>", "/srv/app.py", 30);
	ck_assert_str_eq(functions(), "clock_nanosleep handler <module>");
	ck_assert_str_eq(application(), "handler");
}
END_TEST

START_TEST(javascript_frames_stand_in_place_of_v8s)
{
	native("v8::internal::JsonParser::ParseJsonValue", NODE, 1);
	native("v8::internal::Builtin_JsonParse", NODE, 2);
	native("Builtins_CEntry_Return1", NODE, 3);
	native(NULL, NULL, 0x7f0000001000);
	native("node::InternalMakeCallback", NODE, 5);
	native("uv_run", NODE, 6);
	native("main", NODE, 7);
	native("__libc_start_main", LIBC, 8);
	js("Array.map", NULL, 0);
	js("handle", "/srv/node_modules/app/app.js", 4);
	js("Server.emit", "node:events", 517);
	js("onread", "node:internal/stream_base_commons", 190);
	ck_assert_str_eq(functions(),
		"v8::internal::JsonParser::ParseJsonValue Array.map handle Server.emit");
	ck_assert_str_eq(application(), "handle");
}
END_TEST

START_TEST(a_loop_in_javascript_shows_no_native_frame)
{
	native(NULL, NULL, 0x7f0000001000);
	native("Builtins_JSEntry", NODE, 3);
	native("main", NODE, 7);
	js("crunch", "/srv/app.js", 2);
	ck_assert_str_eq(functions(), "crunch");
}
END_TEST

START_TEST(a_collection_of_garbage_has_one_name)
{
	native("v8::internal::Scavenger::ScavengeObject", NODE, 1);
	native("v8::internal::ScavengerCollector::CollectGarbage", NODE, 2);
	native("v8::internal::Heap::Scavenge", NODE, 3);
	native("v8::internal::Heap::CollectGarbage", NODE, 4);
	native("v8::internal::Factory::NewFixedArray", NODE, 5);
	native("v8::internal::JsonParser::ParseJson", NODE, 6);
	native("Builtins_CEntry", NODE, 7);
	js("crunch", "/srv/app.js", 2);
	ck_assert_str_eq(functions(), "v8::internal::Heap::CollectGarbage "
				      "v8::internal::JsonParser::ParseJson crunch");
}
END_TEST

START_TEST(without_javascript_native_frames_stay_without_plumbing)
{
	native("read", LIBC, 1);
	native("uv__fs_work", NODE, 2);
	native("uv_fs_read", NODE, 3);
	native("node::fs::Read", NODE, 4);
	native("Builtins_CallApi", NODE, 5);
	native(NULL, NULL, 0x7f0000001000);
	ck_assert_str_eq(functions(), "read");
	ck_assert_str_eq(application(), "none");
}
END_TEST

START_TEST(of_calls_inside_libc_the_one_that_the_program_made_stays)
{
	native("clock_nanosleep", LIBC, 1);
	native("__nanosleep", LIBC, 2);
	native("usleep", LIBC, 3);
	native("debugCommand", "/usr/bin/redis-server", 4);
	native("main", "/usr/bin/redis-server", 5);
	native("__libc_start_call_main", LIBC, 6);
	native("_start", "/usr/bin/redis-server", 7);
	ck_assert_str_eq(functions(), "usleep debugCommand main");
	ck_assert_str_eq(application(), "debugCommand");
}
END_TEST

START_TEST(our_own_wrapper_is_not_what_the_program_called)
{
	native("epoll_pwait", LIBC, 1);
	native("epoll_pwait", "/usr/lib/looplag/liblooplag.so.0", 2);
	native("wait_for_child", "/srv/program", 3);
	ck_assert_str_eq(functions(), "epoll_pwait wait_for_child");
	ck_assert_str_eq(sample.frames[0].module, LIBC);
}
END_TEST

START_TEST(a_named_function_of_the_program_is_preferred_to_an_unnamed_one)
{
	native(NULL, "/usr/bin/redis-server", 0x4000);
	native("evalGenericCommand", "/usr/bin/redis-server", 0x5000);
	ck_assert_str_eq(functions(), "- evalGenericCommand");
	ck_assert_str_eq(application(), "evalGenericCommand");
}
END_TEST

START_TEST(the_systems_libraries_are_not_the_application)
{
	native("deflate", "/usr/lib/x86_64-linux-gnu/libz.so.1", 1);
	native("pack", "/opt/shop/lib/libpack.so", 2);
	native("event_base_loop", "/usr/lib/x86_64-linux-gnu/libevent-2.1.so.7", 3);
	ck_assert_str_eq(functions(), "deflate pack event_base_loop");
	ck_assert_str_eq(application(), "pack");
}
END_TEST

START_TEST(the_standard_library_and_packages_are_not_the_application)
{
	python("readinto", STDLIB "socket.py", 706);
	python("request", "/usr/lib/python3/dist-packages/requests/api.py", 1);
	python("fetch", "/srv/app.py", 7);
	python("call", "/venv/lib/python3.11/site-packages/uvicorn/main.py", 1);
	python("<module>", "/venv/bin/uvicorn", 8);
	functions();
	ck_assert_str_eq(application(), "fetch");
}
END_TEST

START_TEST(a_program_that_is_all_packages_has_its_innermost_as_the_application)
{
	python("loads", STDLIB "json/__init__.py", 3);
	python("call", "/venv/lib/python3.11/site-packages/uvicorn/main.py", 1);
	python("<module>", "/venv/bin/uvicorn", 8);
	functions();
	ck_assert_str_eq(application(), "call");
}
END_TEST

START_TEST(what_would_be_folded_whole_stays)
{
	python("_run_once", STDLIB "asyncio/base_events.py", 1922);
	python("run_forever", STDLIB "asyncio/base_events.py", 607);
	ck_assert_str_eq(functions(), "_run_once run_forever");
	ck_assert_str_eq(application(), "none");
}
END_TEST

START_TEST(javascript_that_came_later_than_a_few_milliseconds_is_late)
{
	js("f", "/a.js", 1);
	capture->js_state = SEGMENT_JS_TAKEN;
	capture->taken_ns = 1000000000;
	capture->js_taken_ns = capture->taken_ns + FRAMES_LATE_NS;
	functions();
	ck_assert(!sample.late);
	free(sample.frames[0].function);
	free(sample.frames[0].file);
	free(sample.frames);
	js("f", "/a.js", 1);
	capture->scripts[0] = capture->scripts[--capture->script_count];
	capture->script_count = 1;
	capture->js_taken_ns++;
	functions();
	ck_assert(sample.late);
}
END_TEST

/* The number of a stack of one frame below main. */
static uint64_t
id_of(const struct stall_frame *inner)
{
	struct stall_frame frames[2] = {*inner, {.language = inner->language,
							.function = (char *)"main",
							.file = (char *)"/srv/main",
							.line = 9,
							.module = (char *)"/x"}};
	struct stall_sample both = {.frames = frames, .count = 2};

	return frames_stack_id(&both);
}

START_TEST(the_same_path_has_the_same_number)
{
	struct stall_frame a = {.language = STALL_JS,
		.function = (char *)"f",
		.file = (char *)"/a.js",
		.line = 1};
	struct stall_frame b = a;

	ck_assert_uint_ne(id_of(&a), 0);
	b.line = 2;
	ck_assert_uint_eq(id_of(&a), id_of(&b));
	b.file = (char *)"/b.js";
	ck_assert_uint_ne(id_of(&a), id_of(&b));
	b = a;
	b.function = (char *)"g";
	ck_assert_uint_ne(id_of(&a), id_of(&b));
	b = a;
	b.language = STALL_PYTHON;
	ck_assert_uint_ne(id_of(&a), id_of(&b));
}
END_TEST

START_TEST(the_line_counts_where_there_is_no_name)
{
	struct stall_frame a = {.language = STALL_PYTHON,
		.function = (char *)"<module>",
		.file = (char *)"/a.py",
		.line = 1};
	struct stall_frame b = a;

	b.line = 2;
	ck_assert_uint_ne(id_of(&a), id_of(&b));
	a.function = b.function = NULL;
	ck_assert_uint_ne(id_of(&a), id_of(&b));
}
END_TEST

START_TEST(what_the_application_calls_does_not_change_the_number)
{
	uint64_t one;

	native("deflate_slow", "/usr/lib/libz.so.1", 1);
	native("pack", "/srv/app", 2);
	functions();
	one = frames_stack_id(&sample);
	clear();
	set_up();
	native("longest_match", "/usr/lib/libz.so.1", 7);
	native("deflate_slow", "/usr/lib/libz.so.1", 1);
	native("pack", "/srv/app", 3);
	functions();
	ck_assert_uint_eq(frames_stack_id(&sample), one);
}
END_TEST

START_TEST(no_stack_has_no_number)
{
	ck_assert_str_eq(functions(), "");
	ck_assert_uint_eq(frames_stack_id(&sample), 0);
	ck_assert_str_eq(application(), "none");
}
END_TEST

START_TEST(a_stack_with_too_much_text_loses_its_outermost_frames)
{
	char module[1001] = "/";

	memset(module + 1, 'x', 999);
	for (uint64_t i = 0; i < SEGMENT_NATIVE_FRAMES; i++)
		native(i ? "g" : "f", module, i);
	ck_assert_int_eq(frames_make(capture, &sample), 0);
	ck_assert_uint_eq(sample.count, FRAMES_TEXT_BYTES / 1001);
	ck_assert_str_eq(sample.frames[0].function, "f");
}
END_TEST

START_TEST(names_of_cxx_lose_their_arguments)
{
	static const char *const names[][2] = {
		{"_ZN2v88internal10JsonParserIhE14ParseJsonValueEv",
			"v8::internal::JsonParser::ParseJsonValue"},
		{"_ZNK4node6crypto5PbkdfC2ERKS1_", "node::crypto::Pbkdf::Pbkdf"},
		{"_ZN4node4zlib11ZlibContextD1Ev",
			"node::zlib::ZlibContext::~ZlibContext"},
		{"_ZN12_GLOBAL__N_15crashEi", "(anonymous namespace)::crash"},
		{"_Z3addii", "add"},
		{"_ZN1aILi4ELb1EE1bIPKcEEvv", "a::b"},
		{"_ZThn56_N4node6crypto13DeriveBitsJobINS0_"
		 "12PBKDF2TraitsEE16DoThreadPoolWorkEv",
			"node::crypto::DeriveBitsJob::DoThreadPoolWork"},
	};
	static const char *const others[] = {"", "main", "_Z", "_ZN", "_ZN3fo",
		"_ZN3fooI", "_ZN99999999999999999999aE", "_ZNE", "_ZN3fooISt4pairIiE",
		"_ZNSt", "_ZTh", "_ZThn5", "_ZThn5_"};
	char text[512], tiny[4];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ck_assert_msg(
			demangle(names[i][0], text, sizeof(text)), "%s", names[i][0]);
		ck_assert_str_eq(text, names[i][1]);
		ck_assert(!demangle(names[i][0], tiny, 3));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_msg(!demangle(others[i], text, sizeof(text)), "%s", others[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("frames");
	TCase *tcase = tcase_create("frames");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, clear);
	tcase_add_test(tcase, python_frames_stand_in_place_of_the_interpreters);
	tcase_add_test(tcase, javascript_frames_stand_in_place_of_v8s);
	tcase_add_test(tcase, a_loop_in_javascript_shows_no_native_frame);
	tcase_add_test(tcase, a_collection_of_garbage_has_one_name);
	tcase_add_test(tcase, without_javascript_native_frames_stay_without_plumbing);
	tcase_add_test(tcase, of_calls_inside_libc_the_one_that_the_program_made_stays);
	tcase_add_test(tcase, our_own_wrapper_is_not_what_the_program_called);
	tcase_add_test(
		tcase, a_named_function_of_the_program_is_preferred_to_an_unnamed_one);
	tcase_add_test(tcase, the_systems_libraries_are_not_the_application);
	tcase_add_test(tcase, the_standard_library_and_packages_are_not_the_application);
	tcase_add_test(tcase,
		a_program_that_is_all_packages_has_its_innermost_as_the_application);
	tcase_add_test(tcase, what_would_be_folded_whole_stays);
	tcase_add_test(tcase, javascript_that_came_later_than_a_few_milliseconds_is_late);
	tcase_add_test(tcase, the_same_path_has_the_same_number);
	tcase_add_test(tcase, the_line_counts_where_there_is_no_name);
	tcase_add_test(tcase, what_the_application_calls_does_not_change_the_number);
	tcase_add_test(tcase, no_stack_has_no_number);
	tcase_add_test(tcase, a_stack_with_too_much_text_loses_its_outermost_frames);
	tcase_add_test(tcase, names_of_cxx_lose_their_arguments);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
