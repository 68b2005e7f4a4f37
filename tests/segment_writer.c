/* SPDX-License-Identifier: MIT */
/* Writers for tests; see segment_writer.h. */

#include "config.h"

#include "tests/segment_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "probes/slots.h"

/* Where glibc's robust mutex has the owner's tid. */
#define OWNER_WORD 0

struct command {
	enum {
		COMMAND_THREAD,
		COMMAND_END_THREAD,
		COMMAND_FORK,
		COMMAND_OPEN,
		COMMAND_CLOSE,
		COMMAND_REGISTER,
	} kind;
	int number;
	char name[16];
	struct writer other;
};

uint64_t
writer_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct writer
writer_make(void)
{
	uint64_t size = segment_size(WRITER_SLOTS);
	struct writer writer = {.commands = -1};
	char *memory;

	writer.fd = memfd_create("looplag", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(writer.fd, 0);
	ck_assert_int_eq(ftruncate(writer.fd, (off_t)size), 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, writer.fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(
		fcntl(writer.fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		0);
	writer.header = (struct segment_header *)memory;
	*writer.header = (struct segment_header){
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.compat_version = SEGMENT_COMPAT_VERSION,
		.size = size,
		.pid = (uint32_t)getpid(),
		.thread_count = WRITER_SLOTS,
		.slot_count = WRITER_SLOTS,
		.threads_offset = SEGMENT_PAGE,
		.slots_offset = 2 * SEGMENT_PAGE,
		.capture_offset = (uint32_t)size - SEGMENT_CAPTURE_BYTES,
		.capture_bytes = SEGMENT_CAPTURE_BYTES,
		.owner_word = OWNER_WORD,
		.created_ns = writer_now_ns(),
		.exe = "writer",
		.wakes = 1,
	};
	ck_assert_int_eq(getrandom(writer.header->id, 16, 0), 16);
	writer.threads = (struct segment_thread *)(memory + SEGMENT_PAGE);
	writer.slots = (struct segment_slot *)(memory + 2 * SEGMENT_PAGE);
	return writer;
}

struct segment_hello
writer_hello(const struct writer *writer)
{
	const struct segment_header *header = writer->header;
	struct segment_hello hello = {
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.bytes = sizeof(hello),
		.segment_size = header->size,
		.clock_ns = writer_now_ns(),
		.slot_count = header->slot_count,
		.pid = header->pid,
		.runtime = header->runtime,
		.registrations = header->registrations,
	};

	memcpy(hello.id, header->id, sizeof(hello.id));
	memcpy(hello.exe, header->exe, sizeof(hello.exe));
	memcpy(hello.group, header->group, sizeof(hello.group));
	return hello;
}

int
writer_send(const char *path, const void *hello, size_t size, int fd, unsigned count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	static char control[CMSG_SPACE(253 * sizeof(int))];
	struct iovec iov = {.iov_base = (void *)hello, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
	if (count) {
		struct cmsghdr *rights;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned i = 0; i < count; i++)
			((int *)CMSG_DATA(rights))[i] = fd;
	}
	if (sendmsg(sock, &message, MSG_NOSIGNAL) != (ssize_t)size)
		abort();
	return sock;
}

/* The calling thread takes a record, for as long as it lives. */
static void
lock_record(struct writer *writer, unsigned record)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)writer->threads[record].lock;
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pthread_mutex_init(mutex, &attr) || pthread_mutex_lock(mutex))
		abort();
	writer->threads[record].tid = (uint32_t)syscall(SYS_gettid);
	writer->threads[record].generation++;
}

struct thread {
	struct writer *writer;
	struct command command;
	int tid;
	int end;
};

static void *
run_thread(void *arg)
{
	struct thread *thread = arg;

	prctl(PR_SET_NAME, thread->command.name);
	lock_record(thread->writer, (unsigned)thread->command.number);
	__atomic_store_n(&thread->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&thread->end, __ATOMIC_ACQUIRE))
		usleep(1000);
	return NULL;
}

