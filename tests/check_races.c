/* SPDX-License-Identifier: MIT */
/*
 * The probe in threads that run at the same time, with a reader beside them: on epoll
 * instances of their own and on one that all wait for, in call sites, in loops within loops,
 * while threads end, processes fork and the segment is exchanged. Under the thread sanitizer
 * this tells accesses that nothing orders; what the counts come to must be right anyway.
 */

#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "daemon/reader.h"
#include "probes/loops.h"
#include "probes/waits.h"
#include "tests/scene.h"

#define SLOTS SEGMENT_SLOTS_DEFAULT
#define TURNS 2000
#define CLOSERS 12 /* threads that have a few loops and end */
#define CHILDREN 8

static struct segment segment, second;
static struct reader *readers[2];
static int shared; /* the instance that several threads wait for */
static int stop;

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int
is_epoll(int descriptor)
{
	return 1;
}

static void
ignore(void)
{
}

/* The reader's: words of the segment as they are, one after the other. */
ssize_t
races_pread(int fd, void *to, size_t bytes, off_t offset);

ssize_t
races_pread(int fd, void *to, size_t bytes, off_t offset)
{
	const char *memory = (const char *)(fd ? second : segment).header + offset;
	size_t done = 0;

	for (; done + 8 <= bytes; done += 8)
		*(uint64_t *)((char *)to + done) = __atomic_load_n(
			(const uint64_t *)(memory + done), __ATOMIC_ACQUIRE);
	for (; done + 4 <= bytes; done += 4)
		*(uint32_t *)((char *)to + done) = __atomic_load_n(
			(const uint32_t *)(memory + done), __ATOMIC_ACQUIRE);
	return (ssize_t)done;
}

static void
set_up(void)
{
	static const struct waits_calls calls = {clock_gettime, is_epoll, ignore, ignore};
	void *live = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(live, MAP_FAILED);
	ck_assert_int_eq(madvise(live, 4096, MADV_WIPEONFORK), 0);
	segment = scene_segment(SLOTS);
	second = scene_segment(SLOTS);
	readers[0] = reader_new(0, segment.header);
	readers[1] = reader_new(1, second.header);
	shared = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(shared, 0);
	waits_start(&calls);
	loops_start(&segment, live);
}

/* A wait that finds nothing or says that it has found something. The kernel is asked without
 * libc, of which the sanitizer believes that it orders what threads do. */
__attribute__((noinline)) static void
wait_for(uint32_t kind, intptr_t key, int result)
{
	struct epoll_event event;
	struct wait wait;

	waits_enter(&wait, kind, key, 2, 0, (uintptr_t)__builtin_frame_address(0));
	if (kind == SEGMENT_KIND_EPOLL)
		syscall(SYS_epoll_pwait, (int)key, &event, 1, 0, NULL, 8);
	waits_leave(&wait, result);
}

/* A thread among those that wait for one instance, with others now and then within. */
static void *
share(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		wait_for(SEGMENT_KIND_EPOLL, shared, i % 3 != 0);
		if (i % 50 == 0)
			wait_for(SEGMENT_KIND_POLL, 0x400100, 1);
		if (i % 100 == 0)
			sched_yield();
	}
	return NULL;
}

/* A thread with a few loops, one after the other, whose descriptors are used again. */
static void *
close_and_end(void *arg)
{
	for (int i = 0; i < 4; i++) {
		int own = epoll_create1(EPOLL_CLOEXEC);

		waits_forget(own);
		for (int j = 0; j < 20; j++)
			wait_for(SEGMENT_KIND_EPOLL, own, 1);
		close(own);
	}
	return NULL;
}

static void *
poll_site(void *arg)
{
	for (int i = 0; i < TURNS; i++)
		wait_for(SEGMENT_KIND_POLL, 0x400200, 1);
	return NULL;
}

static void *
run_custom(void *arg)
{
	struct loop *loop = waits_register("custom");

	for (int i = 0; loop && i < TURNS; i++) {
		waits_begin(loop);
		waits_end(loop, 1);
	}
	if (loop)
		waits_unregister(loop);
	return NULL;
}

/* As the helper does. */
static void *
find_late(void *arg)
{
	struct loops_late late[4];
	size_t cursor = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		(void)loops_find_late(clock_ns(), late, 4, &cursor);
		sched_yield();
	}
	return NULL;
}

static void
check_slot(const struct segment_slot *slot)
{
	ck_assert_uint_eq(histogram_total(&slot->iteration), slot->iterations);
	ck_assert(!segment_is_written(slot->state, slot->sequence));
}

/* As the daemon does; what it takes for whole must be. */
static void *
read_slots(void *arg)
{
	struct segment_slot *copies = calloc(2 * SLOTS, sizeof(*copies));

	ck_assert_ptr_nonnull(copies);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(reader_begin(readers[i]), 0);
			for (uint32_t j = 0; j < reader_slots(readers[i]); j++)
				if (reader_read_slot(readers[i], j, 0, READER_TRIES, NULL,
					    &copies[i * SLOTS + j]) == READER_WHOLE)
					check_slot(&copies[i * SLOTS + j]);
		}
		sched_yield();
	}
	free(copies);
	return NULL;
}

static pthread_t
start(void *(*run)(void *))
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
	return thread;
}

/* A child has loops of its own, in the segment of all. */
static void
fork_child(void)
{
	pid_t child = fork();
	int status;

	/* Without check, whose lock another thread may have had. */
	if (child == 0) {
		close_and_end(NULL);
		_exit(0);
	}
	ck_assert_int_ge(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

/* All threads have ended: nobody writes, nobody waits for the shared instance, and of each
 * wait that may end an iteration something is known. */
static void
check_slots(const struct segment *in)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct segment_slot *slot = &in->slots[i];

		check_slot(slot);
		if (slot->state & SEGMENT_ATTENDED)
			ck_assert_uint_eq(slot->state & SEGMENT_WAITERS, 0);
	}
}

START_TEST(threads_that_wait_for_one_instance_and_for_their_own)
{
	void *(*const runs[])(void *) = {share, share, share, poll_site, run_custom};
	pthread_t threads[sizeof(runs) / sizeof(*runs)];
	pthread_t reader = start(read_slots), finder = start(find_late);

	for (unsigned i = 0; i < sizeof(runs) / sizeof(*runs); i++)
		threads[i] = start(runs[i]);
	for (unsigned i = 0; i < CLOSERS; i += 2) {
		pthread_t first = start(close_and_end), other = start(close_and_end);

		if (i < CHILDREN)
			fork_child();
		if (i == CLOSERS / 2)
			loops_move(&second);
		pthread_join(first, NULL);
		pthread_join(other, NULL);
	}
	for (unsigned i = 0; i < sizeof(runs) / sizeof(*runs); i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	pthread_join(finder, NULL);
	check_slots(&segment);
	check_slots(&second);
	reader_free(readers[0]);
	reader_free(readers[1]);
}
END_TEST

static Suite *
races_suite(void)
{
	Suite *suite = suite_create("races");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(threads, set_up, NULL);
	tcase_add_test(threads, threads_that_wait_for_one_instance_and_for_their_own);
	suite_add_tcase(suite, threads);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(races_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
