/* SPDX-License-Identifier: MIT */
/* Segments: the layout that every version must keep, and reading from outside whatever is
 * written meanwhile. */

#include "config.h"

#include "probes/segment.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "daemon/reader.h"
#include "probes/slots.h"

#define ck_offset(type, field, offset) \
	ck_assert_uint_eq(offsetof(struct type, field), offset)

START_TEST(the_layout_is_the_documented_one)
{
	ck_assert_uint_eq(sizeof(struct segment_header), 4096);
	ck_offset(segment_header, magic, 0);
	ck_offset(segment_header, version, 8);
	ck_offset(segment_header, compat_version, 12);
	ck_offset(segment_header, size, 16);
	ck_offset(segment_header, id, 24);
	ck_offset(segment_header, pid, 40);
	ck_offset(segment_header, runtime, 44);
	ck_offset(segment_header, thread_count, 48);
	ck_offset(segment_header, slot_count, 52);
	ck_offset(segment_header, threads_offset, 56);
	ck_offset(segment_header, slots_offset, 60);
	ck_offset(segment_header, capture_offset, 64);
	ck_offset(segment_header, capture_bytes, 68);
	ck_offset(segment_header, owner_word, 72);
	ck_offset(segment_header, registrations, 76);
	ck_offset(segment_header, created_ns, 80);
	ck_offset(segment_header, exe, 88);
	ck_offset(segment_header, group, 152);
	ck_offset(segment_header, slots_used, 216);
	ck_offset(segment_header, dropped_loops, 224);
	ck_offset(segment_header, dropped_threads, 232);
	ck_offset(segment_header, other_waits, 240);
	ck_offset(segment_header, helper, 272);
	ck_offset(segment_header, wakes, 276);

	ck_assert_uint_eq(sizeof(struct segment_thread), 64);
	ck_offset(segment_thread, lock, 0);
	ck_offset(segment_thread, generation, 48);
	ck_offset(segment_thread, tid, 52);

	ck_assert_uint_eq(sizeof(struct segment_slot), 12288);
	ck_offset(segment_slot, state, 0);
	ck_offset(segment_slot, sequence, 8);
	ck_offset(segment_slot, iterations, 16);
	ck_offset(segment_slot, active_ns, 24);
	ck_offset(segment_slot, last_ns, 32);
	ck_offset(segment_slot, events, 40);
	ck_offset(segment_slot, shared_events, 48);
	ck_offset(segment_slot, other_waits, 56);
	ck_offset(segment_slot, max_ns, 64);
	ck_offset(segment_slot, kind, 72);
	ck_offset(segment_slot, life, 76);
	ck_offset(segment_slot, thread, 80);
	ck_offset(segment_slot, descriptor, 84);
	ck_offset(segment_slot, born_ns, 88);
	ck_offset(segment_slot, ended_ns, 96);
	ck_offset(segment_slot, past_life_ns, 104);
	ck_offset(segment_slot, long_count, 112);
	ck_offset(segment_slot, nested_wait_ns, 120);
	ck_offset(segment_slot, label, 128);
	ck_offset(segment_slot, nested_since_ns, 160);
	ck_offset(segment_slot, round, 168);
	ck_offset(segment_slot, ring, 256);
	ck_offset(segment_slot, iteration, 1280);
	ck_offset(segment_slot, wakeup, 9392);
	ck_offset(segment_slot, padding, 10312);
	ck_assert_uint_eq(sizeof(struct segment_long), 32);

	ck_assert_uint_eq(sizeof(struct histogram), 8112);
	ck_offset(histogram, counts, 0);
	ck_offset(histogram, sums_ns, 7184);
	ck_offset(histogram, square_low, 8096);
	ck_assert_uint_eq(sizeof(struct band_histogram), 920);
	ck_offset(band_histogram, sum_ns, 912);

	ck_assert_uint_eq(sizeof(struct segment_hello), 256);
	ck_offset(segment_hello, version, 8);
	ck_offset(segment_hello, bytes, 12);
	ck_offset(segment_hello, segment_size, 16);
	ck_offset(segment_hello, clock_ns, 24);
	ck_offset(segment_hello, slot_count, 32);
	ck_offset(segment_hello, pid, 36);
	ck_offset(segment_hello, runtime, 40);
	ck_offset(segment_hello, registrations, 44);
	ck_offset(segment_hello, id, 48);
	ck_offset(segment_hello, exe, 64);
	ck_offset(segment_hello, group, 128);

	ck_assert_uint_eq(sizeof(struct segment_doorbell), 4096);
	ck_offset(segment_doorbell, version, 8);
	ck_offset(segment_doorbell, daemon, 12);
	ck_offset(segment_doorbell, stall_us, 16);
	ck_offset(segment_doorbell, bells, 20);

	ck_offset(segment_capture, since_ns, 8);
	ck_offset(segment_capture, slot, 24);
	ck_offset(segment_capture, js_taken_ns, 56);
	ck_offset(segment_capture, natives, 128);
	ck_offset(segment_capture, modules, 1152);
	ck_offset(segment_capture, names, 2176);
	ck_offset(segment_capture, python, 4224);
	ck_offset(segment_capture, js, 10368);
}
END_TEST

