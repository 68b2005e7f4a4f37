/* SPDX-License-Identifier: MIT */
/*
 * Who a process is, asked of the kernel (/proc) by its number: systemd unit, command and
 * thread names, thread groups, clocks. Numbers may be used again: whoever holds a pidfd
 * looks whether the process still lives after the answer.
 *
 * Functions that take text are pure.
 */
#ifndef LOOPLAG_DAEMON_IDENTITY_H
#define LOOPLAG_DAEMON_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IDENTITY_NAME_BYTES 256 /* with the final 0 */
#define IDENTITY_CGROUP_BYTES 4096
#define IDENTITY_SEARCHED 1024

/* The deepest systemd service in /proc/PID/cgroup, user@N.service excepted. Returns 0 or
 * -ENOENT. */
__attribute__((warn_unused_result)) int
identity_unit_in(const char *cgroups, char ret_unit[IDENTITY_NAME_BYTES]);
__attribute__((warn_unused_result)) int
identity_unit(pid_t pid, char ret_unit[IDENTITY_NAME_BYTES]);

/* Whose own manager has started that service, whose name is that user's choice. Returns 0, or
 * -ENOENT if it is the system's. */
__attribute__((warn_unused_result)) int
identity_manager_in(const char *cgroups, uid_t *ret_uid);
/* The unit; and whose it is, if that user's own manager has started it, or -1. */
__attribute__((warn_unused_result)) int
identity_unit_and_user(pid_t pid, char ret_unit[IDENTITY_NAME_BYTES], uid_t *ret_uid);

/* The path of the control group, "/" for the root; of one above the root of our own cgroup
 * namespace without the "/.." at its beginning. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
identity_cgroup_in(const char *cgroups, char ret_path[IDENTITY_CGROUP_BYTES]);
__attribute__((warn_unused_result)) int
identity_cgroup(pid_t pid, char ret_path[IDENTITY_CGROUP_BYTES]);

/* Whether a user's own manager has made that control group, or it is below one of its:
 * its path is that user's choice. */
bool
identity_is_of_user(const char *path);

/* The command name. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
identity_command(pid_t pid, char ret_command[IDENTITY_NAME_BYTES]);

/* A name that a stranger gave, `size` bytes at most, as a label: valid UTF-8, no control
 * characters; "" if there is nothing in it. */
void
identity_clean(const char *name, size_t size, char ret_name[IDENTITY_NAME_BYTES]);

/* Let a name tell whose it is: "NAME@UID", with the end of a very long one cut off. In place. */
void
identity_qualify(char name[IDENTITY_NAME_BYTES], uid_t uid);

/* A thread's name as the label of its loops: without a trailing number and what joins it
 * on, "worker-3" is "worker". A name of digits alone stays. In place. */
void
identity_trim(char *name);

/* How long the process has lived, in nanoseconds, and when it started, in ticks since the
 * boot: together with its number that is its name. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
identity_start_in(const char *stat, uint64_t *ret_ticks);
__attribute__((warn_unused_result)) int
identity_age(pid_t pid, uint64_t *ret_age_ns, uint64_t *ret_start_ticks);

/* What its CLOCK_MONOTONIC shows more than ours. Returns 0 or -errno; -ENOENT also where
 * the kernel knows no such difference. */
__attribute__((warn_unused_result)) int
identity_offset_in(const char *timens_offsets, int64_t *ret_ns);
__attribute__((warn_unused_result)) int
identity_clock_shift(pid_t pid, int64_t *ret_shift_ns);

/* Whether the pidfd's process still has that number, so that what was read about the
 * number was about it. It may be dead, but nobody has reaped it. */
bool
identity_is_current(int pidfd, pid_t pid);

/* Whether the process is in a pid namespace below ours, where it has other numbers. Of one
 * that is not there nobody knows: false. */
bool
identity_is_nested_in(const char *status);
bool
identity_is_nested(pid_t pid);

/* Whether /proc is there and has our own numbers. Returns 0 or -errno: -EXDEV if it is that of
 * another pid namespace. */
__attribute__((warn_unused_result)) int
identity_check_proc(void);

struct identity_thread {
	pid_t tid, tgid; /* as we count */
	uid_t uid;       /* it acts as */
	bool is_main;
	unsigned searched; /* threads that were looked at besides */
	char name[IDENTITY_NAME_BYTES];
};

/*
 * The thread that the process calls `tid`, its own or one of a child. Without the same pid
 * namespace its numbers are not ours, and it and its children are searched, up to
 * IDENTITY_SEARCHED threads. Returns 0, -ENOENT, or another -errno, and `searched` in any case.
 */
__attribute__((warn_unused_result)) int
identity_thread(
	pid_t pid, bool same_namespace, pid_t tid, struct identity_thread *ret_thread);

/* Whether descriptor `fd` of the process is an epoll instance. Returns 1 or 0, or -errno
 * when that cannot be known. */
int
identity_is_epoll(pid_t pid, int fd);

#endif
