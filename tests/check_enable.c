/* SPDX-License-Identifier: MIT */
/* The pure parts of looplag enable: what unit files say, what a sandbox needs, and what a
 * drop-in says of it. What systemd makes of that is seen end to end. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/difference.h"
#include "cli/dropin.h"
#include "cli/unit_name.h"
#include "cli/unit_needs.h"
#include "cli/unit_properties.h"
#include "cli/unit_settings.h"
#include "cli/unit_view.h"

#define LIBRARY "/usr/lib/liblooplag.so"
#define SOCKET "/run/looplag/probe.sock"

/* What one file says. */
static struct unit_settings *
settings_of(const char *text)
{
	struct unit_settings *settings = unit_settings_new();

	ck_assert_ptr_nonnull(settings);
	ck_assert_int_eq(unit_settings_take(settings, "/lib/x.service", text), 0);
	return settings;
}

/* What a file's text gives LD_PRELOAD; caller frees. NULL: nothing. */
static char *
preload_of(const char *text)
{
	struct unit_settings *settings = settings_of(text);
	const char *file, *value = unit_settings_variable(settings, "LD_PRELOAD", &file);
	char *copy = value ? strdup(value) : NULL;

	unit_settings_free(settings);
	return copy;
}

static void
assert_preload(const char *text, const char *expected)
{
	char *value = preload_of(text);

	if (expected)
		ck_assert_pstr_eq(value, expected);
	else
		ck_assert_ptr_null(value);
	free(value);
}

START_TEST(variables_are_read_as_systemd_reads_them)
{
	assert_preload("", NULL);
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=/a.so\n", "/a.so");
	assert_preload(
		"[Service]\n  Environment = A=1 LD_PRELOAD=/a.so B=2  \r\n", "/a.so");
	assert_preload("[Service]\nEnvironment=\"LD_PRELOAD=/a b.so\"", "/a b.so");
	assert_preload("[Service]\nEnvironment=LD_PRELOAD='/a \"b'.so", "/a \"b.so");
	assert_preload(
		"[Service]\nEnvironment=LD_PRELOAD=/a\\x41\\102\\\\\\s.so", "/aAB\\ .so");
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=%h/$LIB/a.so", "%h/$LIB/a.so");
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=", "");
	assert_preload(
		"[Service]\nEnvironment=LD_PRELOAD=/a\nEnvironment=LD_PRELOAD=/b\n",
		"/b");
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=/a\nEnvironment=\n", NULL);
	assert_preload("[Service]\nEnvironment=A=1 \\\n; no LD_PRELOAD=/b\n\n  "
		       "LD_PRELOAD=/a\n",
		"/a");
	assert_preload("[Service]\nEnvironment=A=1\\\\\nLD_PRELOAD=/a\n", NULL);
}
END_TEST

START_TEST(what_systemd_does_not_read_is_not_read)
{
	assert_preload("Environment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Unit]\nEnvironment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\n#Environment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\n ;Environment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\n[Install]\nEnvironment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\nPassEnvironment=LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\nEnvironment=\"LD_PRELOAD=/a\n", NULL);
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=/a\\q\n", NULL);
	assert_preload("[Service]\nEnvironment=LD_PRELOAD=/a\\x4\n", NULL);
	assert_preload("[Service]\nEnvironment=XLD_PRELOAD=/a LD_PRELOADX=/b\n", NULL);
	assert_preload("[Service]\nEnvironment\nEnvironment=\\", NULL);
}
END_TEST

START_TEST(of_a_list_the_last_that_is_not_taken_back_counts)
{
	struct unit_settings *settings =
		settings_of("[Service]\nExecPaths=/a\nExecPaths=/b\n"
			    "NoExecPaths=/\nNoExecPaths=\n");

	ck_assert_str_eq(unit_settings_value(settings, "ExecPaths"), "/b");
	ck_assert_ptr_null(unit_settings_value(settings, "NoExecPaths"));
	ck_assert_ptr_null(unit_settings_value(settings, "Exec"));
	unit_settings_free(settings);
	unit_settings_free(NULL);
}
END_TEST

