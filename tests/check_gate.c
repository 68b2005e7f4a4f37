/* SPDX-License-Identifier: MIT */
/* The gate and the hello: everything that is not one good segment is refused, counted as
 * what it is, and leaves no descriptor behind. */

#include "config.h"

#include "daemon/gate.h"
#include "daemon/hello.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#define SIZE 1048576u
#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static int pair[2];
static struct segment_hello hello;

static int
make_memfd(uint64_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void
ck_refused(int fd, enum collector_reason reason)
{
	enum collector_reason why = COLLECTOR_REASONS;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(gate_check(fd, SIZE, &why), -EINVAL);
	ck_assert_int_eq(why, reason);
	close(fd);
}

START_TEST(a_sealed_memfd_passes)
{
	enum collector_reason why;
	int fd = make_memfd(SIZE, ALL_SEALS), reopened;
	char path[64];

	ck_assert_int_eq(gate_check(fd, SIZE, &why), 0);
	ck_assert(gate_in_memory(fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(gate_check(reopened, SIZE, &why), 0);
	close(reopened);
	close(fd);
	fd = make_memfd(SIZE, ALL_SEALS | F_SEAL_FUTURE_WRITE);
	ck_assert_int_eq(gate_check(fd, SIZE, &why), 0);
	close(fd);
}
END_TEST

START_TEST(what_could_still_be_truncated_is_refused)
{
	ck_refused(make_memfd(SIZE, 0), COLLECTOR_SEALS);
	ck_refused(make_memfd(SIZE, F_SEAL_SHRINK | F_SEAL_GROW), COLLECTOR_SEALS);
	ck_refused(make_memfd(SIZE, F_SEAL_GROW | F_SEAL_SEAL), COLLECTOR_SEALS);
	ck_refused(make_memfd(SIZE, F_SEAL_SHRINK | F_SEAL_SEAL), COLLECTOR_SEALS);
}
END_TEST

START_TEST(another_size_is_refused)
{
	ck_refused(make_memfd(0, ALL_SEALS), COLLECTOR_SIZE);
	ck_refused(make_memfd(SIZE - 1, ALL_SEALS), COLLECTOR_SIZE);
	ck_refused(make_memfd(SIZE + 1, ALL_SEALS), COLLECTOR_SIZE);
	ck_refused(make_memfd(1ull << 40, ALL_SEALS), COLLECTOR_SIZE);
}
END_TEST

START_TEST(what_is_no_memfd_is_refused)
{
	int pipes[2], sockets[2], fd;
	char name[] = "/dev/shm/looplag-test-XXXXXX", path[] = "gate-test-XXXXXX";

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert(!gate_in_memory(pipes[0]));
	ck_refused(pipes[0], COLLECTOR_DESCRIPTOR);
	ck_refused(pipes[1], COLLECTOR_DESCRIPTOR);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	ck_refused(sockets[0], COLLECTOR_DESCRIPTOR);
	ck_refused(sockets[1], COLLECTOR_DESCRIPTOR);
	ck_refused(eventfd(0, 0), COLLECTOR_DESCRIPTOR);
	ck_refused(open("/", O_RDONLY | O_DIRECTORY), COLLECTOR_DESCRIPTOR);
	ck_refused(open("/dev/null", O_RDWR), COLLECTOR_DESCRIPTOR);
	ck_refused(open("/proc/self/maps", O_RDONLY), COLLECTOR_DESCRIPTOR);

	fd = mkstemp(path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	ck_refused(fd, COLLECTOR_DESCRIPTOR);

	/* With a name it is refused for that; without one it has no seals. */
	fd = mkstemp(name);
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	ck_refused(dup(fd), COLLECTOR_DESCRIPTOR);
	ck_assert_int_eq(unlink(name), 0);
	ck_refused(fd, COLLECTOR_SEALS);
}
END_TEST

START_TEST(a_memfd_that_cannot_be_read_is_refused)
{
	int fd = make_memfd(SIZE, ALL_SEALS);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_refused(open(path, O_PATH | O_CLOEXEC), COLLECTOR_DESCRIPTOR);
	ck_refused(open(path, O_WRONLY | O_CLOEXEC), COLLECTOR_DESCRIPTOR);
	close(fd);
}
END_TEST

START_TEST(a_memfd_of_huge_pages_is_refused)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	enum collector_reason why;

	if (fd < 0)
		return; /* this kernel has none */
	(void)!ftruncate(fd, 2 * SIZE);
	(void)fcntl(fd, F_ADD_SEALS, ALL_SEALS);
	ck_assert_int_eq(gate_check(fd, 2 * SIZE, &why), -EINVAL);
	ck_assert_int_eq(why, COLLECTOR_DESCRIPTOR);
	close(fd);
}
END_TEST

static void
set_up(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	hello = (struct segment_hello){
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.bytes = sizeof(hello),
		.segment_size = segment_size(64),
		.slot_count = 64,
		.id = {1, 2, 3},
	};
}

static void
tear_down(void)
{
	close(pair[0]);
	close(pair[1]);
}

static void
send_hello(const void *bytes, size_t size, const int *fds, unsigned count)
{
	static char control[CMSG_SPACE(253 * sizeof(int))];
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *rights;

	if (count) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(pair[0], &message, 0), (int)size);
}

static unsigned
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Closing may go on in a thread. */
static void
ck_descriptors_soon(unsigned count)
{
	time_t deadline = time(NULL) + 10;

	while (count_descriptors() != count && time(NULL) < deadline)
		usleep(1000);
	ck_assert_uint_eq(count_descriptors(), count);
}

static void
ck_hello_refused(enum collector_reason reason)
{
	enum collector_reason why = COLLECTOR_REASONS;
	struct segment_hello got;
	int fd;

	ck_assert_int_eq(hello_receive(pair[1], &got, &fd, &why), -EINVAL);
	ck_assert_int_eq(why, reason);
}

START_TEST(a_good_hello_is_taken)
{
	int fd = make_memfd(hello.segment_size, ALL_SEALS), got_fd = -1;
	enum collector_reason why;
	struct segment_hello got;

	ck_assert_int_eq(hello_receive(pair[1], &got, &got_fd, &why), -EAGAIN);
	send_hello(&hello, sizeof(hello), &fd, 1);
	ck_assert_int_eq(hello_receive(pair[1], &got, &got_fd, &why), 0);
	ck_assert_mem_eq(&got, &hello, sizeof(hello));
	ck_assert_int_ge(got_fd, 0);
	ck_assert_int_eq(fcntl(got_fd, F_GETFD), FD_CLOEXEC);
	close(got_fd);
	close(fd);
}
END_TEST

START_TEST(what_is_no_hello_is_refused)
{
	char longer[sizeof(hello) + 1] = {0};
	int fd = make_memfd(hello.segment_size, ALL_SEALS);
	unsigned before = count_descriptors();

	send_hello("hello", 5, &fd, 1);
	ck_hello_refused(COLLECTOR_HELLO);
	send_hello(&hello, sizeof(hello) / 2, &fd, 1);
	ck_hello_refused(COLLECTOR_HELLO);
	memcpy(longer, &hello, sizeof(hello));
	send_hello(longer, sizeof(longer), &fd, 1);
	ck_hello_refused(COLLECTOR_HELLO);
	hello.magic++;
	send_hello(&hello, sizeof(hello), &fd, 1);
	ck_hello_refused(COLLECTOR_HELLO);
	hello.magic--;
	hello.bytes--;
	send_hello(&hello, sizeof(hello), &fd, 1);
	ck_hello_refused(COLLECTOR_HELLO);
	close(pair[0]);
	ck_hello_refused(COLLECTOR_HELLO);
	ck_descriptors_soon(before - 1);
	close(fd);
}
END_TEST

START_TEST(another_version_is_refused_as_such)
{
	char longer[2 * sizeof(hello)] = {0};
	int fd = make_memfd(hello.segment_size, ALL_SEALS);

	hello.version = 0;
	send_hello(&hello, sizeof(hello), &fd, 1);
	ck_hello_refused(COLLECTOR_VERSION);
	hello.version = 2;
	hello.bytes = sizeof(longer);
	memcpy(longer, &hello, sizeof(hello));
	send_hello(longer, sizeof(longer), &fd, 1);
	ck_hello_refused(COLLECTOR_VERSION);
	close(fd);
}
END_TEST

START_TEST(one_descriptor_and_no_more_belongs_to_it)
{
	int fds[253];
	unsigned before = count_descriptors();

	send_hello(&hello, sizeof(hello), NULL, 0);
	ck_hello_refused(COLLECTOR_DESCRIPTOR);
	fds[0] = make_memfd(hello.segment_size, ALL_SEALS);
	for (unsigned i = 1; i < 253; i++)
		fds[i] = fds[0];
	for (unsigned count = 2; count <= 253;
		count = count < 5 ? count + 1 : 2 * count) {
		send_hello(&hello, sizeof(hello), fds, count);
		ck_hello_refused(COLLECTOR_DESCRIPTOR);
	}
	send_hello(&hello, sizeof(hello), fds, 253);
	ck_hello_refused(COLLECTOR_DESCRIPTOR);
	close(fds[0]);
	ck_descriptors_soon(before);
}
END_TEST

START_TEST(a_refused_pipe_is_closed)
{
	int pipes[2];
	unsigned before = count_descriptors();
	char byte;

	ck_assert_int_eq(pipe(pipes), 0);
	send_hello(&hello, sizeof(hello), &pipes[1], 1);
	close(pipes[1]);
	ck_hello_refused(COLLECTOR_DESCRIPTOR);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	ck_descriptors_soon(before);
}
END_TEST

START_TEST(a_size_that_cannot_be_is_refused)
{
	int fd = make_memfd(hello.segment_size, ALL_SEALS);
	static const uint32_t counts[] = {0, 63, 65, 1025, UINT32_MAX};

	for (unsigned i = 0; i < 5; i++) {
		hello.slot_count = counts[i];
		send_hello(&hello, sizeof(hello), &fd, 1);
		ck_hello_refused(COLLECTOR_SIZE);
		hello.segment_size = segment_size(counts[i]);
		send_hello(&hello, sizeof(hello), &fd, 1);
		ck_hello_refused(COLLECTOR_SIZE);
		hello.segment_size = segment_size(64);
	}
	close(fd);
}
END_TEST

START_TEST(without_room_for_descriptors_it_is_our_own_fault)
{
	int fd = make_memfd(hello.segment_size, ALL_SEALS);
	struct rlimit limit, none = {0};

	send_hello(&hello, sizeof(hello), &fd, 1);
	getrlimit(RLIMIT_NOFILE, &limit);
	none.rlim_max = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_hello_refused(COLLECTOR_RESOURCES);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(fd);
}
END_TEST

static struct segment_header
good_header(uint32_t slots)
{
	uint64_t size = segment_size(slots);
	struct segment_header header = {
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.compat_version = SEGMENT_COMPAT_VERSION,
		.size = size,
		.thread_count = slots,
		.slot_count = slots,
		.threads_offset = SEGMENT_PAGE,
		.slots_offset = (uint32_t)(size - SEGMENT_CAPTURE_BYTES - slots * 12288),
		.capture_offset = (uint32_t)(size - SEGMENT_CAPTURE_BYTES),
		.capture_bytes = SEGMENT_CAPTURE_BYTES,
	};

	memcpy(header.id, hello.id, sizeof(header.id));
	hello.slot_count = slots;
	hello.segment_size = size;
	return header;
}

START_TEST(a_good_header_is_taken)
{
	enum collector_reason why;

	for (uint32_t slots = 64; slots <= 1024; slots++) {
		struct segment_header header = good_header(slots);

		ck_assert_int_eq(hello_check_header(&hello, &header, &why), 0);
	}
}
END_TEST

START_TEST(a_newer_version_that_says_it_can_be_read_is_taken)
{
	struct segment_header header = good_header(64);
	enum collector_reason why;

	hello.version = header.version = 2;
	header.compat_version = 1;
	ck_assert_int_eq(hello_check_header(&hello, &header, &why), 0);
	header.compat_version = 2;
	ck_assert_int_eq(hello_check_header(&hello, &header, &why), -EINVAL);
	ck_assert_int_eq(why, COLLECTOR_VERSION);
}
END_TEST

START_TEST(a_lying_header_is_refused)
{
	static const struct {
		size_t offset;
		enum collector_reason reason;
	} words[] = {
		{offsetof(struct segment_header, magic), COLLECTOR_HEADER},
		{offsetof(struct segment_header, version), COLLECTOR_VERSION},
		{offsetof(struct segment_header, compat_version), COLLECTOR_VERSION},
		{offsetof(struct segment_header, size), COLLECTOR_SIZE},
		{offsetof(struct segment_header, id), COLLECTOR_HEADER},
		{offsetof(struct segment_header, thread_count), COLLECTOR_HEADER},
		{offsetof(struct segment_header, slot_count), COLLECTOR_SIZE},
		{offsetof(struct segment_header, threads_offset), COLLECTOR_HEADER},
		{offsetof(struct segment_header, slots_offset), COLLECTOR_HEADER},
		{offsetof(struct segment_header, capture_offset), COLLECTOR_HEADER},
		{offsetof(struct segment_header, capture_bytes), COLLECTOR_HEADER},
		{offsetof(struct segment_header, owner_word), COLLECTOR_HEADER},
	};
	static const uint32_t lies[] = {UINT32_MAX, 1, 4096, 0x80000000u, 12};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (unsigned j = 0; j < 5; j++) {
			struct segment_header header = good_header(64);
			enum collector_reason why = COLLECTOR_REASONS;
			uint32_t *word = (uint32_t *)((char *)&header + words[i].offset);

			*word += lies[j];
			if (words[i].offset ==
					offsetof(struct segment_header, owner_word) &&
				*word < 12)
				continue;
			if (words[i].reason == COLLECTOR_VERSION &&
				*word <= SEGMENT_VERSION)
				continue;
			ck_assert_int_eq(
				hello_check_header(&hello, &header, &why), -EINVAL);
			ck_assert_int_eq(why, words[i].reason);
		}
	}
}
END_TEST

START_TEST(random_headers_are_refused)
{
	struct segment_header header;
	enum collector_reason why;
	unsigned seed = 1;

	for (unsigned n = 0; n < 20000; n++) {
		for (size_t i = 0; i < sizeof(header); i += 4)
			memcpy((char *)&header + i, &(int){rand_r(&seed)}, 4);
		if (n & 1)
			header.magic = SEGMENT_MAGIC;
		if (n & 2)
			header.version = header.compat_version = SEGMENT_VERSION;
		ck_assert_int_eq(hello_check_header(&hello, &header, &why), -EINVAL);
		ck_assert_int_lt(why, COLLECTOR_REASONS);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gate");
	TCase *gate = tcase_create("gate"), *message = tcase_create("message");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(gate, a_sealed_memfd_passes);
	tcase_add_test(gate, what_could_still_be_truncated_is_refused);
	tcase_add_test(gate, another_size_is_refused);
	tcase_add_test(gate, what_is_no_memfd_is_refused);
	tcase_add_test(gate, a_memfd_that_cannot_be_read_is_refused);
	tcase_add_test(gate, a_memfd_of_huge_pages_is_refused);
	suite_add_tcase(suite, gate);
	tcase_set_timeout(message, 30);
	tcase_add_checked_fixture(message, set_up, tear_down);
	tcase_add_test(message, a_good_hello_is_taken);
	tcase_add_test(message, what_is_no_hello_is_refused);
	tcase_add_test(message, another_version_is_refused_as_such);
	tcase_add_test(message, one_descriptor_and_no_more_belongs_to_it);
	tcase_add_test(message, a_refused_pipe_is_closed);
	tcase_add_test(message, a_size_that_cannot_be_is_refused);
	tcase_add_test(message, without_room_for_descriptors_it_is_our_own_fault);
	tcase_add_test(message, a_good_header_is_taken);
	tcase_add_test(message, a_newer_version_that_says_it_can_be_read_is_taken);
	tcase_add_test(message, a_lying_header_is_refused);
	tcase_add_test(message, random_headers_are_refused);
	suite_add_tcase(suite, message);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
