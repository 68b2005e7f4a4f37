/* SPDX-License-Identifier: MIT */
/* Takes stacks from outside; see trace.h. */

#include "config.h"

#include "daemon/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/capture.h"
#include "daemon/event.h"
#include "daemon/mappings.h"
#include "daemon/tracer.h"
#include "daemon/words.h"
#include "probes/unwind.h"

#define TRIES 3

int
trace_open(pid_t pid, pid_t tid, int segment, struct trace *ret_trace)
{
	char path[32];
	int process;

	if (pid <= 0 || tid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	segment = fcntl(segment, F_DUPFD_CLOEXEC, 0);
	if (segment < 0) {
		close(process);
		return -errno;
	}
	*ret_trace = (struct trace){.process = process, .segment = segment, .tid = tid};
	return 0;
}

void
trace_close(struct trace *trace)
{
	close(trace->process);
	close(trace->segment);
}

#if UNWIND_REGISTERS > 0

/* What is known of a thread while its stack is looked at. */
struct view {
	const struct trace *trace;
	int memory;
	struct mappings *mappings;
	struct unwind_registers registers;
	struct tracer_stack *stack;
	uint64_t pcs[SEGMENT_NATIVE_FRAMES];
	size_t count;
	bool whole; /* down to its outermost frame */
};

static int
no_such(int error)
{
	return error == ENOENT ? -ESRCH : error == EACCES ? -EPERM : -error;
}

/* Whether the loop is still in the iteration that has stalled. */
static bool
still_lasts(const struct trace *trace)
{
	uint64_t state;

	return pread(trace->segment, &state, sizeof(state), (off_t)trace->slot_offset) ==
		       (ssize_t)sizeof(state) &&
	       state == trace->since_ns;
}

/* Read what the process has mapped, among it its segment. */
static int
read_mappings(const struct trace *trace, struct mappings **ret_mappings)
{
	int fd = openat(trace->process, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	struct mappings *mappings;
	struct stat st;

	if (!maps)
		return no_such(errno);
	mappings = mappings_new(maps);
	fclose(maps);
	if (!mappings)
		return -ENOMEM;
	if (fstat(trace->segment, &st) < 0 ||
		!mappings_have(mappings, st.st_dev, st.st_ino)) {
		mappings_free(mappings);
		return -ESRCH;
	}
	*ret_mappings = mappings;
	return 0;
}

static int
read_memory(void *context, uint64_t address, void *to, size_t bytes)
{
	struct view *view = context;
	const struct tracer_stack *stack = view->stack;

	/* The copy is of one moment; the stack goes on. */
	if (address >= stack->address && address - stack->address < stack->bytes) {
		uint64_t offset = address - stack->address;

		if (bytes > stack->bytes - offset)
			return -1;
		memcpy(to, stack->copy + offset, bytes);
		return 0;
	}
	return pread(view->memory, to, bytes, (off_t)address) == (ssize_t)bytes ? 0 : -1;
}

static int
find_module(void *context, uint64_t pc, struct unwind_module *ret_module)
{
	struct view *view = context;
	const struct mappings_object *object =
		mappings_find(view->mappings, view->memory, pc);

	if (!object)
		return -1;
	*ret_module = (struct unwind_module){
		.start = object->start,
		.end = object->end,
		.bias = object->bias,
		.eh_frame_hdr = object->eh_frame_hdr,
	};
	return 0;
}

static void
unwind(struct view *view)
{
	const struct unwind_calls calls = {
		.read = read_memory, .find = find_module, .context = view};
	enum unwind_end end;

	view->count = unwind_walk(
		&calls, &view->registers, view->pcs, SEGMENT_NATIVE_FRAMES, &end);
	view->whole = end == UNWIND_OUTERMOST || end == UNWIND_FULL;
}

/* What /proc says that a thread sleeps in. */
struct sleep {
	long number; /* of the system call; -1: in none */
	uint64_t arguments[6];
	uint64_t sp, pc;
};

/* Returns 0, -EAGAIN when the thread runs, or -errno. */
static int
read_sleep(const struct trace *trace, struct sleep *ret_sleep)
{
	struct sleep sleep = {0};
	char path[64], text[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "task/%d/syscall", (int)trace->tid);
	fd = openat(trace->process, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return no_such(errno);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0) {
		n = errno;
		close(fd);
		return no_such((int)n);
	}
	close(fd);
	text[n] = 0;
	if (sscanf(text, "-1 %lx %lx", &sleep.sp, &sleep.pc) == 2)
		sleep.number = -1;
	else if (sscanf(text, "%ld %lx %lx %lx %lx %lx %lx %lx %lx", &sleep.number,
			 &sleep.arguments[0], &sleep.arguments[1], &sleep.arguments[2],
			 &sleep.arguments[3], &sleep.arguments[4], &sleep.arguments[5],
			 &sleep.sp, &sleep.pc) != 9)
		return -EAGAIN;
	*ret_sleep = sleep;
	return 0;
}

/* Look at a thread that sleeps, without touching it: what is said of it before and after
 * its stack was copied must be the same. Returns 0, -EAGAIN when it runs, or -errno. */
static int
look_at_sleeper(struct view *view, struct sleep *ret_sleep)
{
	struct sleep before, after;
	int r;

	for (int i = 0; i < TRIES; i++) {
		r = read_sleep(view->trace, &before);
		if (r < 0)
			return r;
		tracer_copy_stack(view->memory, before.sp, view->stack);
		r = read_sleep(view->trace, &after);
		if (r < 0)
			return r;
		if (memcmp(&before, &after, sizeof(before)) != 0)
			continue;
		view->registers = (struct unwind_registers){
			.known = 1ull << UNWIND_SP | 1ull << UNWIND_PC};
		view->registers.values[UNWIND_SP] = before.sp;
		view->registers.values[UNWIND_PC] = before.pc;
		unwind(view);
		*ret_sleep = before;
		return 0;
	}
	return -EAGAIN;
}

/* Whether a thread that is stopped in this system call goes on with it as if nothing had
 * been, as signal(7) says; some others fail with EINTR then. */
static bool
is_resumed(const struct sleep *sleep)
{
	static const long numbers[] = {SYS_nanosleep, SYS_clock_nanosleep, SYS_fsync,
		SYS_fdatasync, SYS_flock, SYS_futex, SYS_wait4, SYS_waitid, SYS_fcntl,
#ifdef SYS_poll
		SYS_poll, SYS_select,
#endif
		SYS_ppoll, SYS_pselect6};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (sleep->number == numbers[i])
			return true;
	return false;
}

/* Stop the thread, and look. */
static int
look_at_stopped(struct view *view)
{
	int r;

	if (!still_lasts(view->trace))
		return -ESTALE;
	r = tracer_stop(view->trace->process, view->memory, view->trace->tid,
		&view->registers, view->stack);
	if (r == 0)
		unwind(view);
	return r;
}

/* Look at it in the way that disturbs it least. */
static int
look(struct view *view)
{
	struct sleep sleep;
	int r = look_at_sleeper(view, &sleep);
	size_t count = view->count;
	uint64_t pcs[SEGMENT_NATIVE_FRAMES];

	if (r == -EAGAIN)
		return look_at_stopped(view);
	if (r < 0 || view->whole || !is_resumed(&sleep))
		return r;
	/* Sometimes the way on needs a register that /proc does not tell. */
	memcpy(pcs, view->pcs, sizeof(pcs));
	if (look_at_stopped(view) < 0 || view->count < count) {
		memcpy(view->pcs, pcs, sizeof(pcs));
		view->count = count;
	}
	return 0;
}

/* The module among those of the capture, added if need be. */
static uint32_t
take_module(struct capture *capture, const struct mappings_object *object)
{
	struct capture_module *module;

	for (uint32_t i = 0; i < capture->module_count; i++)
		if (strcmp(capture->modules[i].path, object->path) == 0)
			return i;
	if (capture->module_count == SEGMENT_MODULES)
		return SEGMENT_NO_MODULE;
	module = &capture->modules[capture->module_count];
	module->path = strdup(object->path);
	if (!module->path)
		return SEGMENT_NO_MODULE;
	module->build_id_bytes = object->build_id_bytes;
	memcpy(module->build_id, object->build_id, object->build_id_bytes);
	return (uint32_t)capture->module_count++;
}

static struct capture *
make_capture(struct view *view)
{
	struct capture *capture = capture_new();

	if (!capture)
		return NULL;
	capture->role = SEGMENT_ROLE_LOOP;
	capture->result = SEGMENT_RESULT_TAKEN;
	capture->taken_ns = event_now_ns() + (uint64_t)view->trace->shift_ns;
	for (size_t i = 0; i < view->count; i++) {
		const struct mappings_object *object =
			mappings_find(view->mappings, view->memory, view->pcs[i]);
		struct stall_frame *frame = &capture->natives[i];

		*frame = (struct stall_frame){.offset = view->pcs[i]};
		capture->native_modules[i] = SEGMENT_NO_MODULE;
		if (object) {
			frame->offset -= object->bias;
			frame->module = words_clean(object->path, strlen(object->path));
			capture->native_modules[i] = take_module(capture, object);
		}
		capture->native_count++;
	}
	return capture;
}

int
trace_take(const struct trace *trace, struct capture **ret_capture)
{
	struct view view = {.trace = trace, .memory = -1};
	struct capture *capture = NULL;
	int r = still_lasts(trace) ? read_mappings(trace, &view.mappings) : -ESTALE;

	if (r < 0)
		return r;
	view.stack = malloc(sizeof(*view.stack));
	view.memory = openat(trace->process, "mem", O_RDONLY | O_CLOEXEC);
	if (view.memory < 0)
		r = no_such(errno);
	else if (!view.stack)
		r = -ENOMEM;
	else
		r = look(&view);
	/* It was another iteration's, perhaps. */
	if (r == 0 && !still_lasts(trace))
		r = -ESTALE;
	if (r == 0) {
		capture = make_capture(&view);
		r = capture ? 0 : -ENOMEM;
	}
	if (view.memory >= 0)
		close(view.memory);
	free(view.stack);
	mappings_free(view.mappings);
	if (r == 0)
		*ret_capture = capture;
	return r;
}

#else

int
trace_take(const struct trace *trace, struct capture **ret_capture)
{
	return -ENOSYS;
}

#endif
