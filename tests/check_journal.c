/* SPDX-License-Identifier: MIT */
/* daemon/journal.c and the lines of daemon/log.c: what is written, byte by byte. */

#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/journal.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct sockaddr_un address;
static int journal = -1;
static char directory[] = "/tmp/looplag-check.XXXXXX";

/* Be a journal. */
static void
begin(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(journal, 0);
	ck_assert_int_eq(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(journal_open(address.sun_path), 0);
}

static void
end(void)
{
	journal_close();
	close(journal);
	unlink(address.sun_path);
	rmdir(directory);
	log_init(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
}

/* The next entry's size, -1 if there is none. */
static ssize_t
receive(char buffer[4096])
{
	ssize_t size = recv(journal, buffer, 4095, 0);

	buffer[size < 0 ? 0 : size] = '\0';
	return size;
}

/* What a message is on stderr, as one line; caller frees. */
static char *
line_of(const char *text, const struct log_field *fields, size_t count)
{
	int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), saved;
	char *line = calloc(1, 4096);

	ck_assert_ptr_nonnull(line);
	ck_assert_int_ge(file, 0);
	saved = dup(STDERR_FILENO);
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	journal_close();
	journal_write(LOG_LEVEL_WARN, "check", ID, text, fields, count);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_ge(pread(file, line, 4095, 0), 0);
	close(saved);
	close(file);
	return line;
}

START_TEST(an_entry_has_its_fields_in_capital_letters)
{
	static const struct log_field fields[] = {
		{"group", "web", 0}, {"stall_usec", NULL, 1020000}};
	char entry[4096];

	journal_write(LOG_LEVEL_WARN, "check", ID, "stuck = bad", fields, 2);
	ck_assert_int_gt(receive(entry), 0);
	ck_assert_str_eq(entry, "MESSAGE=stuck = bad\nMESSAGE_ID=" ID "\nPRIORITY=4\n"
				"SYSLOG_IDENTIFIER=check_journal\n"
				"LOOPLAG_GROUP=web\nLOOPLAG_STALL_USEC=1020000\n");
	ck_assert_int_eq(receive(entry), -1);
}
END_TEST

START_TEST(a_value_with_line_feeds_cannot_forge_a_field)
{
	static const struct log_field fields[] = {{"stack", "a\nPRIORITY=0\n", 0}};
	static const char expected[] =
		"LOOPLAG_STACK\n\x0d\0\0\0\0\0\0\0a\nPRIORITY=0\n\n";
	char entry[4096];
	ssize_t size;

	journal_write(LOG_LEVEL_WARN, "check", ID, "x", fields, 1);
	size = receive(entry);
	ck_assert_int_gt(size, (ssize_t)sizeof(expected));
	ck_assert_mem_eq(
		entry + size - (sizeof(expected) - 1), expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(a_pid_makes_an_entry_about_that_process_where_root_says_so)
{
	static const struct log_field fields[] = {{"pid", NULL, 4711}};
	char entry[4096];

	journal_write(LOG_LEVEL_INFO, "check", ID, "x", fields, 1);
	ck_assert_int_eq(receive(entry), -1);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	journal_write(LOG_LEVEL_INFO, "check", ID, "x", fields, 1);
	ck_assert_int_gt(receive(entry), 0);
	ck_assert_ptr_nonnull(strstr(entry, "\nPRIORITY=6\n"));
	ck_assert_ptr_nonnull(strstr(entry, "\nLOOPLAG_PID=4711\n"));
	ck_assert_int_eq(strstr(entry, "\nOBJECT_PID=4711\n") != NULL, !geteuid());
}
END_TEST

START_TEST(a_journal_that_stands_still_is_not_waited_for)
{
	unsigned taken = 0;
	char entry[4096];

	/* Its queue is as long as the kernel lets it be: some thousand at the most. */
	for (int i = 0; i < 100000; i++)
		journal_write(LOG_LEVEL_WARN, "check", ID, "x", NULL, 0);
	while (receive(entry) > 0)
		taken++;
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, 100000);
	journal_write(LOG_LEVEL_WARN, "check", ID, "again", NULL, 0);
	ck_assert_int_gt(receive(entry), 0);
	ck_assert_ptr_nonnull(strstr(entry, "MESSAGE=again ("));
	ck_assert_uint_eq(strtoul(strstr(entry, "(") + 1, NULL, 10), 100000 - taken);
	journal_write(LOG_LEVEL_WARN, "check", ID, "well", NULL, 0);
	ck_assert_int_gt(receive(entry), 0);
	ck_assert_ptr_nonnull(strstr(entry, "MESSAGE=well\n"));
}
END_TEST

START_TEST(the_stream_is_the_journals_only_if_device_and_inode_say_so)
{
	struct stat st = {.st_dev = 8, .st_ino = 12345};

	ck_assert(journal_is_stream("8:12345", &st));
	ck_assert(!journal_is_stream("8:1234", &st));
	ck_assert(!journal_is_stream("8:123456", &st));
	ck_assert(!journal_is_stream("", &st));
	ck_assert(!journal_is_stream(NULL, &st));
}
END_TEST

/* What a stranger may call a thread. */
static const char hostile[] = "a\"b\\c\nlevel=error \x1b[31m\xff{}";

START_TEST(a_logfmt_line_keeps_a_hostile_name_inside_its_quotes)
{
	struct log_field fields[] = {{"loop", hostile, 0}, {"pid", NULL, 7}};
	char *line = line_of("m", fields, 2);

	ck_assert_msg(
		strstr(line,
			" level=warn component=check msg=\"m\" "
			"loop=\"a\\\"b\\\\c\\nlevel=error \\u001B[31m?{}\" pid=7\n") !=
			NULL,
		"%s", line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	free(line);
}
END_TEST

START_TEST(a_json_line_is_an_object_with_the_fields_in_it)
{
	struct log_field fields[] = {{"loop", hostile, 0}, {"pid", NULL, 7}};
	json_t *object;
	char *line;

	log_init(LOG_LEVEL_WARN, LOG_FORMAT_JSON);
	line = line_of("m", fields, 2);
	object = json_loads(line, 0, NULL);
	ck_assert_msg(object != NULL, "%s", line);
	ck_assert_str_eq(json_string_value(json_object_get(object, "msg")), "m");
	ck_assert_str_eq(json_string_value(json_object_get(object, "loop")),
		"a\"b\\c\nlevel=error \x1b[31m?{}");
	ck_assert_int_eq(json_integer_value(json_object_get(object, "pid")), 7);
	json_decref(object);
	free(line);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tcase = tcase_create("journal");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, an_entry_has_its_fields_in_capital_letters);
	tcase_add_test(tcase, a_value_with_line_feeds_cannot_forge_a_field);
	tcase_add_test(tcase, a_pid_makes_an_entry_about_that_process_where_root_says_so);
	tcase_add_test(tcase, a_journal_that_stands_still_is_not_waited_for);
	tcase_add_test(tcase, the_stream_is_the_journals_only_if_device_and_inode_say_so);
	tcase_add_test(tcase, a_logfmt_line_keeps_a_hostile_name_inside_its_quotes);
	tcase_add_test(tcase, a_json_line_is_an_object_with_the_fields_in_it);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
