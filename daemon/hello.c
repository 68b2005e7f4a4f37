/* SPDX-License-Identifier: MIT */
/* The hello message and the header that must agree with it; see hello.h. */

#include "config.h"

#include "daemon/hello.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/gate.h"

#define DESCRIPTORS_MAX 253 /* the kernel's own limit for one message */

struct received {
	union {
		struct segment_hello hello;
		char bytes[sizeof(struct segment_hello) +
			   1]; /* to see that it is longer */
	};
	size_t size;
	int fds[DESCRIPTORS_MAX];
	unsigned fd_count;
	bool truncated;
};

static int
refuse(enum collector_reason reason, enum collector_reason *ret_reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

/* Take what the connection has. Returns 0 or -errno. */
static int
receive(int connection, struct received *ret)
{
	union {
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = ret->bytes, .iov_len = sizeof(ret->bytes)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t size = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (size < 0)
		return -errno;
	ret->size = (size_t)size;
	ret->truncated = message.msg_flags & MSG_CTRUNC;
	ret->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c;
		c = CMSG_NXTHDR(&message, c)) {
		unsigned count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (count > DESCRIPTORS_MAX - ret->fd_count)
			count = DESCRIPTORS_MAX - ret->fd_count;
		memcpy(&ret->fds[ret->fd_count], CMSG_DATA(c), count * sizeof(int));
		ret->fd_count += count;
	}
	return 0;
}

static int
check_message(const struct received *received, enum collector_reason *ret_reason)
{
	const struct segment_hello *hello = &received->hello;

	if (received->size < offsetof(struct segment_hello, segment_size) ||
		hello->magic != SEGMENT_MAGIC)
		return refuse(COLLECTOR_HELLO, ret_reason);
	if (hello->version < SEGMENT_VERSION)
		return refuse(COLLECTOR_VERSION, ret_reason);
	if (received->size != sizeof(*hello) || hello->bytes != sizeof(*hello))
		return refuse(hello->version == SEGMENT_VERSION ? COLLECTOR_HELLO
								: COLLECTOR_VERSION,
			ret_reason);
	if (received->fd_count == 0 && received->truncated)
		return refuse(COLLECTOR_RESOURCES, ret_reason);
	if (received->fd_count != 1 || received->truncated)
		return refuse(COLLECTOR_DESCRIPTOR, ret_reason);
	if (hello->slot_count < SEGMENT_SLOTS_DEFAULT ||
		hello->slot_count > SEGMENT_SLOTS_MAX ||
		hello->segment_size != segment_size(hello->slot_count))
		return refuse(COLLECTOR_SIZE, ret_reason);
	return gate_check(received->fds[0], hello->segment_size, ret_reason);
}

static uid_t
find_user(int connection)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);

	(void)getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.uid;
}

int
hello_receive(int connection, struct segment_hello *ret_hello, int *ret_fd,
	enum collector_reason *ret_reason)
{
	struct received received;
	int r = receive(connection, &received);

	if (r == -EAGAIN || r == -EINTR)
		return -EAGAIN;
	if (r < 0)
		return refuse(COLLECTOR_HELLO, ret_reason);
	r = check_message(&received, ret_reason);
	if (r < 0) {
		for (unsigned i = 0; i < received.fd_count; i++)
			closer_close(received.fds[i], find_user(connection));
		return r;
	}
	*ret_hello = received.hello;
	*ret_fd = received.fds[0];
	return 0;
}

int
hello_check_header(const struct segment_hello *hello, const struct segment_header *header,
	enum collector_reason *ret_reason)
{
	uint32_t slots = header->slot_count;

	if (header->magic != SEGMENT_MAGIC)
		return refuse(COLLECTOR_HEADER, ret_reason);
	if (header->version != hello->version || header->compat_version > SEGMENT_VERSION)
		return refuse(COLLECTOR_VERSION, ret_reason);
	if (header->size != hello->segment_size || slots != hello->slot_count ||
		slots < SEGMENT_SLOTS_DEFAULT || slots > SEGMENT_SLOTS_MAX ||
		header->size != segment_size(slots))
		return refuse(COLLECTOR_SIZE, ret_reason);
	if (header->thread_count != slots || header->threads_offset != SEGMENT_PAGE ||
		header->capture_bytes != SEGMENT_CAPTURE_BYTES ||
		header->capture_offset != header->size - SEGMENT_CAPTURE_BYTES ||
		header->slots_offset !=
			header->capture_offset - slots * sizeof(struct segment_slot) ||
		header->owner_word >= SEGMENT_LOCK_BYTES / 4 ||
		memcmp(header->id, hello->id, sizeof(header->id)) != 0)
		return refuse(COLLECTOR_HEADER, ret_reason);
	return 0;
}

struct segment_hello
hello_of_header(const struct segment_header *header)
{
	struct segment_hello hello = {
		.magic = SEGMENT_MAGIC,
		.version = header->version,
		.bytes = sizeof(hello),
		.segment_size = header->size,
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
