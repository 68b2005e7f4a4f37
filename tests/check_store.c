/* SPDX-License-Identifier: MIT */
/* daemon/store.c and daemon/record.c: what is kept, and what of a file that is damaged. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/record.h"
#include "daemon/store.h"

static char directory[64], ledger[96];

static void
set_up(void)
{
	strcpy(directory, "store-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(ledger, sizeof(ledger), "%s/ledger", directory);
}

static void
tear_down(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static struct store *
open_store(void)
{
	struct store *store;

	ck_assert_int_eq(store_open(directory, &store), 0);
	return store;
}

/* The text of a key, as a store that comes next reads it; "" if it is not there. The
 * number of records in all. */
static char text[65536];

static int
read_text(struct store *store, uint64_t number)
{
	struct store_records *records;
	struct store_key key;
	const void *data;
	size_t size;
	int count = 0, r = store_read_last(store, &records);

	text[0] = 0;
	if (r < 0)
		return r;
	while (store_records_next(records, &key, &data, &size)) {
		count++;
		if (key.number == number) {
			memcpy(text, data, size);
			text[size] = 0;
		}
	}
	store_records_free(records);
	return count;
}

static void
put(struct store *store, uint64_t number, const char *value)
{
	struct store_key key = {.kind = 1, .number = number};

	store_put(store, &key, value, strlen(value));
}

/* Leave a store with so many records. */
static void
leave(unsigned count)
{
	struct store *store = open_store();
	char value[600];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	for (unsigned i = 0; i < count; i++)
		put(store, i, value);
	ck_assert_int_eq(store_commit(store), 0);
	store_close(store);
}

START_TEST(what_was_committed_is_read_by_the_next)
{
	struct store *store = open_store();
	const struct store_key third = {.kind = 1, .number = 3};

	ck_assert_int_eq(read_text(store, 1), -ENOENT);
	put(store, 1, "one");
	put(store, 2, "two");
	put(store, 3, "three");
	ck_assert_int_eq(store_commit(store), 0);
	put(store, 2, "zwei");
	store_delete(store, &third);
	ck_assert_int_eq(store_commit(store), 0);
	put(store, 1, "never");
	store_close(store);

	store = open_store();
	ck_assert_int_eq(read_text(store, 1), 2);
	ck_assert_str_eq(text, "one");
	ck_assert_int_eq(read_text(store, 2), 2);
	ck_assert_str_eq(text, "zwei");
	store_close(store);
}
END_TEST

START_TEST(the_old_records_stay_until_the_first_commit)
{
	struct store *store;

	leave(3);
	store = open_store();
	put(store, 7, "seven");
	store_close(store);
	store = open_store();
	ck_assert_int_eq(read_text(store, 7), 3);
	put(store, 7, "seven");
	ck_assert_int_eq(store_commit(store), 0);
	store_close(store);
	store = open_store();
	ck_assert_int_eq(read_text(store, 7), 1);
	store_close(store);
}
END_TEST

START_TEST(keys_come_in_the_order_of_kind_index_and_number)
{
	static const struct store_key keys[] = {
		{1, 0, 256}, {1, 1, 2}, {1, 1, UINT64_MAX}, {2, 0, 0}, {256, 0, 0}};
	struct store *store = open_store();
	struct store_records *records;
	struct store_key key;
	const void *data;
	size_t size;

	for (int i = 4; i >= 0; i--)
		store_put(store, &keys[i], "", 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_int_eq(store_read_last(store, &records), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(store_records_next(records, &key, &data, &size), 1);
		ck_assert_mem_eq(&key, &keys[i], sizeof(key));
		ck_assert_uint_eq(size, 0);
	}
	ck_assert_int_eq(store_records_next(records, &key, &data, &size), 0);
	store_records_free(records);
	store_close(store);
}
END_TEST

START_TEST(two_cannot_have_one_directory)
{
	struct store *store = open_store(), *second;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0)
		_exit(-store_open(directory, &second));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), EBUSY);
	store_close(store);
	store = open_store();
	store_close(store);
	ck_assert_int_eq(store_open("no/such/directory", &second), -ENOENT);
}
END_TEST

/* A writer is killed at any moment: each transaction raises all its numbers by one. */
START_TEST(after_a_kill_all_of_a_commit_is_there_or_nothing)
{
	for (int round = 0; round < 20; round++) {
		struct store *store;
		char first[65536];
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			store = open_store();
			for (unsigned n = 0;; n++) {
				char value[16];

				snprintf(value, sizeof(value), "%u", n);
				for (unsigned i = 0; i < 50; i++)
					put(store, i, value);
				if (store_commit(store) < 0)
					_exit(1);
			}
		}
		usleep(3000 + (useconds_t)round * 1000);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		store = open_store();
		if (read_text(store, 0) == -ENOENT) {
			store_close(store);
			continue;
		}
		strcpy(first, text);
		for (unsigned i = 0; i < 50; i++) {
			ck_assert_int_eq(read_text(store, i), 50);
			ck_assert_str_eq(text, first);
		}
		store_close(store);
	}
}
END_TEST

