/* SPDX-License-Identifier: MIT */
/* Bad guests, at the collector's door and inside: they are refused and counted, and harm
 * nobody else. */

#include "config.h"

#include "daemon/collector.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "daemon/groups.h"
#include "tests/segment_writer.h"
#include "tests/stage.h"

#define MS 1000000ull
#define SECOND 1000000000ull

START_TEST(bad_guests_are_refused_and_counted_by_reason)
{
	struct writer good = writer_make();
	struct segment_hello hello = writer_hello(&good);
	int unsealed = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2];
	struct collector_stats stats;

	ck_assert_int_eq(ftruncate(unsealed, (off_t)hello.segment_size), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	close(writer_send(stage.path, "garbage", 7, good.fd, 1));
	close(writer_send(stage.path, &hello, 100, good.fd, 1));
	close(writer_send(stage.path, &hello, sizeof(hello), good.fd, 0));
	close(writer_send(stage.path, &hello, sizeof(hello), good.fd, 253));
	close(writer_send(stage.path, &hello, sizeof(hello), pipes[0], 1));
	close(writer_send(stage.path, &hello, sizeof(hello), unsealed, 1));
	hello.version = 99;
	close(writer_send(stage.path, &hello, sizeof(hello), good.fd, 1));
	hello.version = SEGMENT_VERSION;
	hello.slot_count = 100;
	hello.segment_size = segment_size(100);
	close(writer_send(stage.path, &hello, sizeof(hello), good.fd, 1));
	hello = writer_hello(&good);
	hello.id[3]++;
	close(writer_send(stage.path, &hello, sizeof(hello), good.fd, 1));
	stage_run_until_refused(9);
	stats = collector_stats(stage.collector);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_HELLO], 2);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_DESCRIPTOR], 3);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_SEALS], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_VERSION], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_SIZE], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_HEADER], 1);
	ck_assert_uint_eq(stats.targets, 0);
	ck_assert_uint_eq(groups_count(collector_groups(stage.collector)), 0);
	close(unsealed);
	close(pipes[0]);
	close(pipes[1]);
	writer_free(&good);
}
END_TEST

#define SILENT 1000
static int silent[SILENT];

static void
connect_silently(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, stage.path);
	for (int i = 0; i < SILENT; i++) {
		silent[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(
			connect(silent[i], (struct sockaddr *)&address, sizeof(address)),
			0);
	}
}

START_TEST(a_thousand_silent_connections_keep_nobody_out)
{
	struct writer writer = writer_make();
	uint64_t before_ns;

	stage_limit_descriptors(4096);
	connect_silently();
	writer_start(&writer, stage.path, "writer");
	before_ns = writer_now_ns();
	stage_run_until_targets(1);
	/* They are sent away after two seconds; it did not wait for that. */
	ck_assert_uint_eq(
		collector_stats(stage.collector).rejected[COLLECTOR_TIMEOUT], 0);
	ck_assert_uint_lt(writer_now_ns() - before_ns, 2 * SECOND);
	stage_run_until_refused(SILENT);
	ck_assert_uint_eq(stage_refused(), SILENT);
	ck_assert_uint_gt(collector_stats(stage.collector).rejected[COLLECTOR_QUOTA], 0);
	ck_assert_uint_gt(
		collector_stats(stage.collector).rejected[COLLECTOR_TIMEOUT], 0);
	for (int i = 0; i < SILENT; i++) {
		struct pollfd fd = {.fd = silent[i], .events = POLLIN};

		/* Closed by another thread, perhaps a little later. */
		ck_assert_int_eq(poll(&fd, 1, 10000), 1);
		ck_assert(fd.revents & POLLHUP);
		close(silent[i]);
	}
	writer_free(&writer);
}
END_TEST

START_TEST(a_late_message_is_heard)
{
	struct writer writer = writer_make();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct segment_hello hello = writer_hello(&writer);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, stage.path);
	ck_assert_int_eq(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	stage_run_for(50 * MS);
	ck_assert_int_eq(send(sock, &hello, sizeof(hello), 0), sizeof(hello));
	stage_run_until_refused(1);
	ck_assert_uint_eq(
		collector_stats(stage.collector).rejected[COLLECTOR_DESCRIPTOR], 1);
	close(sock);
	writer_free(&writer);
}
END_TEST

