/* SPDX-License-Identifier: MIT */
/* The doorbell: one inode for all daemons, whose bell wakes those who have mapped it. */

#include "config.h"

#include "daemon/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "probes/segment.h"

static char directory[] = "doorbell-test-XXXXXX";
static char path[64];
static struct doorbell *doorbell;

static void
set_up(void)
{
	strcpy(directory, "doorbell-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/doorbell", directory);
	doorbell = NULL;
}

static void
tear_down(void)
{
	doorbell_close(doorbell);
	unlink(path);
	rmdir(path);
	rmdir(directory);
}

static const volatile struct segment_doorbell *
map(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, SEGMENT_PAGE, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	close(fd);
	return page;
}

START_TEST(it_is_made_for_everybody_to_read)
{
	mode_t before = umask(077);
	struct stat st;

	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	umask(before);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_int_eq(st.st_size, SEGMENT_PAGE);
	ck_assert_uint_eq(map()->magic, SEGMENT_MAGIC);
	ck_assert_uint_eq(map()->version, SEGMENT_VERSION);
	ck_assert_uint_eq(map()->daemon, 0);
}
END_TEST

START_TEST(the_next_daemon_rings_the_same_bell)
{
	const volatile struct segment_doorbell *page;

	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	page = map();
	doorbell_ring_daemon(doorbell);
	ck_assert_uint_eq(page->daemon, 1);
	doorbell_close(doorbell);
	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	doorbell_ring_daemon(doorbell);
	ck_assert_uint_eq(page->daemon, 2);
}
END_TEST

START_TEST(a_bell_that_is_rung_changes_and_no_other)
{
	const volatile struct segment_doorbell *page;

	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	page = map();
	ck_assert_uint_eq(page->stall_us, 0);
	doorbell_set_stall(doorbell, 100000);
	ck_assert_uint_eq(page->stall_us, 100000);
	doorbell_ring(doorbell, 255);
	doorbell_ring(doorbell, 255);
	for (unsigned bell = 0; bell < SEGMENT_BELLS; bell++)
		ck_assert_uint_eq(page->bells[bell], bell == 255 ? 2 : 0);
	ck_assert_uint_eq(page->daemon, 0);
}
END_TEST

static void
ring_bell_7(void)
{
	doorbell_ring(doorbell, 7);
}

static void
ring_daemon(void)
{
	doorbell_ring_daemon(doorbell);
}

/* Tell whether what rings wakes a process that waits on bell 7. */
static void
check_that_it_wakes(void (*ring)(void))
{
	const volatile struct segment_doorbell *page = map();
	const volatile uint32_t *bell = &page->bells[7];
	uint32_t heard = *bell;
	pid_t child = fork();
	int status, r;

	if (child == 0) {
		while (*bell == heard)
			syscall(SYS_futex, bell, FUTEX_WAIT, heard, NULL, NULL, 0);
		_exit(0);
	}
	/* Ring when it waits; it may be seen to wait a little before. */
	do {
		usleep(1000);
		ring();
		r = waitpid(child, &status, WNOHANG);
	} while (r == 0);
	ck_assert_int_eq(r, child);
	ck_assert_int_eq(status, 0);
}

START_TEST(ringing_wakes_another_process_that_waits)
{
	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	check_that_it_wakes(ring_bell_7);
	check_that_it_wakes(ring_daemon);
}
END_TEST

START_TEST(what_is_no_file_of_ours_is_refused)
{
	ck_assert_int_eq(symlink("elsewhere", path), 0);
	ck_assert_int_eq(doorbell_open(path, &doorbell), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(doorbell_open(path, &doorbell), -EINVAL);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	ck_assert_int_eq(doorbell_open(path, &doorbell), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(doorbell_open("no/such/directory", &doorbell), -ENOENT);
	if (geteuid() == 0) {
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		ck_assert_int_eq(chown(path, 12345, 12345), 0);
		ck_assert_int_eq(doorbell_open(path, &doorbell), -EPERM);
	}
	ck_assert_ptr_null(doorbell);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("doorbell");
	TCase *tcase = tcase_create("doorbell");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, it_is_made_for_everybody_to_read);
	tcase_add_test(tcase, the_next_daemon_rings_the_same_bell);
	tcase_add_test(tcase, a_bell_that_is_rung_changes_and_no_other);
	tcase_add_test(tcase, ringing_wakes_another_process_that_waits);
	tcase_add_test(tcase, what_is_no_file_of_ours_is_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