/* Write bytes over the file, or cut it. */
static void
damage(off_t at, const void *bytes, size_t size)
{
	int fd = open(ledger, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	if (bytes)
		ck_assert_int_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
	else
		ck_assert_int_eq(ftruncate(fd, at), 0);
	close(fd);
}

START_TEST(a_cut_file_is_damaged)
{
	static const off_t lengths[] = {1, 100, 4096, 8192, 12288, 20000};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct store *store;

		leave(200);
		damage(lengths[i], NULL, 0);
		store = open_store();
		ck_assert_int_eq(read_text(store, 0), -EBADMSG);
		/* And the next one is as good as new. */
		put(store, 1, "one");
		ck_assert_int_eq(store_commit(store), 0);
		store_close(store);
		store = open_store();
		ck_assert_int_eq(read_text(store, 1), 1);
		store_close(store);
	}
}
END_TEST

START_TEST(garbage_is_damaged_or_changes_nothing)
{
	unsigned damaged = 0;

	srandom(1);
	for (int round = 0; round < 100; round++) {
		char garbage[64];
		struct store *store;
		struct stat st;
		int count;

		leave(100);
		ck_assert_int_eq(stat(ledger, &st), 0);
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (char)random();
		damage(random() % (st.st_size - (off_t)sizeof(garbage)), garbage,
			sizeof(garbage));
		store = open_store();
		count = read_text(store, 5);
		store_close(store);
		damaged += count == -EBADMSG;
		ck_assert(count == -EBADMSG || count == 100 || count == 0);
		if (count == 100)
			ck_assert_uint_eq(strspn(text, "x"), 599);
	}
	ck_assert_uint_ge(damaged, 50);
}
END_TEST

START_TEST(what_is_no_file_is_damaged)
{
	struct store *store = open_store();

	ck_assert_int_eq(symlink("/dev/zero", ledger), 0);
	ck_assert_int_eq(read_text(store, 0), -EBADMSG);
	store_close(store);
}
END_TEST

START_TEST(a_full_disk_is_told_and_the_file_can_be_removed)
{
	struct rlimit limit = {65536, 65536};
	struct store *store = open_store();
	char value[600];
	int r = 0;

	/* As good as a full one, with this signal ignored. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	for (unsigned i = 0; i < 1000 && r == 0; i++) {
		put(store, i, value);
		r = store_commit(store);
	}
	ck_assert_int_lt(r, 0);
	store_destroy(store);
	store_close(store);
	ck_assert_int_eq(access(ledger, F_OK), -1);
}
END_TEST

START_TEST(records_give_back_what_was_put)
{
	static const uint64_t numbers[] = {0, 1, 127, 128, 1ull << 35, UINT64_MAX};
	static struct record record, copy;
	static struct counters put_in, taken;
	char name[16];

	for (int i = 0; i < 300; i++)
		counters_record(&put_in, (uint64_t)i * i * 100000);
	band_histogram_record(&put_in.wakeup, 5000);
	put_in.events = 7;
	record_begin(&record);
	for (int i = 0; i < 6; i++)
		record_put(&record, numbers[i]);
	record_put_text(&record, "a name");
	record_put_counters(&record, &put_in);
	ck_assert_uint_lt(record.size, 4000);
	record_load(&copy, record.bytes, record.size);
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(record_take(&copy), numbers[i]);
	record_take_text(&copy, name, sizeof(name));
	ck_assert_str_eq(name, "a name");
	record_take_counters(&copy, &taken);
	ck_assert(record_is_read(&copy));
	ck_assert_mem_eq(&taken, &put_in, sizeof(taken));
}
END_TEST

START_TEST(records_that_are_cut_or_too_long_are_known)
{
	static struct record record, copy;
	static struct counters put_in, taken;
	char name[4];

	for (int i = 0; i < 50; i++)
		counters_record(&put_in, (uint64_t)i * 1000000);
	record_begin(&record);
	record_put_counters(&record, &put_in);
	for (size_t size = 0; size < record.size; size++) {
		record_load(&copy, record.bytes, size);
		record_take_counters(&copy, &taken);
		ck_assert(!record_is_read(&copy));
	}
	record_load(&copy, "\x05hello", 6);
	record_take_text(&copy, name, sizeof(name));
	ck_assert_str_eq(name, "");
	ck_assert(!record_is_read(&copy));
	/* Behind the end of the array. */
	record_load(&copy, "\xff\xff\x7f\x01\x00", 5);
	record_take_sparse(&copy, taken.iteration.counts, HISTOGRAM_BUCKETS);
	ck_assert(!record_is_read(&copy));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("store");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_was_committed_is_read_by_the_next);
	tcase_add_test(tcase, the_old_records_stay_until_the_first_commit);
	tcase_add_test(tcase, keys_come_in_the_order_of_kind_index_and_number);
	tcase_add_test(tcase, two_cannot_have_one_directory);
	tcase_add_test(tcase, after_a_kill_all_of_a_commit_is_there_or_nothing);
	tcase_add_test(tcase, a_cut_file_is_damaged);
	tcase_add_test(tcase, garbage_is_damaged_or_changes_nothing);
	tcase_add_test(tcase, what_is_no_file_is_damaged);
	tcase_add_test(tcase, a_full_disk_is_told_and_the_file_can_be_removed);
	tcase_add_test(tcase, records_give_back_what_was_put);
	tcase_add_test(tcase, records_that_are_cut_or_too_long_are_known);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
