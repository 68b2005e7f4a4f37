/* SPDX-License-Identifier: MIT */
/* Goes along a path, part by part, with the modes of the files for an answer: access() would
 * answer for ourselves. */

#include "config.h"

#include "cli/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

struct reach_user
reach_this_user(void)
{
	struct reach_user user = {.uid = geteuid(), .groups = {getegid()}};
	int count = getgroups(REACH_GROUPS - 1, user.groups + 1);

	user.group_count = 1 + (count > 0 ? (size_t)count : 0);
	return user;
}

/* Look at a path below the root, without any effect on it. Returns a descriptor or -1. */
static int
look_at(int root, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* Whether the mode lets the user do what the bits say (4 read, 2 write, 1 search). */
static bool
permits(int fd, const struct reach_user *user, unsigned bits)
{
	char link[40];
	struct stat st;

	if (fstat(fd, &st) || user->uid == 0)
		return true;
	if (st.st_uid == user->uid)
		return (st.st_mode >> 6 & bits) == bits;
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == st.st_gid && (st.st_mode >> 3 & bits) == bits)
			return true;
	if ((st.st_mode & bits) == bits)
		return true;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return getxattr(link, "system.posix_acl_access", NULL, 0) > 0;
}

/* Judge the file at the end of the path. */
static enum reach_result
judge_file(int fd, const struct reach_user *user, int mode)
{
	struct statvfs fs;

	if (!permits(fd, user, mode & W_OK ? 2 : 4))
		return REACH_DENIED;
	if (mode & X_OK && !fstatvfs(fd, &fs) && fs.f_flag & ST_NOEXEC)
		return REACH_NOEXEC;
	return REACH_YES;
}

enum reach_result
reach_check(const char *root, const char *path, const struct reach_user *user, int mode,
	char *ret_part)
{
	int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	enum reach_result result = REACH_YES;
	size_t length = 0, whole = strlen(path);
	bool known = top >= 0 && *path == '/' && whole < PATH_MAX;

	while (known && length < whole && result == REACH_YES) {
		int fd;

		length += 1 + strcspn(path + length + 1, "/");
		memcpy(ret_part, path, length);
		ret_part[length] = '\0';
		fd = look_at(top, ret_part);
		if (fd < 0) {
			/* Where we ourselves may not look, nothing is known. */
			known = errno == ENOENT || errno == ENOTDIR;
			result = known ? REACH_MISSING : REACH_YES;
			break;
		}
		if (length == whole)
			result = judge_file(fd, user, mode);
		else if (!permits(fd, user, 1))
			result = REACH_DENIED;
		close(fd);
	}
	if (top >= 0)
		close(top);
	return result;
}