START_TEST(sizes_are_the_documented_ones)
{
	ck_assert_uint_eq(segment_size(64), 4096 + 4096 + 64 * 12288 + 131072);
	ck_assert_uint_eq(segment_size(65), 4096 + 8192 + 65 * 12288 + 131072);
	ck_assert_uint_eq(segment_size(1024), 4096 + 65536 + 1024 * 12288 + 131072);
	ck_assert_uint_le(segment_size(64), 1 << 20);
}
END_TEST

static struct segment_header header;
static struct segment_thread *threads;
static struct segment_slot *slots;
static char *memory;
static struct reader *reader;
static struct segment_slot copy;
static int fd;

static void
set_up(void)
{
	uint64_t size = segment_size(64);

	fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	header = (struct segment_header){
		.magic = SEGMENT_MAGIC,
		.size = size,
		.thread_count = 64,
		.slot_count = 64,
		.threads_offset = 4096,
		.slots_offset = 8192,
		.capture_offset = (uint32_t)(size - SEGMENT_CAPTURE_BYTES),
		.owner_word = 2,
	};
	memcpy(memory, &header, sizeof(header));
	threads = (struct segment_thread *)(memory + 4096);
	slots = (struct segment_slot *)(memory + 8192);
	reader = reader_new(fd, &header);
	ck_assert_ptr_nonnull(reader);
	memset(&copy, 0, sizeof(copy));
}

static void
tear_down(void)
{
	reader_free(reader);
	close(fd);
	munmap(memory, segment_size(64));
}

START_TEST(threads_and_added_header_fields_are_refreshed)
{
	struct segment_header *theirs = (struct segment_header *)memory;

	threads[3].lock[2] = 1234;
	threads[3].generation = 7;
	theirs->slots_used = 5;
	theirs->dropped_loops = 9;
	ck_assert_int_eq(reader_begin(reader), 0);
	ck_assert_uint_eq(reader_thread(reader, 3).owner, 1234);
	ck_assert_uint_eq(reader_thread(reader, 3).generation, 7);
	ck_assert_uint_eq(reader_thread(reader, 3).tid, 1234);
	ck_assert_uint_eq(reader_slots(reader), 5);
	ck_assert_uint_eq(reader_header(reader)->dropped_loops, 9);
	ck_assert(reader_is_living(1234));
	ck_assert(!reader_is_living(1234 | SEGMENT_OWNER_DIED));
	ck_assert(!reader_is_living(0));
}
END_TEST

START_TEST(a_header_that_changes_afterwards_leads_nowhere)
{
	memset(memory, 0xff, sizeof(header));
	memset(threads, 0xff, 64 * sizeof(*threads));
	ck_assert_int_eq(reader_begin(reader), 0);
	ck_assert_uint_eq(reader_slots(reader), 64);
	ck_assert_uint_eq(reader_header(reader)->slots_offset, 8192);
	ck_assert_uint_eq(reader_header(reader)->owner_word, 2);
	ck_assert_uint_eq(reader_thread(reader, 64).owner, 0);
	ck_assert_uint_eq(reader_thread(reader, UINT32_MAX).owner, 0);
}
END_TEST

