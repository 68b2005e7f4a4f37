/* SPDX-License-Identifier: MIT */
/*
 * Hostile guests on the probe socket: any message with any descriptors, several at once,
 * some gone before they are heard, some silent. Each is let in or refused, once; no
 * descriptor stays behind; and an honest one is let in after them all.
 *
 *	1 byte   how many guests; and of each:
 *	1 byte   whether it hangs up, and whether its hello and segment are good to begin with
 *	1 byte   how many descriptors, each a byte: which
 *	1 byte   how many patches of hello and header: where, and a number
 *	1 byte   how much longer or shorter the message is
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/hello.h"
#include "daemon/naming.h"
#include "daemon/reception.h"
#include "daemon/stalls.h"
#include "daemon/target.h"
#include "daemon/targets.h"
#include "tests/fuzz/fuzz.h"

#define GUESTS_MAX 4u
#define FDS_MAX 6u
#define FDS_LOOKED_AT 64
#define SLOTS SEGMENT_SLOTS_DEFAULT

enum { SEGMENT, UNSEALED, SHORT, WRITE_ONLY, PATH, NULL_DEVICE, PIPE, DIRECTORY, KINDS };

static int descriptors[KINDS], listener, always_readable;
static struct segment_header *header; /* of SEGMENT */
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct segment_header good_header;
static struct event_loop *loop;
static struct collector_stats stats;
static struct targets *targets;
static unsigned in_hand;

/* In this thread, so that it is done when the input is. */
void
__wrap_closer_close(int fd);
void
__wrap_closer_close(int fd)
{
	close(fd);
}

