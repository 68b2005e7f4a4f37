/* SPDX-License-Identifier: MIT */
/*
 * The interposed functions. Each does nothing but the real call between waits_enter() and
 * waits_leave(). The real functions are found at start-up; a pointer that was needed
 * before finds itself: it begins as a function that looks the real one up and calls it.
 * What this libc does not have is asked of the kernel.
 */

#include "probes/wrappers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probes/segment.h"
#include "probes/symbols.h"
#include "probes/waits.h"

#define EXPORT __attribute__((visibility("default")))
#define FOREVER (-1)
#define FRAME ((uintptr_t)__builtin_frame_address(0))
#define SITE ((intptr_t)__builtin_return_address(0))
#define SIGNALS_BYTES 8 /* the kernel's sigset_t */

/* These names are declared by no header of a libc that is older or other than glibc 2.36,
 * or only for code built with _FORTIFY_SOURCE. */
int
epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
int
__poll_chk(struct pollfd *, nfds_t, int, size_t);
int
__ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);

/*
 * REAL(name, missing, (parameters), (arguments)): the pointer real_name, and find_name(),
 * which stores the real function in it, or `missing` if there is none.
 */
#define REAL(name, missing, parameters, arguments)                              \
	static int find_##name parameters;                                      \
	static int(*real_##name) parameters = find_##name;                      \
	static void resolve_##name(void)                                        \
	{                                                                       \
		void *function = symbols_next(#name);                           \
                                                                                \
		__atomic_store_n(&real_##name,                                  \
			function ? (__typeof__(real_##name))function : missing, \
			__ATOMIC_RELAXED);                                      \
	}                                                                       \
	static int find_##name parameters                                       \
	{                                                                       \
		resolve_##name();                                               \
		return real_##name arguments;                                   \
	}

static int
pwait2_by_kernel(int epfd, struct epoll_event *events, int max,
	const struct timespec *timeout, const sigset_t *mask)
{
	return (int)syscall(
		SYS_epoll_pwait2, epfd, events, max, timeout, mask, SIGNALS_BYTES);
}

REAL(epoll_create, NULL, (int size), (size))
REAL(epoll_create1, NULL, (int flags), (flags))
REAL(epoll_wait, NULL, (int epfd, struct epoll_event *events, int max, int timeout),
	(epfd, events, max, timeout))
REAL(epoll_pwait, NULL,
	(int epfd, struct epoll_event *events, int max, int timeout,
		const sigset_t *mask),
	(epfd, events, max, timeout, mask))
REAL(epoll_pwait2, pwait2_by_kernel,
	(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
		const sigset_t *mask),
	(epfd, events, max, timeout, mask))
REAL(poll, NULL, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
REAL(ppoll, NULL,
	(struct pollfd * fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *mask),
	(fds, count, timeout, mask))
REAL(select, NULL,
	(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
		struct timeval *timeout),
	(count, readable, writable, urgent, timeout))
REAL(pselect, NULL,
	(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
		const struct timespec *timeout, const sigset_t *mask),
	(count, readable, writable, urgent, timeout, mask))

static int
poll_unchecked(struct pollfd *fds, nfds_t count, int timeout, size_t bytes)
{
	return real_poll(fds, count, timeout);
}

static int
ppoll_unchecked(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t bytes)
{
	return real_ppoll(fds, count, timeout, mask);
}

REAL(__poll_chk, poll_unchecked,
	(struct pollfd * fds, nfds_t count, int timeout, size_t bytes),
	(fds, count, timeout, bytes))
REAL(__ppoll_chk, ppoll_unchecked,
	(struct pollfd * fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *mask, size_t bytes),
	(fds, count, timeout, mask, bytes))

void
wrappers_resolve(void)
{
	resolve_epoll_create();
	resolve_epoll_create1();
	resolve_epoll_wait();
	resolve_epoll_pwait();
	resolve_epoll_pwait2();
	resolve_poll();
	resolve_ppoll();
	resolve_select();
	resolve_pselect();
	resolve___poll_chk();
	resolve___ppoll_chk();
}

int
wrappers_is_epoll(int descriptor)
{
	int saved = errno, result, is_epoll;

	/* To this address no event can be written: what is ready stays ready. */
	result = real_epoll_wait(
		descriptor, (struct epoll_event *)(uintptr_t)sizeof(void *), 1, 0);
	is_epoll = result >= 0 || (errno != EBADF && errno != EINVAL);
	errno = saved;
	return is_epoll;
}

static int64_t
from_ms(int timeout)
{
	return timeout < 0 ? FOREVER : timeout * (int64_t)1000000;
}

static int64_t
from_timespec(const struct timespec *timeout)
{
	return timeout ? timeout->tv_sec * (int64_t)1000000000 + timeout->tv_nsec
		       : FOREVER;
}

/* The arguments of this thread's last select call that the kernel took: their memory is
 * good. What it has not seen yet may be anything, and it is not on us to crash on it. */
static __thread __attribute__((tls_model("initial-exec"))) struct selected {
	int count;
	const fd_set *sets[3];
} taken;

/* Remember arguments that the kernel took. */
static void
remember(int result, int count, const fd_set *a, const fd_set *b, const fd_set *c)
{
	if (result >= 0)
		taken = (struct selected){.count = count, .sets = {a, b, c}};
}

/* How many descriptors are in the sets, as far as it matters: none, one or several. None
 * if they are not those that were taken last. */
static unsigned
count_selected(int count, const fd_set *a, const fd_set *b, const fd_set *c)
{
	unsigned words, found = 0;

	if (count <= 0 || count > taken.count || a != taken.sets[0] ||
		b != taken.sets[1] || c != taken.sets[2])
		return 0;
	words = ((unsigned)(count < FD_SETSIZE ? count : FD_SETSIZE) + 63) / 64;
	for (unsigned i = 0; i < words && found < 2; i++) {
		uint64_t any = 0;

		for (unsigned j = 0; j < 3; j++)
			if (taken.sets[j])
				any |= ((const uint64_t *)taken.sets[j])[i];
		found += !!any + !!(any & (any - 1));
	}
	return found;
}

EXPORT int
epoll_create(int size)
{
	int result = real_epoll_create(size);

	if (result >= 0)
		waits_forget(result);
	return result;
}

EXPORT int
epoll_create1(int flags)
{
	int result = real_epoll_create1(flags);

	if (result >= 0)
		waits_forget(result);
	return result;
}

EXPORT int
epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_EPOLL, epfd, 2, from_ms(timeout), FRAME);
	result = real_epoll_wait(epfd, events, max, timeout);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
epoll_pwait(
	int epfd, struct epoll_event *events, int max, int timeout, const sigset_t *mask)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_EPOLL, epfd, 2, from_ms(timeout), FRAME);
	result = real_epoll_pwait(epfd, events, max, timeout, mask);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
epoll_pwait2(int epfd, struct epoll_event *events, int max,
	const struct timespec *timeout, const sigset_t *mask)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_EPOLL, epfd, 2, FOREVER, FRAME);
	result = real_epoll_pwait2(epfd, events, max, timeout, mask);
	/* Now it is known that the timeout can be read. */
	wait.timeout_ns = result == 0 ? from_timespec(timeout) : FOREVER;
	waits_leave(&wait, result);
	return result;
}

EXPORT int
poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct wait wait;
	int result;

	waits_enter(
		&wait, SEGMENT_KIND_POLL, SITE, (unsigned)count, from_ms(timeout), FRAME);
	result = real_poll(fds, count, timeout);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
__poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t bytes)
{
	struct wait wait;
	int result;

	waits_enter(
		&wait, SEGMENT_KIND_POLL, SITE, (unsigned)count, from_ms(timeout), FRAME);
	result = real___poll_chk(fds, count, timeout, bytes);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_POLL, SITE, (unsigned)count,
		from_timespec(timeout), FRAME);
	result = real_ppoll(fds, count, timeout, mask);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
__ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t bytes)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_POLL, SITE, (unsigned)count,
		from_timespec(timeout), FRAME);
	result = real___ppoll_chk(fds, count, timeout, mask, bytes);
	waits_leave(&wait, result);
	return result;
}

EXPORT int
select(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
	struct timeval *timeout)
{
	struct wait wait;
	int64_t timeout_ns = timeout ? timeout->tv_sec * (int64_t)1000000000 +
					       timeout->tv_usec * (int64_t)1000
				     : FOREVER;
	int result;

	waits_enter(&wait, SEGMENT_KIND_SELECT, SITE,
		count_selected(count, readable, writable, urgent), timeout_ns, FRAME);
	result = real_select(count, readable, writable, urgent, timeout);
	waits_leave(&wait, result);
	remember(result, count, readable, writable, urgent);
	return result;
}

EXPORT int
pselect(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
	const struct timespec *timeout, const sigset_t *mask)
{
	struct wait wait;
	int result;

	waits_enter(&wait, SEGMENT_KIND_SELECT, SITE,
		count_selected(count, readable, writable, urgent), from_timespec(timeout),
		FRAME);
	result = real_pselect(count, readable, writable, urgent, timeout, mask);
	waits_leave(&wait, result);
	remember(result, count, readable, writable, urgent);
	return result;
}