START_TEST(slots_that_were_used_once_stay_in_sight)
{
	struct segment_header *theirs = (struct segment_header *)memory;

	theirs->slots_used = 5;
	ck_assert_int_eq(reader_begin(reader), 0);
	theirs->slots_used = 2;
	ck_assert_int_eq(reader_begin(reader), 0);
	ck_assert_uint_eq(reader_slots(reader), 5);
}
END_TEST

START_TEST(a_slot_is_read_when_it_has_changed)
{
	ck_assert_int_eq(
		reader_read_slot(reader, 9, 0, READER_TRIES, NULL, &copy), READER_SAME);
	slots[9].state = 1000;
	slots[9].sequence = 1;
	slots[9].iterations = 17;
	slots[9].iteration.counts[50] = 17;
	slots[9].wakeup.sum_ns = 3;
	ck_assert_int_eq(
		reader_read_slot(reader, 9, 0, READER_TRIES, NULL, &copy), READER_WHOLE);
	ck_assert_uint_eq(copy.iterations, 17);
	ck_assert_uint_eq(copy.iteration.counts[50], 17);
	ck_assert_uint_eq(copy.wakeup.sum_ns, 3);
	ck_assert_int_eq(
		reader_read_slot(reader, 9, 0, READER_TRIES, NULL, &copy), READER_SAME);
	slots[9].events++;
	ck_assert_int_eq(
		reader_read_slot(reader, 9, 0, READER_TRIES, NULL, &copy), READER_WHOLE);
	ck_assert_int_eq(
		reader_read_slot(reader, 8, 0, READER_TRIES, NULL, &copy), READER_WHOLE);
	ck_assert_uint_eq(copy.iterations, 0);
}
END_TEST

START_TEST(a_slot_that_stays_in_writing_is_left_alone_or_taken_as_it_is)
{
	slots[0].state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	slots[0].iterations = 5;
	ck_assert_int_eq(
		reader_read_slot(reader, 0, 0, READER_TRIES, NULL, &copy), READER_BUSY);
	ck_assert_uint_eq(copy.iterations, 0);
	ck_assert_int_eq(
		reader_read_slot(reader, 0, 1, READER_TRIES, NULL, &copy), READER_TORN);
	ck_assert_uint_eq(copy.iterations, 5);
	ck_assert_int_eq(
		reader_read_slot(reader, 0, 1, READER_TRIES, NULL, &copy), READER_SAME);
}
END_TEST

/* Have a reader with or without a map, which takes a seal. */
static void
read_anew(int mapped)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	ck_assert_int_eq(
		fcntl(fd, F_ADD_SEALS, mapped ? seals | F_SEAL_FUTURE_WRITE : seals), 0);
	reader_free(reader);
	reader = reader_new(fd, &header);
	ck_assert_ptr_nonnull(reader);
}

START_TEST(quick_looks_show_what_stands_there_now)
{
	read_anew(_i);
	ck_assert_uint_eq(reader_slots(reader), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		((struct segment_header *)memory)->slots_used = i;
		ck_assert_int_eq(reader_peek_slots(reader), 0);
		ck_assert_uint_eq(reader_slots(reader), i);
		slots[2].state = 1000 + i;
		slots[2].born_ns = 7;
		slots[2].long_count = i;
		ck_assert_int_eq(reader_peek_used_slot(reader, 2, &copy), 0);
		ck_assert_uint_eq(copy.state, 1000 + i);
		ck_assert_uint_eq(copy.born_ns, 7);
		ck_assert_uint_eq(copy.long_count, i);
	}
	/* It only grows, and has an end. */
	((struct segment_header *)memory)->slots_used = 1;
	ck_assert_int_eq(reader_peek_slots(reader), 0);
	ck_assert_uint_eq(reader_slots(reader), 3);
	((struct segment_header *)memory)->slots_used = UINT64_MAX;
	ck_assert_int_eq(reader_peek_slots(reader), 0);
	ck_assert_uint_eq(reader_slots(reader), 64);
}
END_TEST

