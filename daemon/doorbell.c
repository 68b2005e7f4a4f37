/* SPDX-License-Identifier: MIT */
/* The daemon's side of the doorbell; see doorbell.h. */

#include "config.h"

#include "daemon/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probes/segment.h"

_Static_assert(SEGMENT_BELLS == UINT8_MAX + 1, "every byte names a bell");

struct doorbell {
	struct segment_doorbell *page;
};

/* Open the file, whole and ours. Returns its descriptor or -errno. */
static int
open_file(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EINVAL
									   : -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -EINVAL;
	else if (st.st_uid != geteuid())
		r = -EPERM;
	/* The umask may have taken from it what targets need. Blocks are set aside now: a
	 * full file system must not kill us at the first write. */
	else if (fchmod(fd, 0644) < 0 || ftruncate(fd, SEGMENT_PAGE) < 0)
		r = -errno;
	else
		r = -posix_fallocate(fd, 0, SEGMENT_PAGE);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int
doorbell_open(const char *path, struct doorbell **ret_doorbell)
{
	struct doorbell *doorbell = calloc(1, sizeof(*doorbell));
	int fd, r = 0;

	if (!doorbell)
		return -ENOMEM;
	fd = open_file(path);
	if (fd < 0) {
		free(doorbell);
		return fd;
	}
	doorbell->page =
		mmap(NULL, SEGMENT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (doorbell->page == MAP_FAILED)
		r = -errno;
	close(fd);
	if (r < 0) {
		free(doorbell);
		return r;
	}
	__atomic_store_n(&doorbell->page->version, SEGMENT_VERSION, __ATOMIC_RELAXED);
	__atomic_store_n(&doorbell->page->magic, SEGMENT_MAGIC, __ATOMIC_RELEASE);
	*ret_doorbell = doorbell;
	return 0;
}

void
doorbell_close(struct doorbell *doorbell)
{
	if (!doorbell)
		return;
	munmap(doorbell->page, SEGMENT_PAGE);
	free(doorbell);
}

/* Change a word of the page and wake those who wait for that. */
static void
change(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	/* Shared, not PRIVATE: those who wait have maps of their own. */
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void
doorbell_set_stall(struct doorbell *doorbell, uint32_t stall_us)
{
	__atomic_store_n(&doorbell->page->stall_us, stall_us, __ATOMIC_RELEASE);
}

void
doorbell_ring(struct doorbell *doorbell, uint8_t bell)
{
	change(&doorbell->page->bells[bell]);
}

void
doorbell_ring_daemon(struct doorbell *doorbell)
{
	change(&doorbell->page->daemon);
	for (unsigned bell = 0; bell < SEGMENT_BELLS; bell++)
		change(&doorbell->page->bells[bell]);
}