/* The file behind ours that undoes it, if the unit has a drop-in of that name and text. */
static const char *
undone_by(struct unit_settings *settings, const char *file, const char *text)
{
	ck_assert_int_eq(unit_settings_take(settings, file, text), 0);
	return unit_settings_undone_by(settings, UNIT_NAME_DROPIN, "LD_PRELOAD");
}

START_TEST(later_drop_ins_that_would_undo_ours_are_found)
{
	struct unit_settings *settings =
		settings_of("[Service]\nEnvironment=\nEnvironment=LD_PRELOAD=/a\n");
	const char *preload = "[Service]\nEnvironment=LD_PRELOAD=/a\n";

	ck_assert_ptr_null(undone_by(settings, "/etc/x.service.d/40-a.conf", preload));
	ck_assert_ptr_null(undone_by(settings, "/etc/x.service.d/override.conf",
		"[Service]\nExecStart=\nExecStart=/a\nEnvironment=A=1\nExecPaths=/a\n"));
	ck_assert_str_eq(undone_by(settings, "/etc/x.service.d/override.conf", preload),
		"/etc/x.service.d/override.conf");
	ck_assert_ptr_null(
		unit_settings_undone_by(settings, UNIT_NAME_LAST_DROPIN, "LD_PRELOAD"));
	unit_settings_free(settings);
	settings = settings_of("");
	ck_assert_str_eq(undone_by(settings, "/run/y.conf", "[Service]\nExecPaths=\n"),
		"/run/y.conf");
	unit_settings_free(settings);
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
	static const char *const values[] = {"/a.so", "/a b.so:/c", "/a\"b\\c'd",
		"%h/%%n", "$LIB/`x`", "\\", "\"", " /a ", "/\xc3\xa4.so"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct dropin dropin = {.preload = values[i], .socket = "/run/x/y"};
		char *text = dropin_text(&dropin);

		ck_assert_ptr_nonnull(text);
		ck_assert(dropin_can_hold(values[i]));
		assert_preload(text, values[i]);
		free(text);
	}
}
END_TEST

START_TEST(a_drop_in_has_what_is_needed_and_nothing_else)
{
	struct dropin dropin = {.preload = LIBRARY};
	char *text = dropin_text(&dropin);

	ck_assert_str_eq(
		strchr(text, '\n'), "\n[Service]\nEnvironment=LD_PRELOAD=" LIBRARY "\n");
	free(text);
	dropin = (struct dropin){.preload = LIBRARY,
		.made_directory = true,
		.execute = LIBRARY,
		.unix_sockets = true,
		.calls = "fcntl",
		.bind_directory = "-/run/looplag"};
	text = dropin_text(&dropin);
	for (const char *const *line = (const char *const[]){"\nExecPaths=" LIBRARY "\n",
		     "\nRestrictAddressFamilies=AF_UNIX\n", "\nSystemCallFilter=fcntl\n",
		     "\nBindReadOnlyPaths=-/run/looplag\n", NULL};
		*line; line++)
		ck_assert_ptr_nonnull(strstr(text, *line));
	free(text);
}
END_TEST

START_TEST(a_change_by_somebody_else_is_noticed)
{
	struct dropin dropin = {.preload = LIBRARY, .made_directory = true};
	char *text = dropin_text(&dropin), *longer;

	ck_assert_int_eq(dropin_owner(text), DROPIN_OURS);
	ck_assert(dropin_made_directory(text));
	ck_assert_int_gt(asprintf(&longer, "%s#\n", text), 0);
	ck_assert_int_eq(dropin_owner(longer), DROPIN_CHANGED);
	for (size_t length = strlen(text) - 1; length > 60; length--) {
		text[length] = '\0';
		ck_assert_int_eq(dropin_owner(text), DROPIN_CHANGED);
	}
	ck_assert_int_eq(dropin_owner(""), DROPIN_FOREIGN);
	ck_assert_int_eq(dropin_owner("# Made by"), DROPIN_FOREIGN);
	ck_assert_int_eq(dropin_owner("[Service]\n"), DROPIN_FOREIGN);
	free(text);
	free(longer);
	dropin.made_directory = false;
	text = dropin_text(&dropin);
	ck_assert(!dropin_made_directory(text));
	free(text);
}
END_TEST