/* What looking at a map of it is based on. */
START_TEST(nobody_takes_a_page_away_that_is_sealed_against_future_writes)
{
	slots[2].born_ns = 7;
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0);
	ck_assert_int_lt(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 (off_t)segment_size(64)),
		0);
	ck_assert_int_lt(madvise(memory, segment_size(64), MADV_REMOVE), 0);
	ck_assert_int_lt(ftruncate(fd, 0), 0);
	ck_assert_uint_eq(slots[2].born_ns, 7);
}
END_TEST

START_TEST(looks_at_slots_that_were_never_read_fill_no_holes)
{
	struct stat before, after;
	uint64_t state, sequence, round;

	read_anew(1);
	ck_assert_int_eq(fstat(fd, &before), 0);
	ck_assert_int_eq(reader_peek_state(reader, 5, &state, &sequence), 0);
	ck_assert_int_eq(reader_peek_round(reader, 6, &round), 0);
	ck_assert_int_eq(reader_peek_used_slot(reader, 7, &copy), 0);
	ck_assert_int_eq(
		reader_read_slot(reader, 8, 1, READER_TRIES, NULL, &copy), READER_SAME);
	ck_assert_uint_eq(state | sequence | round | copy.born_ns, 0);
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(after.st_blocks, before.st_blocks);
}
END_TEST

START_TEST(a_short_file_is_an_error)
{
	ck_assert_int_eq(ftruncate(fd, 8192 + 100), 0);
	ck_assert_int_eq(reader_begin(reader), 0);
	slots = NULL;
	ck_assert_int_eq(
		reader_read_slot(reader, 0, 1, READER_TRIES, NULL, &copy), READER_BUSY);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_lt(reader_begin(reader), 0);
	ck_assert_int_eq(reader_read_header(fd, &header), 0);
	ck_assert_int_eq(ftruncate(fd, 4095), 0);
	ck_assert_int_lt(reader_read_header(fd, &header), 0);
}
END_TEST

/* A slot that says of itself what it never wrote. */
START_TEST(what_is_read_from_the_map_fills_no_holes)
{
	struct histogram known = {0};
	struct stat before, after;

	read_anew(1);
	slots[5].born_ns = 7;
	slots[5].iteration.sums_ns[1] = 1000;
	for (uint64_t i = 1; i <= 3; i++) {
		slots[5].sequence = i;
		slots[5].iteration.sums_ns[70] =
			i; /* its counts are on a page of their own */
		ck_assert_int_eq(fstat(fd, &before), 0);
		ck_assert_int_eq(
			reader_read_slot(reader, 5, 1, READER_TRIES, &known, &copy),
			READER_WHOLE);
		ck_assert_uint_eq(copy.iteration.sums_ns[70], i);
		ck_assert_int_eq(fstat(fd, &after), 0);
		ck_assert_int_eq(after.st_blocks, before.st_blocks);
		known = copy.iteration;
	}
}
END_TEST

START_TEST(counts_that_are_known_may_be_left_out)
{
	struct histogram known;

	read_anew(_i);
	slots[5].born_ns = 7;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram_record(&slots[5].iteration, histogram_upper_ns(i) >> 1);
	slots[5].sequence = 1;
	ck_assert_int_eq(
		reader_read_slot(reader, 5, 1, READER_TRIES, NULL, &copy), READER_WHOLE);
	known = copy.iteration;
	histogram_record(&slots[5].iteration, 0);
	histogram_record(&slots[5].iteration, 1000000);
	slots[5].sequence = 2;
	memset(copy.iteration.counts, 0xff, sizeof(copy.iteration.counts));
	ck_assert_int_eq(reader_read_slot(reader, 5, 1, READER_TRIES, &known, &copy),
		READER_WHOLE);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (!_i || !i ||
			histogram_band(i) == histogram_band(histogram_index(1000000)))
			ck_assert_uint_eq(
				copy.iteration.counts[i], slots[5].iteration.counts[i]);
		else
			ck_assert_uint_eq(copy.iteration.counts[i], UINT64_MAX);
	ck_assert_mem_eq(copy.iteration.sums_ns, slots[5].iteration.sums_ns,
		sizeof(copy.iteration.sums_ns));
}
END_TEST

static int stop;

