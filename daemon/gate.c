/* SPDX-License-Identifier: MIT */
/* What may be a segment; see gate.h. */

#include "config.h"

#include "daemon/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

bool
gate_in_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static int
refuse(enum collector_reason reason, enum collector_reason *ret_reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

int
gate_check(int fd, uint64_t size, enum collector_reason *ret_reason)
{
	/* First of all, as only files in memory have seals: fstat may wait for whoever
	 * serves a foreign file system. */
	int seals = fcntl(fd, F_GET_SEALS);
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;
	struct stat st;

	if (seals < 0 || flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return refuse(COLLECTOR_DESCRIPTOR, ret_reason);
	/* hugetlbfs has seals too, and reading it needs pages that may be missing. A file
	 * with a name, as in /dev/shm, could be opened by others. */
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode) ||
		st.st_nlink != 0 || fs.f_type != TMPFS_MAGIC)
		return refuse(COLLECTOR_DESCRIPTOR, ret_reason);
	if (st.st_size < 0 || (uint64_t)st.st_size != size)
		return refuse(COLLECTOR_SIZE, ret_reason);
	if ((seals & SEALS) != SEALS)
		return refuse(COLLECTOR_SEALS, ret_reason);
	return 0;
}
