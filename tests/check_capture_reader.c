/* SPDX-License-Identifier: MIT */
/* Captures are read from a segment whole, checked, and whatever a target writes there. */

#include "config.h"

#include "daemon/capture_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "daemon/python_dump.h"
#include "daemon/v8_stack.h"
#include "daemon/words.h"
#include "tests/segment_writer.h"

static struct writer writer;
static struct segment_capture *records;
static struct capture_reader_place place;
static const struct capture_reader_key key = {.slot = 3, .since_ns = 1000};

static void
set_up(void)
{
	writer = writer_make();
	records = (struct segment_capture *)((char *)writer.header +
					     writer.header->capture_offset);
	place = capture_reader_place(writer.fd, writer.header);
	writer.commands = -1;
}

static void
tear_down(void)
{
	writer_free(&writer);
}

/* A record that a well-behaved helper may have written. */
static void
fill(struct segment_capture *record)
{
	record->since_ns = key.since_ns;
	record->slot = key.slot;
	record->taken_ns = 2000;
	record->role = SEGMENT_ROLE_LOOP;
	record->result = SEGMENT_RESULT_TAKEN;
	record->module_count = 1;
	record->native_count = 2;
	record->modules[0] = (struct segment_module){
		.name = 0, .build_id_bytes = 2, .build_id = {0xab, 0xcd}};
	strcpy(record->names, "/usr/bin/app");
	record->natives[0] = (struct segment_native){.offset = 0x10, .module = 0};
	record->natives[1] = (struct segment_native){
		.offset = 0x7f0000000000, .module = SEGMENT_NO_MODULE};
	strcpy(record->python, "  File \"/srv/a.py\", line 7 in f\n");
	record->python_bytes = (uint32_t)strlen(record->python);
	record->sequence = 2;
}

START_TEST(a_record_is_read_whole)
{
	struct capture_reader_glance glance;
	struct capture *capture;

	fill(&records[5]);
	ck_assert(!capture_reader_glance(&place, 4, &key, &glance));
	ck_assert(capture_reader_glance(&place, 5, &key, &glance));
	ck_assert_uint_eq(glance.sequence, 2);
	capture = capture_reader_read(&place, 5, &key);
	ck_assert_ptr_nonnull(capture);
	ck_assert_uint_eq(capture->taken_ns, 2000);
	ck_assert_uint_eq(capture->native_count, 2);
	ck_assert_str_eq(capture->natives[0].module, "/usr/bin/app");
	ck_assert_uint_eq(capture->natives[0].offset, 0x10);
	ck_assert_ptr_null(capture->natives[1].module);
	ck_assert_uint_eq(capture->modules[0].build_id_bytes, 2);
	ck_assert_uint_eq(capture->script_count, 1);
	ck_assert_str_eq(capture->scripts[0].file, "/srv/a.py");
	ck_assert_str_eq(capture->scripts[0].function, "f");
	ck_assert_uint_eq(capture->scripts[0].line, 7);
	capture_free(capture);
}
END_TEST

START_TEST(what_is_being_written_or_of_another_iteration_is_not_read)
{
	fill(&records[0]);
	records[0].sequence = 3;
	ck_assert_ptr_null(capture_reader_read(&place, 0, &key));
	records[0].sequence = 0;
	ck_assert_ptr_null(capture_reader_read(&place, 0, &key));
	fill(&records[0]);
	records[0].since_ns++;
	ck_assert_ptr_null(capture_reader_read(&place, 0, &key));
	fill(&records[0]);
	records[0].slot++;
	ck_assert_ptr_null(capture_reader_read(&place, 0, &key));
	ck_assert_ptr_null(capture_reader_read(&place, SEGMENT_CAPTURES, &key));
	ck_assert_ptr_null(capture_reader_read(&place, UINT32_MAX, &key));
}
END_TEST

static int stop;