START_TEST(control_characters_are_not_taken_over)
{
	char longest[10000];

	ck_assert(dropin_can_hold(""));
	ck_assert(!dropin_can_hold("/a\n[Service]"));
	ck_assert(!dropin_can_hold("\t"));
	ck_assert(!dropin_can_hold("\177"));
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	ck_assert(!dropin_can_hold(longest));
}
END_TEST

START_TEST(percent_signs_are_doubled)
{
	char *plain = dropin_plain("/a%h%%");

	ck_assert_str_eq(plain, "/a%%h%%%%");
	free(plain);
}
END_TEST

/* What a unit needs; NULL: there is no drop-in of ours, or no other file. */
static struct unit_needs
needs_of(const char *properties_text, const char *ours_text, const char *others_text)
{
	char *text = calloc(1, strlen(properties_text) + 2);
	struct unit_settings *ours = settings_of(ours_text ? ours_text : ""),
			     *others = settings_of(others_text ? others_text : "");
	struct unit_properties *properties;
	struct unit_needs needs;

	properties = unit_properties_parse(strcpy(text, properties_text));
	ck_assert_ptr_nonnull(properties);
	unit_needs_find(properties, ours, others, LIBRARY, SOCKET, &needs);
	unit_properties_free(properties);
	unit_settings_free(ours);
	unit_settings_free(others);
	return needs;
}

static void
assert_needs(const char *properties, const char *execution_unix_library_directory_inside,
	const char *calls)
{
	struct unit_needs needs = needs_of(properties, NULL, NULL);
	char is[6];

	snprintf(is, sizeof is, "%c%c%c%c%c", needs.execution ? 'e' : '-',
		needs.unix_sockets ? 'u' : '-', needs.library ? 'l' : '-',
		needs.directory ? 'd' : '-', needs.inside ? 'i' : '-');
	ck_assert_msg(!strcmp(is, execution_unix_library_directory_inside), "%s: %s",
		properties, is);
	ck_assert_str_eq(needs.calls, calls);
}

START_TEST(each_setting_needs_its_counterpart)
{
	assert_needs("", "-----", "");
	assert_needs("RestrictAddressFamilies=~\nSystemCallFilter=~\n", "-----", "");
	assert_needs("RestrictAddressFamilies=AF_INET", "-u---", "");
	assert_needs("RestrictAddressFamilies=AF_INET AF_UNIX", "-----", "");
	assert_needs("RestrictAddressFamilies=~AF_UNIX", "-u---", "");
	assert_needs("NoExecPaths=/", "e----", "");
	assert_needs("NoExecPaths=/\nExecPaths=/usr/lib", "-----", "");
	assert_needs("SystemCallFilter=~memfd_create connect:EPERM", "-----",
		"memfd_create connect");
	assert_needs("SystemCallFilter=memfd_create ftruncate fcntl mmap madvise socket",
		"-----", "connect sendmsg");
	assert_needs("TemporaryFileSystem=/run", "---d-", "");
	assert_needs(
		"TemporaryFileSystem=/run\nBindPaths=/run/looplag:/run/looplag:rbind",
		"-----", "");
	assert_needs("TemporaryFileSystem=/:ro", "--ld-", "");
	assert_needs("InaccessiblePaths=/run", "-----", "");
	assert_needs("RootDirectory=/", "-----", "");
	assert_needs("RootDirectory=/srv\nMountAPIVFS=yes", "--ldi", "");
	assert_needs("RootImage=/srv/x\nMountAPIVFS=yes\nNoExecPaths=/", "e-ldi", "");
}
END_TEST