static struct thread thread;
static pthread_t thread_handle;

static int
start_thread(struct writer *writer, const struct command *command)
{
	thread = (struct thread){writer, *command, 0, 0};
	if (pthread_create(&thread_handle, NULL, run_thread, &thread))
		abort();
	while (!__atomic_load_n(&thread.tid, __ATOMIC_ACQUIRE))
		usleep(100);
	return thread.tid;
}

/* Where a child finds the number of the record to take, and 1 more. */
static uint32_t *
child_order(const struct writer *writer)
{
	return (uint32_t *)((char *)writer->header + writer->header->capture_offset);
}

/* A child that takes records when it is told to. */
static int
start_child(struct writer *writer)
{
	pid_t pid = fork();
	uint32_t order;

	if (pid)
		return pid;
	close(writer->commands);
	for (;;) {
		order = __atomic_load_n(child_order(writer), __ATOMIC_ACQUIRE);
		if (order) {
			lock_record(writer, order - 1);
			__atomic_store_n(child_order(writer), 0, __ATOMIC_RELEASE);
		}
		usleep(1000);
	}
}

static int
obey(struct writer *writer, const char *path, const struct command *command)
{
	struct segment_hello hello;

	switch (command->kind) {
	case COMMAND_THREAD:
		return start_thread(writer, command);
	case COMMAND_END_THREAD:
		__atomic_store_n(&thread.end, 1, __ATOMIC_RELEASE);
		return pthread_join(thread_handle, NULL);
	case COMMAND_FORK:
		return start_child(writer);
	case COMMAND_OPEN:
		return epoll_create1(EPOLL_CLOEXEC);
	case COMMAND_CLOSE:
		return close(command->number);
	case COMMAND_REGISTER:
		hello = writer_hello(&command->other);
		return close(
			writer_send(path, &hello, sizeof(hello), command->other.fd, 1));
	}
	abort();
}

