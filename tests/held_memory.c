/* SPDX-License-Identifier: MIT */
/* Waits for a page for ever, with the memory map locked; see held_memory.h. */

#include "config.h"

#include "tests/held_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define FILE_NODE 2

static int device;
static union {
	struct fuse_in_header header;
	char bytes[FUSE_MIN_READ_BUFFER + PAGE];
} request;

static void
answer(int error, const void *data, size_t size)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + size),
		.error = -error,
		.unique = request.header.unique,
	};
	const struct iovec parts[] = {{&header, sizeof(header)}, {(void *)data, size}};

	(void)!writev(device, parts, 2);
}

/* The directory has one file, of which nothing is ever read. */
static void
answer_one(void)
{
	const struct fuse_attr file = {
		.ino = FILE_NODE, .size = PAGE, .mode = S_IFREG | 0600, .nlink = 1};
	const struct fuse_attr root = {.ino = 1, .mode = S_IFDIR | 0700, .nlink = 2};
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE};
	const struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = file};
	const struct fuse_attr_out attr = {
		.attr = request.header.nodeid == 1 ? root : file};
	const struct fuse_open_out opened = {0};

	switch (request.header.opcode) {
	case FUSE_INIT:
		answer(0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		answer(0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(ENOSYS, NULL, 0);
	}
}

static void
serve(void)
{
	while (read(device, &request, sizeof(request)) > 0 || errno == EINTR ||
		errno == ENOENT)
		answer_one();
	_exit(EXIT_SUCCESS);
}

/* Read the page that never comes, by the way that keeps the map locked. */
static void *
read_page(void *page)
{
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char byte;

	(void)!pread(memory, &byte, 1, (off_t)page);
	return NULL;
}

/* Change the map again and again: at last that waits, and all others with it. */
static void *
change_map(void *arg)
{
	for (;;) {
		void *room =
			mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (room != MAP_FAILED)
			munmap(room, PAGE);
	}
	return NULL;
}

static void
hold(const char *directory)
{
	char text[128], path[4096];
	pthread_t reader, changer;
	void *page;
	int file;

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (device < 0 || unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("held", directory, "fuse", MS_NOSUID | MS_NODEV, text))
		_exit(EXIT_FAILURE);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve();
	}
	/* With the server the file system ends, and whoever waits for it. */
	close(device);
	snprintf(path, sizeof(path), "%s/page", directory);
	file = open(path, O_RDONLY | O_CLOEXEC);
	page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	if (file < 0 || page == MAP_FAILED ||
		pthread_create(&reader, NULL, read_page, page) ||
		pthread_create(&changer, NULL, change_map, NULL))
		_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

pid_t
held_memory_start(const char *directory)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hold(directory);
	}
	for (int i = 0; pid > 0 && i < 10; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return -1;
		if (held_memory_holds(pid))
			return pid;
	}
	if (pid > 0)
		held_memory_end(pid);
	return -1;
}

bool
held_memory_holds(pid_t pid)
{
	char path[64], byte;
	int status = 0, fd;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	child = fork();
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(1);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		(void)!read(fd, &byte, 1);
		_exit(EXIT_SUCCESS);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

void
held_memory_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