START_TEST(what_was_added_is_kept_while_there_is_something_to_add_it_to)
{
	const char *with_us =
		"RestrictAddressFamilies=AF_INET AF_UNIX\nNoExecPaths=/\n"
		"ExecPaths=/usr/lib/liblooplag.so\n"
		"SystemCallFilter=~memfd_create connect\n"
		"TemporaryFileSystem=/run\nBindReadOnlyPaths=/run/looplag\n";
	const char *ours =
		"[Service]\nRestrictAddressFamilies=AF_UNIX\nExecPaths=" LIBRARY
		"\nSystemCallFilter=sendmsg nonsense\n"
		"BindReadOnlyPaths=-/run/looplag\n";
	struct unit_needs needs = needs_of(with_us, ours,
		"[Service]\nRestrictAddressFamilies=AF_INET\nNoExecPaths=/\n"
		"SystemCallFilter=~memfd_create connect sendmsg\n");

	ck_assert(needs.execution && needs.unix_sockets && needs.directory);
	ck_assert_str_eq(needs.calls, "memfd_create connect sendmsg");
	/* Our own AF_UNIX alone would be a list that forbids all else. */
	needs = needs_of(
		"RestrictAddressFamilies=AF_UNIX\nExecPaths=" LIBRARY, ours, NULL);
	ck_assert(!needs.execution && !needs.unix_sockets && !needs.directory);
	ck_assert_str_eq(needs.calls, "");
	needs = needs_of("SystemCallFilter=memfd_create", ours, NULL);
	ck_assert_str_eq(needs.calls, "");
}
END_TEST

START_TEST(names_of_services_are_completed)
{
	static const char *const wrong[] = {"", ".service", "@.service", "a.socket",
		"a/b", "../a", "a b", "a*", "a\n", ".a"};
	char name[UNIT_NAME_BYTES], longest[300];

	ck_assert_int_eq(unit_name_complete("redis", name), 0);
	ck_assert_str_eq(name, "redis.service");
	ck_assert_int_eq(unit_name_complete("a.b@c-1:2\\x2d.service", name), 0);
	ck_assert_str_eq(name, "a.b@c-1:2\\x2d.service");
	ck_assert_int_eq(unit_name_complete("web@", name), 0);
	ck_assert(unit_name_is_template(name));
	ck_assert(!unit_name_is_template("web@a.service"));
	ck_assert_int_eq(unit_name_of_instance("web@.service", "*", name), 0);
	ck_assert_str_eq(name, "web@*.service");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_int_lt(unit_name_complete(wrong[i], name), 0);
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	ck_assert_int_lt(unit_name_complete(longest, name), 0);
}
END_TEST

static void
assert_difference(const char *before, const char *after, const char *expected)
{
	char *text = difference("/f", before, after);

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(differences_are_unified)
{
	assert_difference("a\n", "a\n", "");
	assert_difference(
		NULL, "a\nb\n", "--- /dev/null\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n");
	assert_difference("a\n", NULL, "--- /f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n");
	assert_difference("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n",
		"--- /f\n+++ /f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
	assert_difference("a\nb", "a\nb\n",
		"--- /f\n+++ /f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of "
		"file\n+b\n");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("enable");
	TCase *tcase = tcase_create("enable");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, variables_are_read_as_systemd_reads_them);
	tcase_add_test(tcase, what_systemd_does_not_read_is_not_read);
	tcase_add_test(tcase, of_a_list_the_last_that_is_not_taken_back_counts);
	tcase_add_test(tcase, later_drop_ins_that_would_undo_ours_are_found);
	tcase_add_test(tcase, what_is_written_is_read_again);
	tcase_add_test(tcase, a_drop_in_has_what_is_needed_and_nothing_else);
	tcase_add_test(tcase, a_change_by_somebody_else_is_noticed);
	tcase_add_test(tcase, control_characters_are_not_taken_over);
	tcase_add_test(tcase, percent_signs_are_doubled);
	tcase_add_test(tcase, each_setting_needs_its_counterpart);
	tcase_add_test(
		tcase, what_was_added_is_kept_while_there_is_something_to_add_it_to);
	tcase_add_test(tcase, names_of_services_are_completed);
	tcase_add_test(tcase, differences_are_unified);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