START_TEST(the_same_registration_is_taken_once)
{
	struct writer writer = writer_make();
	struct segment_hello hello = writer_hello(&writer);

	for (int i = 0; i < 3; i++)
		close(writer_send(stage.path, &hello, sizeof(hello), writer.fd, 1));
	stage_run_until_refused(2);
	ck_assert_uint_eq(collector_stats(stage.collector).targets, 1);
	ck_assert_uint_eq(collector_stats(stage.collector).rejected[COLLECTOR_HEADER], 2);
	writer_free(&writer);
}
END_TEST

START_TEST(without_descriptors_guests_wait)
{
	struct writer writer = writer_make(), next = writer_make();
	int held[256], count = 0;

	stage_limit_descriptors(256);
	writer_start(&writer, stage.path, "writer");
	while (count < 256 && (held[count] = dup(stage.listener)) >= 0)
		count++;
	ck_assert_int_lt(held[count], 0);
	stage_run_for(200 * MS);
	/* One is enough to accept it, but not to hear it. */
	close(held[--count]);
	stage_run_for(200 * MS);
	ck_assert_uint_eq(collector_stats(stage.collector).targets, 0);
	for (int i = 0; i < count; i++)
		close(held[i]);
	writer_start(&next, stage.path, "writer");
	stage_run_until_targets(2);
	ck_assert_uint_eq(stage_refused(), 0);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

static struct writer *victim;
static int stop;

static void *
scribble(void *arg)
{
	unsigned seed = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		size_t words = segment_size(WRITER_SLOTS) / 4;
		/* Most of it where it matters. */
		size_t word = (size_t)rand_r(&seed) %
			      (rand_r(&seed) & 1 ? words : (4096 + 4096 + 3 * 12288) / 4);

		((volatile uint32_t *)victim->header)[word] = (uint32_t)rand_r(&seed)
							      << (rand_r(&seed) % 8);
	}
	return NULL;
}

START_TEST(a_segment_full_of_nonsense_does_no_harm_to_others)
{
	struct writer mad = writer_make(), good;
	pthread_t thread;

	strcpy(mad.header->group, "mad");
	writer_start(&mad, stage.path, "mad");
	stage_run_until_targets(1);
	good = stage_writer();
	victim = &mad;
	stop = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, NULL), 0);
	writer_begin(&good, 0, 0, -1);
	for (int i = 0; i < 500; i++) {
		struct stage_shown mad_shown;

		writer_iterate(&good, 0, 100000);
		ck_assert_uint_eq(stage_show().iterations, (uint64_t)i + 1);
		mad_shown = stage_scrape("mad");
		ck_assert_uint_le(mad_shown.processes, 64);
		ck_assert_uint_le(mad_shown.loops, 64);
	}
	ck_assert_uint_eq(stage_show().processes, 1);
	ck_assert_uint_eq(stage_show().loops, 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	writer_free(&mad);
	writer_free(&good);
}
END_TEST

START_TEST(all_reasons_have_names)
{
	for (int i = 0; i < COLLECTOR_REASONS; i++) {
		ck_assert_ptr_nonnull(collector_reason_name((enum collector_reason)i));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(collector_reason_name((enum collector_reason)i),
				collector_reason_name((enum collector_reason)j));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reception");
	TCase *tcase = tcase_create("reception");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, stage_set_up, stage_tear_down);
	tcase_add_test(tcase, bad_guests_are_refused_and_counted_by_reason);
	tcase_add_test(tcase, a_thousand_silent_connections_keep_nobody_out);
	tcase_add_test(tcase, a_late_message_is_heard);
	tcase_add_test(tcase, the_same_registration_is_taken_once);
	tcase_add_test(tcase, without_descriptors_guests_wait);
	tcase_add_test(tcase, a_segment_full_of_nonsense_does_no_harm_to_others);
	tcase_add_test(tcase, all_reasons_have_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
