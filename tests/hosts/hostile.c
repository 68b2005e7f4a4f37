/* SPDX-License-Identifier: MIT */
/*
 * Registers segments of its own making, and then does to them what no probe does, as fast
 * as it can, until it is killed.
 *
 * usage: hostile SOCKET HOW SEGMENTS [GROUP [UID]]
 *
 *	none       nothing: its loops wait for ever
 *	turns      what a probe does, at full speed
 *	random     random words anywhere but in what was checked at the door
 *	torn       never done with writing
 *	stuck      a writer that has stopped for good in the middle of it
 *	backwards  every counter goes down
 *	ones       every bit is set
 *	names      labels of all kinds, and new loops all the time
 *	stalls     every loop has been late for long, and is somebody else by turns
 *	members    all thread records are always held by others of its threads
 *
 * Each segment has 64 loops. GROUP is what it wants to be called; "%" in it becomes the
 * segment's number. Says "registered N" when it has tried them all: those that were refused
 * at once, as nobody listened or the queue was full, do not count.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "probes/segment.h"
#include "tests/hosts/clock.h"

#define SLOTS 64u
#define THREADS 16
#define FIRST_WORD (offsetof(struct segment_header, slots_used) / 4)

struct forged {
	struct segment_header *header;
	struct segment_thread *threads;
	struct segment_slot *slots;
};

static const char *path, *how, *group = "hostile";
static struct forged *forged;
static unsigned count;
static uint32_t tids[THREADS];
static uint64_t random_state = 88172645463325252ull;

static uint64_t
random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static bool
is(const char *name)
{
	return strcmp(how, name) == 0;
}

/* Group's name of a segment. */
static void
name_group(unsigned number, char name[SEGMENT_NAME_BYTES])
{
	const char *mark = strchr(group, '%');

	if (mark)
		snprintf(name, SEGMENT_NAME_BYTES, "%.*s%u%s", (int)(mark - group), group,
			number, mark + 1);
	else
		snprintf(name, SEGMENT_NAME_BYTES, "%s", group);
}

static void
fill(struct forged *f, unsigned number)
{
	uint64_t size = segment_size(SLOTS), now = now_ns();

	*f->header = (struct segment_header){
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.compat_version = SEGMENT_COMPAT_VERSION,
		.size = size,
		.pid = (uint32_t)getpid(),
		.thread_count = SLOTS,
		.slot_count = SLOTS,
		.threads_offset = SEGMENT_PAGE,
		.slots_offset = SEGMENT_PAGE + SLOTS * 64,
		.capture_offset = (uint32_t)(size - SEGMENT_CAPTURE_BYTES),
		.capture_bytes = SEGMENT_CAPTURE_BYTES,
		.created_ns = now,
		.exe = "hostile",
		.slots_used = SLOTS,
	};
	memcpy(f->header->id, &number, sizeof(number));
	memcpy(f->header->id + 4, &f->header->pid, 4);
	name_group(number, f->header->group);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct segment_slot *slot = &f->slots[i];

		f->threads[i].lock[0] = f->threads[i].tid = tids[i % THREADS];
		f->threads[i].generation = 1;
		slot->state = SEGMENT_ATTENDED | 1;
		slot->sequence = slot->iterations = 1;
		slot->last_ns = slot->born_ns = now;
		slot->kind = SEGMENT_KIND_CUSTOM;
		slot->life = 1;
		slot->thread = i;
		slot->descriptor = -1;
		sprintf(slot->label, is("names") ? "label%u" : "main", i);
	}
}

/* Returns whether the message was sent. */
static bool
send_hello(const struct forged *f, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct segment_hello hello = {
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.bytes = sizeof(hello),
		.segment_size = f->header->size,
		.clock_ns = now_ns(),
		.slot_count = SLOTS,
		.pid = f->header->pid,
	};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = &hello, .iov_len = sizeof(hello)};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool sent;

	memcpy(hello.id, f->header->id, sizeof(hello.id));
	memcpy(hello.exe, f->header->exe, sizeof(hello.exe));
	memcpy(hello.group, f->header->group, sizeof(hello.group));
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	strcpy(address.sun_path, path);
	sent = connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       sendmsg(sock, &message, MSG_NOSIGNAL) == sizeof(hello);
	close(sock);
	return sent;
}