static int
make_memfd(uint64_t size, bool sealed)
{
	int fd = memfd_create("looplag", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	fuzz_check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	fuzz_check(!sealed || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void
listen_somewhere(void)
{
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* An abstract name is gone with the process. */
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
		"looplag-fuzz-handshake-%d", (int)getpid());
	fuzz_check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	fuzz_check(listen(listener, 64) == 0);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	uint64_t size = segment_size(SLOTS);
	char path[32];
	int pipes[2];

	(void)argc, (void)argv;
	fuzz_check(pipe2(pipes, O_CLOEXEC) == 0);
	descriptors[PIPE] = pipes[0];
	descriptors[SEGMENT] = make_memfd(size, true);
	descriptors[UNSEALED] = make_memfd(size, false);
	descriptors[SHORT] = make_memfd(size - SEGMENT_PAGE, true);
	descriptors[DIRECTORY] = open("/", O_RDONLY | O_CLOEXEC);
	descriptors[NULL_DEVICE] = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptors[SEGMENT]);
	descriptors[WRITE_ONLY] = open(path, O_WRONLY | O_CLOEXEC);
	descriptors[PATH] = open(path, O_PATH | O_CLOEXEC);
	header = mmap(NULL, SEGMENT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		descriptors[SEGMENT], 0);
	fuzz_check(header != MAP_FAILED);
	good_header = (struct segment_header){
		.magic = SEGMENT_MAGIC,
		.version = SEGMENT_VERSION,
		.compat_version = SEGMENT_COMPAT_VERSION,
		.size = size,
		.pid = (uint32_t)getpid(),
		.thread_count = SLOTS,
		.slot_count = SLOTS,
		.threads_offset = SEGMENT_PAGE,
		.slots_offset = 2 * SEGMENT_PAGE,
		.capture_offset = (uint32_t)size - SEGMENT_CAPTURE_BYTES,
		.capture_bytes = SEGMENT_CAPTURE_BYTES,
		.exe = "fuzz",
	};
	listen_somewhere();
	loop = event_loop_new();
	always_readable = eventfd(1, EFD_CLOEXEC);
	fuzz_check(loop && always_readable >= 0);
	return 0;
}

/* Connect and send. Returns the connection. */
static int
send_hello(const void *hello, size_t size, const int *fds, unsigned count)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = "";
	struct iovec iov = {(void *)hello, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	fuzz_check(
		connect(connection, (struct sockaddr *)&address, sizeof(address)) == 0);
	if (count) {
		struct cmsghdr *rights = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	/* An empty message is none. */
	if (size)
		fuzz_check(sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)size);
	return connection;
}

static void
patch(struct fuzz_input *input, struct segment_hello *hello)
{
	uint8_t where = fuzz_byte(input);
	uint64_t number = fuzz_number(input, segment_size(SLOTS));

	if (where < 64)
		memcpy((char *)hello + 4 * where, &number, where < 63 ? 8 : 4);
	else
		memcpy((char *)header + 4 * (where - 64), &number, 8);
}

/* A guest as the input has it. Returns its connection; -1: it has hung up. */
static int
send_guest(struct fuzz_input *input)
{
	uint8_t how = fuzz_byte(input);
	unsigned count = fuzz_byte(input) % (FDS_MAX + 1), patches;
	char message[512] = "";
	struct segment_hello hello;
	int fds[FDS_MAX], connection;
	size_t size = sizeof(hello);

	for (unsigned i = 0; i < count; i++)
		fds[i] = descriptors[fuzz_byte(input) % KINDS];
	hello = hello_of_header(&good_header);
	hello.clock_ns = event_now_ns();
	patches = fuzz_byte(input) % 8;
	for (unsigned i = 0; i < patches; i++)
		patch(input, &hello);
	memcpy(message, &hello, sizeof(hello));
	if (how & 2)
		size = fuzz_byte(input) * 2;
	connection = send_hello(message, size, fds, count);
	if (how & 1) {
		close(connection);
		return -1;
	}
	return connection;
}

static void
refuse(void *arg, enum collector_reason reason, uid_t uid)
{
	(void)arg;
	fuzz_check(reason < COLLECTOR_REASONS && uid == getuid());
	stats.rejected[reason]++;
}

static void
admit(void *arg, const struct reception_guest *guest)
{
	enum collector_reason reason;

	if (targets_admit(targets, guest, &reason) < 0)
		refuse(arg, reason, guest->uid);
}

static void
set_in_hand(void *arg, unsigned connections)
{
	(void)arg;
	in_hand = connections;
}

static uint64_t
count_heard(void)
{
	uint64_t sum = stats.targets;

	for (int i = 0; i < COLLECTOR_REASONS; i++)
		sum += stats.rejected[i];
	return sum;
}

/* Called once a round of the loop; all others of the first round come before the second. */
static void
end_round(void *arg)
{
	unsigned *rounds = arg;

	if (++*rounds == 2)
		event_loop_stop(loop);
}

/* Hear what there is to hear. */
static void
run_loop(void)
{
	unsigned rounds = 0;
	struct event_watch *end =
		event_readable(loop, always_readable, end_round, &rounds);

	fuzz_check(end && event_loop_run(loop) == 0);
	event_watch_free(end);
}

/* A number for the set of descriptors that are open. */
static uint64_t
open_descriptors(void)
{
	uint64_t set = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		set |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
	return set;
}

static void
receive_all(struct fuzz_input *input)
{
	int connections[GUESTS_MAX + 1];
	unsigned count = fuzz_byte(input) % (GUESTS_MAX + 1);
	struct segment_hello hello;
	uint64_t admitted;

	*header = good_header;
	for (unsigned i = 0; i < count; i++)
		connections[i] = send_guest(input);
	run_loop();
	fuzz_check(count_heard() <= count);
	*header = good_header;
	fuzz_check(getrandom(header->id, sizeof(header->id), 0) == sizeof(header->id));
	hello = hello_of_header(header);
	admitted = stats.targets;
	connections[count] = send_hello(&hello, sizeof(hello), &descriptors[SEGMENT], 1);
	run_loop();
	run_loop();
	fuzz_check(stats.targets == admitted + 1);
	for (unsigned i = 0; i <= count; i++)
		if (connections[i] >= 0)
			close(connections[i]);
	/* The silent ones have hung up by now. */
	run_loop();
	fuzz_check(count_heard() == count + 1 && !in_hand);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct naming naming = {.ignore_units = true};
	const struct reception_calls calls = {admit, refuse, set_in_hand, NULL};
	struct fuzz_input input = {data, size};
	struct target_stalls stalls = {.threshold_ns = 100000000,
		.tick_ns = 25000000,
		.rest_ns = 75000000,
		.stalls = stalls_new()};
	struct groups *groups = groups_new();
	struct reception *reception;
	uint64_t open = open_descriptors();

	stats = (struct collector_stats){0};
	targets = targets_new(loop, groups, &naming, &stalls, &stats, NULL);
	fuzz_check(groups && targets && stalls.stalls);
	fuzz_check(reception_open(loop, listener, NULL, &calls, &reception) == 0);
	receive_all(&input);
	reception_close(reception);
	targets_free(targets);
	stalls_free(stalls.stalls);
	groups_free(groups);
	fuzz_check(open_descriptors() == open);
	return 0;
}
