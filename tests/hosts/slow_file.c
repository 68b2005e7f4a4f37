/* SPDX-License-Identifier: MIT */
/*
 * A FUSE file system with one file, "slow", that takes whatever is written to it and is slow
 * to sync. Speaks to the kernel directly (see fuse(4) and linux/fuse.h): what is asked for
 * beside what a write and an fsync() need is refused.
 */

#include "slow_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_NODE 2

static union {
	struct fuse_in_header header;
	char bytes[1 << 20];
} request;

static void
answer(int device, int error, const void *data, size_t length)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + length),
		.error = -error,
		.unique = request.header.unique,
	};
	struct iovec parts[] = {{&out, sizeof(out)}, {(void *)(uintptr_t)data, length}};

	/* It fails when the asker is gone. */
	if (writev(device, parts, 2) < 0 && errno == ENODEV)
		_exit(EXIT_SUCCESS);
}

static struct fuse_attr
attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void
answer_one(int device, unsigned milliseconds)
{
	const void *argument = &request.header + 1;
	uint64_t node = request.header.nodeid;

	switch (request.header.opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *in = argument;
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION,
			.minor = in->minor < 31 ? in->minor : 31,
			.max_readahead = in->max_readahead,
			.max_write = 4096,
			.max_background = 4,
			.congestion_threshold = 4,
		};

		answer(device, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = {
			.nodeid = FILE_NODE,
			.attr = attributes(FILE_NODE),
		};

		answer(device, strcmp(argument, "slow") ? ENOENT : 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = {.attr = attributes(node)};

		answer(device, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};

		answer(device, 0, &out, sizeof(out));
		break;
	}
	case FUSE_WRITE: {
		const struct fuse_write_in *in = argument;
		struct fuse_write_out out = {.size = in->size};

		answer(device, 0, &out, sizeof(out));
		break;
	}
	case FUSE_FSYNC:
		usleep(milliseconds * 1000);
		answer(device, 0, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(device, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* not to be answered */
	default:
		answer(device, ENOSYS, NULL, 0);
	}
}

int
slow_file_open(const char *directory, unsigned milliseconds)
{
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char path[4096 + 8], text[128];

	snprintf(path, sizeof(path) - 8, "%s/slow", directory);
	if (device < 0 || mkdir(path, 0700) || unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("slow", path, "fuse", MS_NOSUID | MS_NODEV, text))
		return -1;
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (read(device, &request, sizeof(request)) > 0 || errno == EINTR ||
			errno == ENOENT)
			answer_one(device, milliseconds);
		_exit(EXIT_SUCCESS);
	}
	close(device);
	strcat(path, "/slow");
	return open(path, O_WRONLY | O_CLOEXEC);
}