static bool
forge(struct forged *f, unsigned number)
{
	uint64_t size = segment_size(SLOTS);
	int fd = memfd_create("looplag", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *map;
	bool sent;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		exit(1);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		exit(1);
	f->header = (struct segment_header *)map;
	f->threads = (struct segment_thread *)(map + SEGMENT_PAGE);
	f->slots = (struct segment_slot *)(map + SEGMENT_PAGE + SLOTS * 64);
	fill(f, number);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		exit(1);
	sent = send_hello(f, fd);
	close(fd);
	return sent;
}

static void *
be_a_thread(void *arg)
{
	__atomic_store_n(
		(uint32_t *)arg, (uint32_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

static void
make_threads(void)
{
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, be_a_thread, &tids[i]))
			exit(1);
		while (!__atomic_load_n(&tids[i], __ATOMIC_ACQUIRE))
			usleep(100);
	}
}

/* What a probe does, once. */
static void
turn(volatile struct segment_slot *slot)
{
	uint64_t start = now_ns(), end;

	slot->state = start;
	end = now_ns();
	slot->state = SEGMENT_ATTENDED | SEGMENT_UNTIL |
		      (slot->sequence + 1) << SEGMENT_UNTIL_SHIFT | 1;
	slot->iterations++;
	slot->events++;
	slot->active_ns += end - start;
	slot->last_ns = end;
	slot->sequence++;
}

static void
go_backwards(volatile struct segment_slot *slot)
{
	volatile uint64_t *counters = (volatile uint64_t *)&slot->iteration;

	slot->state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	slot->sequence++;
	slot->iterations--;
	slot->active_ns -= 1000000;
	slot->last_ns -= 1000;
	slot->events--;
	slot->other_waits--;
	slot->max_ns--;
	slot->nested_wait_ns--;
	slot->long_count--;
	for (unsigned i = 0; i < 40; i++)
		counters[random_number() % (sizeof(slot->iteration) / 8)]--;
	slot->state = SEGMENT_ATTENDED | 1;
}

static void
rename_loop(struct segment_slot *slot)
{
	static const char *const names[] = {"quoted \"name\"", "line\nfeed",
		"\xff\xfe\x80", "back\\slash\\", "\x1b[31mred", "}{,=", "", " ",
		"\xf0\x9f\xa6", "NaN"};
	uint64_t number = random_number();

	slot->life++;
	slot->sequence++;
	slot->born_ns = now_ns();
	if (number & 1)
		memset(slot->label, (int)(number >> 8), sizeof(slot->label));
	else if (number & 2)
		snprintf(slot->label, sizeof(slot->label), "l%llu",
			(unsigned long long)(number >> 8) % 100000);
	else
		strcpy(slot->label, names[(number >> 8) % 10]);
}

static void
stall(volatile struct segment_slot *slot)
{
	uint64_t now = now_ns();

	/* Most of the time late, and by turns it was another iteration. */
	slot->sequence++;
	slot->iterations++;
	slot->long_count += 33;
	slot->state = now - 1000000000 - random_number() % 1000000000;
}

static void
change_members(struct forged *f, unsigned index)
{
	f->threads[index].generation++;
	f->threads[index].lock[0] = f->threads[index].tid =
		tids[random_number() % THREADS];
}

static void
harm(struct forged *f)
{
	size_t words = segment_size(SLOTS) / 4;
	unsigned index = (unsigned)(random_number() % SLOTS);
	struct segment_slot *slot = &f->slots[index];

	if (is("turns")) {
		turn(slot);
	} else if (is("random")) {
		size_t word = FIRST_WORD + random_number() % (words - FIRST_WORD);

		/* Half of it where it matters. */
		if (random_number() & 1)
			word = (size_t)((uint32_t *)slot - (uint32_t *)f->header) +
			       random_number() % 64;
		((volatile uint32_t *)f->header)[word] =
			(uint32_t)random_number() >> random_number() % 32;
	} else if (is("torn")) {
		*(volatile uint64_t *)&slot->state =
			SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
		++*(volatile uint64_t *)&slot->sequence;
	} else if (is("backwards")) {
		go_backwards(slot);
	} else if (is("names")) {
		rename_loop(slot);
	} else if (is("stalls")) {
		stall(slot);
	} else if (is("members")) {
		change_members(f, index);
	} else {
		pause();
	}
}

/* What is done only once. */
static void
prepare(struct forged *f)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct segment_slot *slot = &f->slots[i];

		if (is("stuck")) {
			slot->state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
			slot->sequence++;
			slot->iterations += 1000000;
		} else if (is("ones")) {
			memset(slot, 0xff, sizeof(*slot));
		}
	}
	if (is("ones"))
		memset((uint32_t *)f->header + FIRST_WORD, 0xff,
			SEGMENT_PAGE - 4 * FIRST_WORD);
}

int
main(int argc, char *argv[])
{
	unsigned sent = 0;

	if (argc < 4)
		return 2;
	path = argv[1];
	how = argv[2];
	count = (unsigned)atoi(argv[3]);
	if (argc > 4)
		group = argv[4];
	if (argc > 5 && setresuid((uid_t)atoi(argv[5]), (uid_t)atoi(argv[5]),
				(uid_t)atoi(argv[5])))
		return 1;
	make_threads();
	forged = calloc(count, sizeof(*forged));
	for (unsigned i = 0; forged && i < count; i++)
		sent += forge(&forged[i], i);
	printf("registered %u\n", sent);
	fflush(stdout);
	for (unsigned i = 0; i < count; i++)
		prepare(&forged[i]);
	for (;;)
		harm(&forged[random_number() % count]);
}
