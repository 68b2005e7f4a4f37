/* SPDX-License-Identifier: MIT */
/*
 * Asks V8 to interrupt an isolate, and writes the stack that its thread has then into a
 * record; see v8.h and v8_module.h.
 *
 * V8 keeps a request until the isolate's thread comes to its next interrupt check, or for
 * ever, if the isolate is disposed of first. So requests lie in a table that is never freed,
 * and an isolate has at most a few of them: one that V8 has not answered yet is given the
 * younger record instead, and is made anew only when that takes very long.
 */

#include <atomic>
#include <cstdlib>
#include <ostream>
#include <streambuf>

/* C headers, with the C name of what they assert. */
#define _Static_assert static_assert
#include "probes/v8_module.h"

/*
 * What we need of V8's interface (v8-isolate.h, v8-message.h, v8-debug.h, v8-primitive.h),
 * by the names that its functions have for the linker: a member function is one whose first
 * argument is the object, a Local is a pointer that is passed as such. All are weak, since
 * versions differ:
 *
 *	RequestInterrupt, IsInUse  the same since long before V8 9
 *	PrintCurrentStackTrace     to a FILE up to V8 9.4 (Node 16: not for us), to a stream
 *	                           since V8 10 (Node 18 to 22), with a filter besides since
 *	                           V8 13.6 (Node 24)
 *	CurrentStackTrace          the same; StackFrame::GetLocation since V8 9
 *	WriteUtf8                  up to V8 13, WriteUtf8V2 since V8 13
 */
struct isolate;
struct string;
struct frame;
struct trace;
struct location {
	int line, column; /* counted from 0 */
};

#define V8(name) __asm__("_ZN2v8" name) __attribute__((weak))
#define V8_CONST(name) __asm__("_ZNK2v8" name) __attribute__((weak))

extern "C" {
bool
is_in_use(const struct isolate *) V8("7Isolate7IsInUseEv");
void
request_interrupt(struct isolate *, void (*)(struct isolate *, void *), void *)
	V8("7Isolate16RequestInterruptEPFvPS0_PvES2_");
void
print_stack(struct isolate *, std::ostream &)
	V8("7Message22PrintCurrentStackTraceEPNS_7IsolateERSo");
void
print_filtered_stack(
	struct isolate *, std::ostream &, bool (*)(struct isolate *, struct string *))
	V8("7Message22PrintCurrentStackTraceEPNS_7IsolateERSoPFbS2_NS_5LocalINS_"
	   "6StringEEEE");
const struct trace *
current_stack(struct isolate *, int limit, int options)
	V8("10StackTrace17CurrentStackTraceEPNS_7IsolateEiNS0_17StackTraceOptionsE");
int
frame_count(const struct trace *) V8_CONST("10StackTrace13GetFrameCountEv");
const struct frame *
get_frame(const struct trace *, struct isolate *, uint32_t)
	V8_CONST("10StackTrace8GetFrameEPNS_7IsolateEj");
struct location
get_location(const struct frame *) V8_CONST("10StackFrame11GetLocationEv");
const struct string *
get_function(const struct frame *) V8_CONST("10StackFrame15GetFunctionNameEv");
const struct string *
get_script(const struct frame *) V8_CONST("10StackFrame24GetScriptNameOrSourceURLEv");
int
write_utf8(const struct string *, struct isolate *, char *, int bytes, int *units,
	int options) V8_CONST("6String9WriteUtf8EPNS_7IsolateEPciPii");
size_t
write_utf8_v2(const struct string *, struct isolate *, char *, size_t bytes, int options,
	size_t *units) V8_CONST("6String11WriteUtf8V2EPNS_7IsolateEPcmiPm");
}

namespace
{

const int overview = 0x0f;                  /* of CurrentStackTrace */
const int no_terminator_no_orphans = 2 | 8; /* options of WriteUtf8 */
const int no_orphans = 2;                   /* of WriteUtf8V2 */

/* V8 takes time that grows with the square of the depth to print a stack: 14 ms for 1000
 * frames, more than a second for 9000. */
const int deep = 128;

const uint64_t again_ns = 10000000000u; /* an answer that takes longer may never come */
const unsigned again_times = 16;
const size_t deque_node_bytes = 512; /* what libstdc++'s deque allocates at a time */

enum state { FREE, PENDING, BUSY, RUNNING };

/* Written by the helper while FREE or BUSY, read by the isolate's thread while RUNNING. */
struct request {
	std::atomic<int> state;
	std::atomic<struct isolate *> isolate;
	uint32_t tid;
	unsigned times; /* that V8 was asked and has not answered */
	std::atomic<uint64_t> asked_ns;
	struct segment_capture *record;
	uint64_t sequence;
	std::atomic<int> answer; /* enum v8_answer */
	struct location place;   /* of the only frame that the record has */
};

struct request requests[64];
uint64_t (*clock_now_ns)(void);

/* A stream into memory that is there; what does not fit is dropped. */
class text : public std::streambuf
{
      public:
	text(char *start, size_t bytes)
	{
		setp(start, start + bytes);
	}