/* Writes the same number to both ends of a record, in the order of the protocol. */
static void *
write_all_the_time(void *arg)
{
	struct segment_capture *record = arg;
	uint64_t sequence = 2;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&record->sequence, ++sequence, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		record->taken_ns = sequence;
		for (unsigned i = 0; i < SEGMENT_NATIVE_FRAMES; i++)
			record->natives[i].offset = sequence;
		record->native_count = SEGMENT_NATIVE_FRAMES;
		__atomic_store_n(&record->sequence, ++sequence, __ATOMIC_RELEASE);
		for (volatile int i = 0; i < 2000; i++)
			;
	}
	return NULL;
}

START_TEST(no_record_is_read_half_old_half_new)
{
	unsigned whole = 0;
	pthread_t thread;

	fill(&records[0]);
	for (unsigned i = 0; i < SEGMENT_NATIVE_FRAMES; i++)
		records[0].natives[i].module = SEGMENT_NO_MODULE;
	records[0].native_count = SEGMENT_NATIVE_FRAMES;
	for (unsigned i = 0; i < SEGMENT_NATIVE_FRAMES; i++)
		records[0].natives[i].offset = records[0].taken_ns;
	stop = 0;
	ck_assert_int_eq(
		pthread_create(&thread, NULL, write_all_the_time, &records[0]), 0);
	while (whole < 5000) {
		struct capture *capture = capture_reader_read(&place, 0, &key);

		if (!capture)
			continue;
		whole++;
		for (size_t i = 0; i < capture->native_count; i++)
			ck_assert_uint_eq(capture->natives[i].offset, capture->taken_ns);
		capture_free(capture);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

/* What every capture must be, whatever was written. */
static void
check_sane(const struct capture *capture)
{
	ck_assert_uint_le(capture->native_count, SEGMENT_NATIVE_FRAMES);
	ck_assert_uint_le(capture->module_count, SEGMENT_MODULES);
	ck_assert_uint_le(capture->script_count, CAPTURE_SCRIPTS);
	for (size_t i = 0; i < capture->native_count; i++) {
		ck_assert(capture->native_modules[i] == SEGMENT_NO_MODULE ||
			  capture->native_modules[i] < capture->module_count);
		if (capture->natives[i].module)
			ck_assert(words_are_clean(capture->natives[i].module));
	}
	for (size_t i = 0; i < capture->module_count; i++)
		ck_assert_uint_le(
			capture->modules[i].build_id_bytes, CAPTURE_BUILD_ID_BYTES);
	for (size_t i = 0; i < capture->script_count; i++) {
		if (capture->scripts[i].function)
			ck_assert(words_are_clean(capture->scripts[i].function));
		if (capture->scripts[i].file)
			ck_assert(words_are_clean(capture->scripts[i].file));
	}
}

START_TEST(counts_and_offsets_beyond_all_bounds_do_no_harm)
{
	struct segment_capture *record = calloc(1, sizeof(*record));
	struct capture *capture;

	fill(record);
	record->native_count = record->module_count = record->python_bytes =
		record->js_bytes = UINT32_MAX;
	record->js_state = SEGMENT_JS_TAKEN;
	for (unsigned i = 0; i < SEGMENT_NATIVE_FRAMES; i++)
		record->natives[i].module = i * 0x1000001u;
	for (unsigned i = 0; i < SEGMENT_MODULES; i++)
		record->modules[i] = (struct segment_module){
			.name = 2040 + i, .build_id_bytes = 20 + i};
	memset(record->names, 'x', sizeof(record->names));
	memset(record->python, '\n', sizeof(record->python));
	memset(record->js, 0xff, sizeof(record->js));
	capture = capture_reader_parse(record);
	check_sane(capture);
	for (size_t i = 0; i < capture->module_count; i++)
		ck_assert_ptr_null(capture->modules[i].path);
	capture_free(capture);
	free(record);
}
END_TEST

START_TEST(noise_of_any_kind_does_no_harm)
{
	struct segment_capture *record = malloc(sizeof(*record));
	static const char bait[] =
		"  File \"\\x1b\\ud800\", line 4294967295 in \\U0011ffff\n"
		"at async f (eval at g (file:///%00%zz:1:1), <a>:\n";

	srandom(1);
	for (int round = 0; round < 300; round++) {
		unsigned char *bytes = (unsigned char *)record;
		struct capture *capture;

		for (size_t i = 0; i < sizeof(*record); i++)
			bytes[i] = (unsigned char)random();
		for (size_t i = 0; i + sizeof(bait) < sizeof(record->python);
			i += 60 + (size_t)random() % 50) {
			memcpy(record->python + i, bait, sizeof(bait) - 1);
			if (i + sizeof(bait) < sizeof(record->js))
				memcpy(record->js + i, bait, sizeof(bait) - 1);
		}
		if (round % 3)
			record->python_bytes = (uint32_t)random() % 8192;
		record->result = SEGMENT_RESULT_TAKEN;
		record->js_state = (uint32_t)round % 3;
		capture = capture_reader_parse(record);
		check_sane(capture);
		capture_free(capture);
	}
	free(record);
}
END_TEST

START_TEST(the_part_about_javascript_counts_once_it_is_there)
{
	struct capture *capture;

	fill(&records[0]);
	records[0].python_bytes = 0;
	strcpy(records[0].js, "crunch (/srv/a.js:2:7)\n");
	records[0].js_bytes = (uint32_t)strlen(records[0].js);
	records[0].js_state = SEGMENT_JS_ASKED;
	capture = capture_reader_read(&place, 0, &key);
	ck_assert_uint_eq(capture->script_count, 0);
	capture_free(capture);
	records[0].js_state = SEGMENT_JS_TAKEN;
	capture = capture_reader_read(&place, 0, &key);
	ck_assert_uint_eq(capture->script_count, 1);
	ck_assert_str_eq(capture->scripts[0].function, "crunch");
	capture_free(capture);
}
END_TEST

static struct stall_frame frames[8];

/* "function|file|line" of each frame that was found. */
static const char *
show(size_t count)
{
	static char text[2048];

	text[0] = 0;
	for (size_t i = 0; i < count; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s|%s|%u",
			i ? " " : "", frames[i].function ? frames[i].function : "-",
			frames[i].file ? frames[i].file : "-", frames[i].line);
		free(frames[i].function);
		free(frames[i].file);
	}
	return text;
}

static const char *
python(const char *text)
{
	return show(python_dump_parse(text, strlen(text), frames, 8));
}

static const char *
v8(const char *text)
{
	return show(v8_stack_parse(text, strlen(text), frames, 8));
}

START_TEST(dumps_of_cpython_are_understood)
{
	ck_assert_str_eq(python("Stack (most recent call first):\n"
				"  File \"/a.py\", line 2 in f\n"
				"  File \"<stdin>\", line 3 in <module>\n"),
		"f|/a.py|2 <module>|<stdin>|3");
	ck_assert_str_eq(
		python("Current thread 0x00007f [MainThread] (most recent call first):\n"
		       "  File \"/a.py\", line ??? in g\n"
		       "  File ???, line 9 in ???\n"
		       "  ...\n"),
		"g|/a.py|0 -|-|9");
	ck_assert_str_eq(python("  File \"/a.py\", line 2 in f\n"
				"  <truncated rest of calls>\n"
				"\nThread 0x2 (most recent call first):\n"
				"  File \"/b.py\", line 2 in other\n"),
		"f|/a.py|2");
	ck_assert_str_eq(
		python("  File \"/p\\xe4th \\U0001f600.py\", line 1 in \\u4e2d\n"),
		"\u4e2d|/p\u00e4th \U0001f600.py|1");
	ck_assert_str_eq(python("  File \"/odd\", line x\", line 5 in f in g"),
		"f in g|/odd\", line x|5");
	ck_assert_str_eq(
		python("  File \"/e\\x1b[0m\\ud800\\u202e.py\", line 1 in a\tb\n"),
		"a?b|/e?[0m??.py|1");
	ck_assert_str_eq(python("  <no Python frame>\n"), "");
	ck_assert_str_eq(python("  File \"/a.py\", line"), "");
	ck_assert_str_eq(python("  File \""), "");
	ck_assert_str_eq(python(""), "");
}
END_TEST

START_TEST(stacks_of_v8_are_understood)
{
	ck_assert_str_eq(v8("crunch (/srv/app.js:2:10)\n/srv/app.js:9:1\n"),
		"crunch|/srv/app.js|2 -|/srv/app.js|9");
	ck_assert_str_eq(
		v8("    at async Server.handle [as x] (file:///srv/a%20b.mjs:3:4)"),
		"Server.handle|/srv/a b.mjs|3");
	ck_assert_str_eq(
		v8("Object.f [as g] (/a.js:1:1)\nObject.<anonymous> (/a.js:2:1)\n"
		   "Object.f (/a.js:3:1)\n[as x] (/a.js:4:1)\nObject. (/a.js:5:1)"),
		"f|/a.js|1 Object.<anonymous>|/a.js|2 f|/a.js|3 [as x]|/a.js|4 "
		"-|/a.js|5");
	ck_assert_str_eq(v8("Module._compile (node:internal/modules/cjs/loader:1:2)"),
		"Module._compile|node:internal/modules/cjs/loader|1");
	ck_assert_str_eq(v8("eval (eval at f (/srv/a.js:5:6), <anonymous>:1:1)"),
		"eval|/srv/a.js|5");
	ck_assert_str_eq(v8("g (eval at f (eval at h (/srv/b.js:8:6), <anonymous>:1:1), "
			    "<anonymous>:1:1)"),
		"g|/srv/b.js|8");
	ck_assert_str_eq(v8("Array.map (<anonymous>)"), "Array.map|-|0");
	ck_assert_str_eq(v8("f (/my (own)/a.js:1:2)"), "f|/my (own)/a.js|1");
	ck_assert_str_eq(v8("<anonymous>\n\n:1:1"), "");
	ck_assert_str_eq(v8("eval at"), "-|eval at|0");
	ck_assert_str_eq(v8("f (eval at )"), "f|-|0");
}
END_TEST

START_TEST(words_are_made_fit_to_be_shown)
{
	char longer[WORDS_MAX + 10], *text;

	text = words_clean("a\nb\x80\xc0\xaf\xe2\x80\xae"
			   "c\xf4\x90\x80\x80",
		100);
	ck_assert_str_eq(text, "a?b????c?");
	ck_assert(words_are_clean(text));
	free(text);
	memset(longer, 'x', sizeof(longer));
	text = words_clean(longer, sizeof(longer));
	ck_assert_uint_eq(strlen(text), WORDS_MAX);
	free(text);
	text = words_clean("abc", 2);
	ck_assert_str_eq(text, "ab");
	free(text);
	ck_assert(!words_are_clean("a\tb"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("capture_reader");
	TCase *tcase = tcase_create("capture_reader");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_record_is_read_whole);
	tcase_add_test(tcase, what_is_being_written_or_of_another_iteration_is_not_read);
	tcase_add_test(tcase, no_record_is_read_half_old_half_new);
	tcase_add_test(tcase, counts_and_offsets_beyond_all_bounds_do_no_harm);
	tcase_add_test(tcase, noise_of_any_kind_does_no_harm);
	tcase_add_test(tcase, the_part_about_javascript_counts_once_it_is_there);
	tcase_add_test(tcase, dumps_of_cpython_are_understood);
	tcase_add_test(tcase, stacks_of_v8_are_understood);
	tcase_add_test(tcase, words_are_made_fit_to_be_shown);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