/* As the probe writes: all counters of a slot say the same, whenever nobody is in it. */
static void *
write_slot(void *arg)
{
	struct segment_slot *slot = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t length_ns = 1ull << slot->iterations % 32;

		__atomic_store_n(&slot->state, slots_attended_until_update(slot),
			__ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		__atomic_store_n(
			&slot->iterations, slot->iterations + 1, __ATOMIC_RELAXED);
		__atomic_store_n(
			&slot->active_ns, slot->active_ns + length_ns, __ATOMIC_RELAXED);
		histogram_record(&slot->iteration, length_ns);
		slots_count_update(slot);
		for (int i = 0; i < 3000; i++) {
			__atomic_store_n(&slot->state, SEGMENT_ATTENDED | (i & 1),
				__ATOMIC_RELAXED);
		}
	}
	return NULL;
}

START_TEST(a_copy_is_of_one_moment_while_a_loop_writes)
{
	struct histogram known = {0};
	pthread_t thread;
	unsigned whole = 0;

	read_anew(_i);
	stop = 0;
	slots[0].born_ns = 7;
	ck_assert_int_eq(pthread_create(&thread, NULL, write_slot, &slots[0]), 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t before = copy.iterations, sum_ns = 0;

		if (reader_read_slot(reader, 0, 0, READER_TRIES, &known, &copy) ==
			READER_BUSY)
			continue;
		whole++;
		for (unsigned band = 0; band < HISTOGRAM_BANDS; band++)
			sum_ns += copy.iteration.sums_ns[band];
		ck_assert_uint_ge(copy.iterations, before);
		ck_assert_uint_eq(copy.iterations, histogram_total(&copy.iteration));
		ck_assert_uint_eq(copy.active_ns, sum_ns);
		ck_assert_uint_eq(copy.iterations, copy.sequence);
		known = copy.iteration;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(whole, 100);
}
END_TEST

START_TEST(a_slot_is_written_until_its_sequence_is_what_the_state_says)
{
	const uint64_t until = SEGMENT_ATTENDED | SEGMENT_UNTIL | 1;
	uint64_t next = (1ull << 32) + (uint64_t)_i; /* its low half wraps around */
	uint64_t state = until | (next & 0xffffffff) << SEGMENT_UNTIL_SHIFT;

	ck_assert(segment_is_written(state, next - 1));
	ck_assert(!segment_is_written(state, next));
	/* There has been another one since: the state was out of date. */
	ck_assert(!segment_is_written(state, next + 1));
	ck_assert(segment_is_written(state | SEGMENT_RECORDING, next));
	ck_assert(!segment_is_written(SEGMENT_ATTENDED | 1, next - 1));
	ck_assert(!segment_is_written(1000, next - 1));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("segment");
	TCase *layout = tcase_create("layout"), *reading = tcase_create("reading");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(layout, the_layout_is_the_documented_one);
	tcase_add_test(layout, sizes_are_the_documented_ones);
	tcase_add_loop_test(layout,
		a_slot_is_written_until_its_sequence_is_what_the_state_says, -2, 3);
	suite_add_tcase(suite, layout);
	tcase_set_timeout(reading, 60);
	tcase_add_checked_fixture(reading, set_up, tear_down);
	tcase_add_test(reading, threads_and_added_header_fields_are_refreshed);
	tcase_add_test(reading, a_header_that_changes_afterwards_leads_nowhere);
	tcase_add_test(reading, slots_that_were_used_once_stay_in_sight);
	tcase_add_test(reading, a_slot_is_read_when_it_has_changed);
	tcase_add_test(
		reading, a_slot_that_stays_in_writing_is_left_alone_or_taken_as_it_is);
	tcase_add_loop_test(reading, quick_looks_show_what_stands_there_now, 0, 2);
	tcase_add_test(reading, looks_at_slots_that_were_never_read_fill_no_holes);
	tcase_add_test(reading, what_is_read_from_the_map_fills_no_holes);
	tcase_add_loop_test(reading, counts_that_are_known_may_be_left_out, 0, 2);
	tcase_add_test(
		reading, nobody_takes_a_page_away_that_is_sealed_against_future_writes);
	tcase_add_test(reading, a_short_file_is_an_error);
	tcase_add_loop_test(reading, a_copy_is_of_one_moment_while_a_loop_writes, 0, 2);
	suite_add_tcase(suite, reading);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
