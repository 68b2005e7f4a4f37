/* SPDX-License-Identifier: MIT */
/* The child that finds names; see namer.h. */

#include "config.h"

#include "daemon/namer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/capture.h"
#include "daemon/event.h"
#include "daemon/symbolizer.h"
#include "daemon/words.h"

#define CHANNEL 3 /* the child's end */
#define NICE 5    /* of the child */
#define OFFENDERS 16
#define PAUSE_NS 60000000000ull /* without names for who has spoilt a child */
#define PATH_BYTES sizeof(((struct segment_capture *)0)->names)

struct page_module {
	char path[PATH_BYTES]; /* "": none that can be opened */
	uint32_t build_id_bytes;
	uint8_t build_id[CAPTURE_BUILD_ID_BYTES];
};

struct page_frame {
	uint64_t offset;
	uint32_t module;
	uint32_t line;                /* answer */
	char function[WORDS_MAX + 1]; /* the same; "": unknown */
	char file[WORDS_MAX + 1];
};

/* What both look at. */
struct page {
	pid_t pid;
	uint32_t module_count, frame_count;
	struct page_module modules[SEGMENT_MODULES];
	struct page_frame frames[SEGMENT_NATIVE_FRAMES];
};

struct namer {
	struct page *page;
	pid_t child; /* 0: none */
	int handle;  /* pidfd of it */
	int channel;
	struct {
		pid_t pid;
		uid_t uid;
		uint64_t until_ns;
	} offenders[OFFENDERS];
	unsigned offences;
};

struct namer *
namer_new(void)
{
	struct namer *namer = calloc(1, sizeof(*namer));

	if (!namer)
		return NULL;
	namer->page = mmap(NULL, sizeof(*namer->page), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (namer->page == MAP_FAILED) {
		free(namer);
		return NULL;
	}
	return namer;
}

/* End the child. One that hangs where no signal reaches it is left alone. */
static void
end_child(struct namer *namer)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	siginfo_t info;

	if (!namer->child)
		return;
	(void)syscall(SYS_pidfd_send_signal, namer->handle, SIGKILL, NULL, 0);
	for (int i = 0; i < 500; i++) {
		info.si_pid = 0;
		/* Somebody else may have waited for it already. */
		if (waitid((idtype_t)P_PIDFD, (id_t)namer->handle, &info,
			    WEXITED | WNOHANG) ||
			info.si_pid)
			break;
		nanosleep(&pause, NULL);
	}
	close(namer->handle);
	close(namer->channel);
	namer->child = 0;
}

void
namer_free(struct namer *namer)
{
	if (!namer)
		return;
	end_child(namer);
	munmap(namer->page, sizeof(*namer->page));
	free(namer);
}

pid_t
namer_child(const struct namer *namer)
{
	return namer->child;
}

/* Bytes of memory that are our own, as RLIMIT_DATA counts. */
static uint64_t
own_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (file && fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Let it be the child that suffers. */
static void
limit(uint64_t begin_bytes)
{
	const struct rlimit none = {0, 0};
	struct rlimit data = {
		begin_bytes + NAMER_BYTES_MAX, begin_bytes + NAMER_BYTES_MAX};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_DATA, &data);
}

/* In the child: find names for what the page asks. */
static void
answer(struct symbolizer *symbolizer, struct page *page)
{
	struct capture *capture = capture_new();

	if (!capture)
		return;
	for (uint32_t i = 0; i < page->module_count; i++) {
		struct capture_module *module = &capture->modules[i];

		if (page->modules[i].path[0])
			module->path = strdup(page->modules[i].path);
		module->build_id_bytes = page->modules[i].build_id_bytes;
		memcpy(module->build_id, page->modules[i].build_id,
			sizeof(module->build_id));
	}
	capture->module_count = page->module_count;
	for (uint32_t i = 0; i < page->frame_count; i++) {
		capture->natives[i].offset = page->frames[i].offset;
		capture->native_modules[i] = page->frames[i].module;
	}
	capture->native_count = page->frame_count;
	symbolizer_name(symbolizer, capture, page->pid);
	for (uint32_t i = 0; i < page->frame_count; i++) {
		const struct stall_frame *from = &capture->natives[i];
		struct page_frame *to = &page->frames[i];

		if (from->function)
			strncpy(to->function, from->function, WORDS_MAX);
		if (from->file)
			strncpy(to->file, from->file, WORDS_MAX);
		to->line = from->line;
	}
	capture_free(capture);
}