/* The life of a writer's process. */
static void
run(struct writer *writer, const char *path, const char *name)
{
	struct segment_hello hello;
	struct command command;
	int answer = 0;

	prctl(PR_SET_NAME, name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	writer->header->pid = (uint32_t)getpid();
	lock_record(writer, 0);
	hello = writer_hello(writer);
	close(writer_send(path, &hello, sizeof(hello), writer->fd, 1));
	do {
		if (write(writer->commands, &answer, sizeof(answer)) != sizeof(answer))
			_exit(1);
		if (read(writer->commands, &command, sizeof(command)) != sizeof(command))
			_exit(0);
		answer = obey(writer, path, &command);
	} while (1);
}

void
writer_start(struct writer *writer, const char *path, const char *command)
{
	int pair[2], answer;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	writer->pid = fork();
	if (writer->pid == 0) {
		close(pair[0]);
		writer->commands = pair[1];
		run(writer, path, command);
	}
	close(pair[1]);
	writer->commands = pair[0];
	ck_assert_int_eq(read(pair[0], &answer, sizeof(answer)), sizeof(answer));
}

static int
tell(struct writer *writer, const struct command *command)
{
	int answer;

	ck_assert_int_eq(
		write(writer->commands, command, sizeof(*command)), sizeof(*command));
	ck_assert_int_eq(read(writer->commands, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

int
writer_thread(struct writer *writer, unsigned record, const char *name)
{
	struct command command = {.kind = COMMAND_THREAD, .number = (int)record};

	snprintf(command.name, sizeof(command.name), "%s", name);
	return tell(writer, &command);
}

void
writer_end_thread(struct writer *writer)
{
	tell(writer, &(struct command){.kind = COMMAND_END_THREAD});
}

pid_t
writer_fork(struct writer *writer)
{
	return tell(writer, &(struct command){.kind = COMMAND_FORK});
}

void
writer_let_child_claim(struct writer *writer, unsigned record)
{
	__atomic_store_n(child_order(writer), record + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(child_order(writer), __ATOMIC_ACQUIRE))
		usleep(1000);
}

int
writer_open(struct writer *writer)
{
	return tell(writer, &(struct command){.kind = COMMAND_OPEN});
}

void
writer_close(struct writer *writer, int fd)
{
	tell(writer, &(struct command){.kind = COMMAND_CLOSE, .number = fd});
}

void
writer_register(struct writer *writer, const struct writer *other)
{
	tell(writer, &(struct command){.kind = COMMAND_REGISTER, .other = *other});
}

void
writer_kill(struct writer *writer)
{
	if (writer->commands < 0)
		return;
	kill(writer->pid, SIGKILL);
	ck_assert_int_eq(waitpid(writer->pid, NULL, 0), writer->pid);
	close(writer->commands);
	writer->commands = -1;
}

void
writer_free(struct writer *writer)
{
	writer_kill(writer);
	munmap(writer->header, segment_size(WRITER_SLOTS));
	close(writer->fd);
}

/* As a probe does: there is news. */
static void
announce(struct writer *writer, struct segment_slot *slot, uint64_t now_ns)
{
	slot->round = now_ns >> SEGMENT_ROUND_SHIFT;
	__atomic_fetch_add(&writer->header->wakes, 1, __ATOMIC_RELEASE);
}

void
writer_begin(struct writer *writer, unsigned index, unsigned record, int descriptor)
{
	struct segment_slot *slot = &writer->slots[index];

	if (slot->born_ns)
		slot->past_life_ns +=
			(slot->ended_ns ? slot->ended_ns : slot->last_ns) - slot->born_ns;
	slot->thread = record;
	slot->kind = SEGMENT_KIND_EPOLL;
	slot->descriptor = descriptor;
	slot->life++;
	slot->born_ns = slot->last_ns = writer_now_ns();
	slot->ended_ns = 0;
	slot->sequence++;
	announce(writer, slot, slot->born_ns);
	__atomic_store_n(&slot->state, SEGMENT_ATTENDED | 1, __ATOMIC_RELEASE);
	if (writer->header->slots_used <= index)
		writer->header->slots_used = index + 1;
}

void
writer_wake(struct writer *writer, unsigned index)
{
	struct segment_slot *slot = &writer->slots[index];
	uint64_t now_ns = writer_now_ns();

	slot->events++;
	if (slot->round != now_ns >> SEGMENT_ROUND_SHIFT)
		announce(writer, slot, now_ns);
	__atomic_store_n(&slot->state, now_ns, __ATOMIC_RELEASE);
}

/* Write an iteration, as the thread that has just begun to wait does. */
static void
record(struct segment_slot *slot, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t length_ns = now_ns - since_ns;

	__atomic_store_n(
		&slot->state, slots_attended_until_update(slot), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	slot->iterations++;
	slot->active_ns += length_ns;
	if (length_ns > slot->max_ns)
		slot->max_ns = length_ns;
	slot->last_ns = now_ns;
	histogram_record(&slot->iteration, length_ns);
	if (length_ns >= SEGMENT_LONG_NS)
		slot->ring[slot->long_count++ % SEGMENT_RING] =
			(struct segment_long){since_ns, length_ns, 0, slot->iterations};
	slots_count_update(slot);
}

void
writer_wait(struct writer *writer, unsigned index)
{
	record(&writer->slots[index], writer->slots[index].state, writer_now_ns());
}

void
writer_turn(struct writer *writer, unsigned index)
{
	uint64_t now_ns = writer_now_ns();

	record(&writer->slots[index], now_ns, now_ns);
}

void
writer_iterate(struct writer *writer, unsigned index, uint64_t length_ns)
{
	struct segment_slot *slot = &writer->slots[index];
	uint64_t end_ns;

	writer_wake(writer, index);
	end_ns = slot->state + length_ns;
	while (writer_now_ns() < end_ns)
		;
	record(slot, slot->state, end_ns);
}
