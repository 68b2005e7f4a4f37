/* SPDX-License-Identifier: MIT */
/* Samples of threads from /proc; see tasks.h. */

#include "config.h"

#include "daemon/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/cause.h"
#include "daemon/event.h"

#define FILE_BYTES 512

/* System calls in which a thread may sleep, as numbered by the machine that we run on. */
#define CALL(name)                \
	{                         \
		SYS_##name, #name \
	}
static const struct {
	long number;
	const char *name;
} system_calls[] = {
#ifdef SYS_open /* x86-64 has these, newer machines only what replaces them */
	CALL(access),
	CALL(creat),
	CALL(epoll_wait),
	CALL(getdents),
	CALL(link),
	CALL(lstat),
	CALL(mkdir),
	CALL(open),
	CALL(pause),
	CALL(poll),
	CALL(readlink),
	CALL(rename),
	CALL(rmdir),
	CALL(select),
	CALL(stat),
	CALL(symlink),
	CALL(unlink),
	CALL(vfork),
#endif
	CALL(accept),
	CALL(accept4),
	CALL(chdir),
	CALL(clock_nanosleep),
	CALL(clone),
	CALL(close),
	CALL(connect),
	CALL(copy_file_range),
	CALL(epoll_pwait),
#ifdef SYS_epoll_pwait2
	CALL(epoll_pwait2),
#endif
	CALL(execve),
	CALL(faccessat),
	CALL(fallocate),
	CALL(fcntl),
	CALL(fdatasync),
	CALL(flock),
	CALL(fstat),
	CALL(fsync),
	CALL(ftruncate),
	CALL(futex),
#ifdef SYS_futex_waitv
	CALL(futex_waitv),
#endif
	CALL(getdents64),
	CALL(getrandom),
	CALL(io_getevents),
#ifdef SYS_io_uring_enter
	CALL(io_uring_enter),
#endif
	CALL(ioctl),
	CALL(linkat),
	CALL(lseek),
	CALL(madvise),
	CALL(mkdirat),
	CALL(mmap),
	CALL(mq_timedreceive),
	CALL(mq_timedsend),
	CALL(msgrcv),
	CALL(msgsnd),
	CALL(msync),
	CALL(munmap),
	CALL(nanosleep),
	CALL(newfstatat),
	CALL(openat),
#ifdef SYS_openat2
	CALL(openat2),
#endif
	CALL(ppoll),
	CALL(pread64),
	CALL(preadv),
	CALL(pselect6),
	CALL(pwrite64),
	CALL(pwritev),
	CALL(read),
	CALL(readv),
	CALL(recvfrom),
	CALL(recvmmsg),
	CALL(recvmsg),
	CALL(renameat),
	CALL(renameat2),
	CALL(rt_sigsuspend),
	CALL(rt_sigtimedwait),
	CALL(semop),
	CALL(semtimedop),
	CALL(sendfile),
	CALL(sendmmsg),
	CALL(sendmsg),
	CALL(sendto),
	CALL(splice),
	CALL(statfs),
#ifdef SYS_statx
	CALL(statx),
#endif
	CALL(sync),
	CALL(sync_file_range),
	CALL(syncfs),
	CALL(tee),
	CALL(unlinkat),
	CALL(wait4),
	CALL(waitid),
	CALL(write),
	CALL(writev),
};

char
tasks_state_in(const char *stat)
{
	/* The command before it may contain anything. */
	const char *end = strrchr(stat, ')');

	return end && end[1] == ' ' ? end[2] : 0;
}

bool
tasks_times_in(const char *schedstat, struct cause_sample *ret_sample)
{
	unsigned long long cpu, wait, slices;

	/* All zeros where the kernel does not count. */
	if (sscanf(schedstat, "%llu %llu %llu", &cpu, &wait, &slices) != 3 || !slices)
		return false;
	ret_sample->cpu_ns = cpu;
	ret_sample->wait_ns = wait;
	ret_sample->slices = slices;
	return true;
}

const char *
tasks_system_call_in(const char *syscall)
{
	char *end;
	long number = strtol(syscall, &end, 10);

	/* "running", or -1 in no system call. */
	if (end == syscall)
		return NULL;
	for (size_t i = 0; i < sizeof(system_calls) / sizeof(*system_calls); i++)
		if (system_calls[i].number == number)
			return system_calls[i].name;
	return NULL;
}

/* Read the beginning of a file of the thread. Returns 0 or -errno. */
static int
read_file(pid_t pid, pid_t tid, const char *name, char ret_text[FILE_BYTES])
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_text, FILE_BYTES - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	ret_text[n] = 0;
	return 0;
}

int
tasks_sample(pid_t pid, pid_t tid, bool *may_ask, struct cause_sample *ret_sample)
{
	struct cause_sample sample = {.now_ns = event_now_ns()};
	char text[FILE_BYTES];
	int r = read_file(pid, tid, "stat", text);

	if (r < 0)
		return r;
	sample.state = tasks_state_in(text);
	sample.has_times = read_file(pid, tid, "schedstat", text) == 0 &&
			   tasks_times_in(text, &sample);
	if (*may_ask && (sample.state == 'S' || sample.state == 'D')) {
		r = read_file(pid, tid, "syscall", text);
		*may_ask = r != -EACCES && r != -EPERM && r != -ENOENT;
		if (r == 0)
			sample.system_call = tasks_system_call_in(text);
	}
	*ret_sample = sample;
	return 0;
}
