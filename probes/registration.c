/* SPDX-License-Identifier: MIT */
/* The memfd, its seals, and the one message to the daemon. */

#include "probes/registration.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Newer than the headers of the systems that we build on. */
#define MEMFD_CLOEXEC 1u
#define MEMFD_ALLOW_SEALING 2u
#define MEMFD_NOEXEC_SEAL 8u
#define SEALS (1 | 2 | 4 | 16) /* SEAL, SHRINK, GROW, FUTURE_WRITE */
#define SEALS_BEFORE_5_1 (1 | 2 | 4)

static int
make_memfd(uint64_t size)
{
	unsigned flags = MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING;
	struct rlimit limit;
	int fd;

	/* Beyond this limit ftruncate would raise SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) ||
		(limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < size))
		return -1;
	fd = (int)syscall(SYS_memfd_create, "looplag", flags | MEMFD_NOEXEC_SEAL);
	if (fd < 0)
		fd = (int)syscall(SYS_memfd_create, "looplag", flags);
	if (fd >= 0 && ftruncate(fd, (off_t)size)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Seal the file against everything but writes through the map that exists. */
static int
seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) && fcntl(fd, F_ADD_SEALS, SEALS_BEFORE_5_1)
		       ? -1
		       : 0;
}

/* Send the hello with the descriptor, if that can be done without waiting. */
static void
send_hello(const struct registration *registration, const struct segment_hello *hello,
	int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = (void *)hello, .iov_len = sizeof(*hello)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights;
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0)
		return;
	memset(&control, 0, sizeof(control));
	rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	memcpy(address.sun_path, registration->settings.socket, sizeof(address.sun_path));
	if (connect(sock, (const struct sockaddr *)&address, sizeof(address)) == 0)
		(void)sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(sock);
}

/* Sixteen bytes that no other segment of this host has. */
static void
make_id(uint8_t id[16], uint64_t now_ns)
{
	uint64_t fallback[2] = {now_ns, (uint64_t)getpid()};

	if (syscall(SYS_getrandom, id, 16, 1 /* GRND_NONBLOCK */) != 16)
		memcpy(id, fallback, 16);
}

static void
describe(const struct registration *registration, uint64_t now_ns,
	struct segment_header *header, struct segment_hello *ret_hello)
{
	const struct settings *settings = &registration->settings;

	memcpy(header->id, registration->id, sizeof(header->id));
	header->pid = (uint32_t)getpid();
	header->runtime = registration->runtime;
	header->registrations = registration->count;
	header->created_ns = now_ns;
	memcpy(header->exe, settings->exe, sizeof(header->exe));
	memcpy(header->group, settings->group, sizeof(header->group));
	if (settings->no_stacks)
		header->helper = SEGMENT_HELPER_REFUSED;

	*ret_hello = (struct segment_hello){
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.bytes = sizeof(*ret_hello),
		.segment_size = header->size,
		.clock_ns = now_ns,
		.slot_count = header->slot_count,
		.pid = header->pid,
		.runtime = header->runtime,
		.registrations = header->registrations,
	};
	memcpy(ret_hello->id, header->id, sizeof(ret_hello->id));
	memcpy(ret_hello->exe, header->exe, sizeof(ret_hello->exe));
	memcpy(ret_hello->group, header->group, sizeof(ret_hello->group));
}

int
registration_make(
	struct registration *registration, uint64_t now_ns, struct segment *ret_segment)
{
	uint64_t size = segment_size(registration->settings.slots);
	struct segment_hello hello;
	void *memory;
	int fd = make_memfd(size);

	if (fd < 0)
		return -1;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED || seal(fd)) {
		if (memory != MAP_FAILED)
			munmap(memory, size);
		close(fd);
		return -1;
	}
	(void)madvise(memory, size, MADV_DONTDUMP);
	if (registration->pid != getpid())
		make_id(registration->id, now_ns);
	registration->pid = getpid();
	*ret_segment = slots_format(
		memory, registration->settings.slots, registration->owner_word);
	describe(registration, now_ns, ret_segment->header, &hello);
	send_hello(registration, &hello, fd);
	registration->count++;
	close(fd);
	return 0;
}

void
registration_try(struct registration *registration, uint64_t now_ns)
{
	struct segment segment;
	struct msghdr message = {.msg_iovlen = 0};

	/* Where no socket can be. */
	memset(registration->settings.socket, 0, sizeof(registration->settings.socket));
	registration->settings.socket[0] = '/';
	(void)registration_make(registration, now_ns, &segment);
	(void)sendmsg(-1, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