	size_t
	used() const
	{
		return static_cast<size_t>(pptr() - pbase());
	}

	size_t
	room() const
	{
		return static_cast<size_t>(epptr() - pptr());
	}

	/* Drop the last line's end, or the line if it has none. */
	void
	cut_line(bool has_end)
	{
		while (!has_end && pptr() > pbase() && pptr()[-1] != '\n')
			pbump(-1);
		if (pptr() > pbase() && pptr()[-1] == '\n')
			pbump(-1);
	}

	void
	put(struct isolate *isolate, const struct string *string)
	{
		size_t bytes = write_utf8_v2
				       ? write_utf8_v2(string, isolate, pptr(), room(),
						 no_orphans, nullptr)
				       : static_cast<size_t>(write_utf8(string, isolate,
						 pptr(), static_cast<int>(room()),
						 nullptr, no_terminator_no_orphans));

		pbump(static_cast<int>(bytes));
	}

	/* Tell whether all of it is what V8 prints faithfully. */
	bool
	is_ascii() const
	{
		for (const char *c = pbase(); c < pptr(); c++)
			if ((*c < ' ' || *c > '~') && *c != '\n')
				return false;
		return true;
	}

	/* Tell whether so many frames have lines of their own: V8 10 writes them without
	 * anything between. */
	bool
	has_lines(int frames) const
	{
		const char *c = pbase();

		while (c < pptr() && *c != '\n')
			c++;
		return frames < 2 || c < pptr();
	}