/* In the child: answer until nobody asks any more. */
static void
serve(int channel, struct page *page)
{
	struct symbolizer *symbolizer = symbolizer_new();
	uint64_t begin_bytes = own_bytes();
	char byte;

	if (!symbolizer || dup2(channel, CHANNEL) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, CHANNEL + 1, UINT32_MAX, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "looplag-names");
	/* Names can wait; the loops that are watched cannot. */
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	limit(begin_bytes);
	/* One that keeps too much ends when it has answered. */
	while (recv(CHANNEL, &byte, 1, 0) == 1) {
		answer(symbolizer, page);
		if (send(CHANNEL, &byte, 1, MSG_NOSIGNAL) != 1 ||
			own_bytes() > begin_bytes + NAMER_BYTES)
			break;
	}
	_exit(0);
}

/* Returns 0 or -errno. */
static int
start_child(struct namer *namer)
{
	const struct timeval patience = {.tv_sec = NAMER_SECONDS};
	int channels[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channels))
		return -errno;
	if (setsockopt(channels[0], SOL_SOCKET, SO_RCVTIMEO, &patience,
		    sizeof(patience)) == 0)
		namer->child = fork();
	else
		namer->child = -1;
	r = -errno;
	if (namer->child == 0)
		serve(channels[1], namer->page);
	close(channels[1]);
	namer->channel = channels[0];
	if (namer->child > 0) {
		namer->handle = (int)syscall(SYS_pidfd_open, namer->child, 0);
		if (namer->handle >= 0)
			return 0;
		/* It ends as soon as it looks at its channel. */
		r = -errno;
	}
	close(channels[0]);
	namer->child = 0;
	return r;
}

/* Ask the child. Returns 0, -ETIMEDOUT, or -EPIPE if it has ended. */
static int
ask(struct namer *namer)
{
	char byte = 0;
	ssize_t n = send(namer->channel, &byte, 1, MSG_NOSIGNAL);

	if (n == 1)
		n = recv(namer->channel, &byte, 1, 0);
	return n == 1 ? 0 : n < 0 && errno == EAGAIN ? -ETIMEDOUT : -EPIPE;
}

static void
write_page(struct page *page, const struct capture *capture, pid_t pid)
{
	page->pid = pid;
	page->module_count = (uint32_t)capture->module_count;
	page->frame_count = (uint32_t)capture->native_count;
	for (uint32_t i = 0; i < page->module_count; i++) {
		const struct capture_module *from = &capture->modules[i];
		struct page_module *to = &page->modules[i];

		to->path[0] = 0;
		if (from->path && strlen(from->path) < sizeof(to->path))
			strcpy(to->path, from->path);
		to->build_id_bytes = from->build_id_bytes;
		memcpy(to->build_id, from->build_id, sizeof(to->build_id));
	}
	for (uint32_t i = 0; i < page->frame_count; i++) {
		memset(&page->frames[i], 0, sizeof(page->frames[i]));
		page->frames[i].offset = capture->natives[i].offset;
		page->frames[i].module = capture->native_modules[i];
	}
}

/* Take the answer over. What a child may have become is not to be trusted either. */
static void
read_page(const struct page *page, struct capture *capture)
{
	for (size_t i = 0; i < capture->native_count; i++) {
		const struct page_frame *from = &page->frames[i];
		struct stall_frame *to = &capture->natives[i];

		if (from->function[0] && !to->function)
			to->function = words_clean(from->function, WORDS_MAX);
		if (from->file[0] && !to->file)
			to->file = words_clean(from->file, WORDS_MAX);
		to->line = from->line;
	}
}

/* Whether the process, or its user, has spoilt a child not long ago. */
static bool
is_offender(const struct namer *namer, pid_t pid, uid_t uid)
{
	for (size_t i = 0; i < OFFENDERS; i++)
		if ((namer->offenders[i].pid == pid ||
			    (uid && namer->offenders[i].uid == uid)) &&
			event_now_ns() < namer->offenders[i].until_ns)
			return true;
	return false;
}

void
namer_name(struct namer *namer, struct capture *capture, pid_t pid, uid_t uid)
{
	unsigned offence;
	bool fresh;
	int r;

	if (!capture->native_count || is_offender(namer, pid, uid))
		return;
	do {
		fresh = !namer->child;
		if (fresh && start_child(namer) < 0)
			return;
		write_page(namer->page, capture, pid);
		r = ask(namer);
		if (r < 0)
			end_child(namer);
		/* One that had ended before it was asked is nobody's fault. */
	} while (r == -EPIPE && !fresh);
	if (r == 0) {
		read_page(namer->page, capture);
		return;
	}
	offence = namer->offences++ % OFFENDERS;
	namer->offenders[offence].pid = pid;
	namer->offenders[offence].uid = uid;
	namer->offenders[offence].until_ns = event_now_ns() + PAUSE_NS;
}