	void
	clear()
	{
		setp(pbase(), epptr());
	}
};

bool
has_frames()
{
	return current_stack && frame_count && get_frame && get_location &&
	       get_function && get_script && (write_utf8 || write_utf8_v2);
}

/* V8's own text: has the names of receivers and of built-in functions. */
void
print(struct isolate *isolate, std::ostream &out)
{
	if (print_stack)
		print_stack(isolate, out);
	else
		print_filtered_stack(isolate, out, nullptr);
}

/* The same from single frames, which are not too many and whose names are UTF-8: V8's own
 * text has one byte for each UTF-16 unit. */
void
write_frames(struct isolate *isolate, const struct trace *trace, text &buffer,
	std::ostream &out)
{
	int count = frame_count(trace);

	for (int i = 0; i < count && !out.fail(); i++) {
		const struct frame *frame =
			get_frame(trace, isolate, static_cast<uint32_t>(i));
		const struct string *function = get_function(frame);
		const struct string *script = get_script(frame);
		struct location location = get_location(frame);

		if (function) {
			buffer.put(isolate, function);
			out << " (";
		}
		if (script)
			buffer.put(isolate, script);
		else
			out << "<anonymous>";
		out << ':' << location.line + 1 << ':' << location.column + 1
		    << (function ? ")\n" : "\n");
	}
}

/* Write the stack into the record. */
void
write(struct isolate *isolate, const struct trace *trace, struct segment_capture *record)
{
	text buffer(record->js, sizeof(record->js));
	std::ostream out(&buffer);

	if (!trace || frame_count(trace) <= deep)
		print(isolate, out);
	if (trace && (!buffer.used() || !buffer.is_ascii() ||
			     !buffer.has_lines(frame_count(trace)))) {
		buffer.clear();
		out.clear();
		write_frames(isolate, trace, buffer, out);
	}
	buffer.cut_line(!out.fail());
	record->js_bytes = static_cast<uint32_t>(buffer.used());
}

/* Tell whether the record is still the one that was asked for. */
bool
is_current(const struct request *request)
{
	uint64_t sequence = __atomic_load_n(&request->record->sequence, __ATOMIC_ACQUIRE);

	return sequence == request->sequence || sequence == request->sequence - 1;
}

/* How far the place is behind the other one in its file. */
int
compare(const struct location &a, const struct location &b)
{
	return a.line != b.line ? a.line - b.line : a.column - b.column;
}

/*
 * Put the stack into the record, unless what it has already says more. An async function
 * that goes on looks for interrupts before it has come to where it was, and nearly nowhere
 * else if all it does is await: of such a function the later place is the one that tells.
 */
enum v8_answer
take(struct isolate *isolate, struct request *request)
{
	struct segment_capture *record = request->record;
	uint64_t now_ns = clock_now_ns();
	const struct trace *trace =
		has_frames() ? current_stack(isolate, deep + 1, overview) : nullptr;
	bool again = record->js_bytes, alone = trace && frame_count(trace) == 1;
	struct location place = {};

	if (again && trace && frame_count(trace) == 0)
		return V8_DOUBTFUL;
	if (alone)
		place = get_location(get_frame(trace, isolate, 0));
	if (again && alone && compare(place, request->place) <= 0)
		return compare(place, request->place) ? V8_FULL : V8_DOUBTFUL;
	write(isolate, trace, record);
	if (!record->js_bytes || !is_current(request))
		return V8_DOUBTFUL;
	request->place = place;
	record->js_taken_ns = now_ns;
	__atomic_store_n(&record->js_state, SEGMENT_JS_TAKEN, __ATOMIC_RELEASE);
	return alone && !again ? V8_DOUBTFUL : V8_FULL;
}

/* V8 calls this on the isolate's own thread. */
void
answer(struct isolate *isolate, void *data)
{
	struct request *request = static_cast<struct request *>(data);
	int pending = PENDING;

	if (request->isolate != isolate)
		return;
	if (!request->state.compare_exchange_strong(pending, RUNNING)) {
		/* The helper has it just now: V8 must be asked anew the next time. */
		if (pending == BUSY)
			request->asked_ns = 0;
		return;
	}
	if (request->isolate != isolate) {
		request->state = PENDING;
		return;
	}
	if (request->record && is_current(request))
		request->answer = take(isolate, request);
	request->times = 0;
	request->state = FREE;
}

/* The isolate's request, or one for it: that waits for nothing, or has for the longest. */
struct request *
find(const struct isolate *isolate, uint32_t tid)
{
	struct request *oldest = &requests[0];

	for (struct request &request : requests)
		if (request.isolate == isolate && request.tid == tid)
			return &request;
	for (struct request &request : requests) {
		if (request.state == FREE)
			return &request;
		if (request.asked_ns < oldest->asked_ns)
			oldest = &request;
	}
	return oldest;
}

/* Have the request for us alone. Returns the state that it had, or -1. */
int
hold(struct request *request)
{
	int state = request->state;

	return state != RUNNING && request->state.compare_exchange_strong(state, BUSY)
		       ? state
		       : -1;
}

void
prepare()
{
	/* The allocator's cache for this thread has it then, and needs no lock. Volatile,
	 * lest the compiler leave out both calls. */
	void *volatile node = malloc(deque_node_bytes);

	free(node);
}

int
ask(void *of, uint32_t tid, struct segment_capture *record, uint64_t sequence)
{
	struct isolate *isolate = static_cast<struct isolate *>(of);
	struct request *request = find(isolate, tid);
	uint64_t now_ns = clock_now_ns();
	bool same = request->isolate == isolate && request->tid == tid;
	int state;

	/* An isolate that is being disposed of is not in use. */
	if (!is_in_use(isolate))
		return -1;
	state = hold(request);
	if (state < 0)
		return -1;
	request->isolate = isolate;
	request->tid = tid;
	request->record = record;
	request->sequence = sequence;
	request->answer = V8_NONE;
	if (!same)
		request->times = 0;
	if (same && state == PENDING &&
		(request->times >= again_times ||
			now_ns - request->asked_ns < again_ns)) {
		request->state = PENDING;
		return 0;
	}
	request->asked_ns = now_ns;
	request->times++;
	request->state = PENDING;
	request_interrupt(isolate, answer, request);
	return 0;
}

int
forget(const struct segment_capture *record)
{
	for (struct request &request : requests) {
		int state;

		if (request.record != record)
			continue;
		state = hold(&request);
		if (state < 0)
			return -1;
		request.record = nullptr;
		request.state = state;
	}
	return 0;
}

enum v8_answer
answered(const struct segment_capture *record)
{
	for (struct request &request : requests)
		if (request.record == record)
			return static_cast<enum v8_answer>(request.answer.load());
	return V8_NONE;
}

const struct v8_module module = {prepare, ask, answered, forget};

} // namespace

const struct v8_module *
looplag_v8(uint64_t (*clock_ns)(void))
{
	if (!request_interrupt || !is_in_use || (!print_stack && !print_filtered_stack))
		return nullptr;
	clock_now_ns = clock_ns;
	return &module;
}
