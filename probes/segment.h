/* SPDX-License-Identifier: MIT */
/*
 * The segment: the memory that one target writes and the daemon reads, and the message
 * that hands it over. Reading this header is enough to write a reader.
 *
 *   0        header            4096 bytes   who this is, what was dropped
 *   4096     thread records    64 bytes each, one for each slot
 *   slots_offset   loop slots  12288 bytes each
 *   capture_offset captures   16384 bytes each, 8 of them: stacks of stalled loops
 *
 * A segment belongs to a process and the children that it forks: they inherit the mapping
 * and claim slots of their own in it. Such a family is one trust domain, and a reader
 * believes nothing that stands here without checking it.
 *
 * All fields are little or big endian as the machine is, naturally aligned, and written as
 * whole words with relaxed or stronger atomics. Times are nanoseconds of the target's
 * CLOCK_MONOTONIC. Counters start at zero and only grow, through all the loops that use a
 * slot one after the other; nothing is ever reset. (A few of slot.events may be taken back
 * where a loop is ended while its only waiter comes back.)
 *
 * How to read a slot, with `load` an atomic or a pread of its own, in this order:
 *
 *	do {
 *		sequence = load(slot.sequence);     acquire
 *		copy the slot
 *		fence(acquire);
 *		copy.state = load(slot.state);      acquire
 *		now = load(slot.sequence);
 *	} while (segment_is_written(copy.state, now) || now != sequence);
 *
 * Between two updates waits come and go, so the state alone may change; one that was read
 * before the sequence may be older than the counts. A writer is inside for some tens of
 * nanoseconds, unless the kernel takes its CPU away just then: give up after a few tries, and
 * keep what the last read gave or take a copy that is not all of one moment, whose counts may
 * be younger than its state. Fields that are marked "added" may change at any time and are
 * not part of that agreement.
 */
#ifndef LOOPLAG_PROBES_SEGMENT_H
#define LOOPLAG_PROBES_SEGMENT_H

#include <stdint.h>

#include "probes/histogram.h"

#define SEGMENT_MAGIC 0x31474c504f4f4cull /* "LOOPLG1" */
#define SEGMENT_VERSION 1u
#define SEGMENT_COMPAT_VERSION 1u

#define SEGMENT_PAGE 4096u
#define SEGMENT_SLOTS_DEFAULT 64u
#define SEGMENT_SLOTS_MAX 1024u
#define SEGMENT_RING 32u
#define SEGMENT_CAPTURES 8u
#define SEGMENT_CAPTURE_BYTES 131072u /* of all of them */
#define SEGMENT_NAME_BYTES 64u

/* An iteration at least this long is put into the slot's ring. */
#define SEGMENT_LONG_NS 10000000u
/* A round is 2^25 ns, 34 ms. */
#define SEGMENT_ROUND_SHIFT 25

/*
 * slot.state, the word around which everything turns:
 *
 *   0                       free, never used, or its loop has ended
 *   ATTENDED | n            n threads are in the loop's wait call (0: a loop that rests
 *                           inside another one's wait; it is not late)
 *   ATTENDED|UNTIL | s << 16 | n
 *                           the same, and one of them is writing the slot until slot.sequence
 *                           is s, of which these are the low 32 bits; nobody is from then on
 *   ATTENDED|RECORDING | n  somebody is writing the slot, be it one of them or not; UNTIL
 *                           says nothing then
 *   t, below 2^61           unattended since t
 */
#define SEGMENT_ATTENDED (1ull << 63)
#define SEGMENT_RECORDING (1ull << 62)
#define SEGMENT_UNTIL (1ull << 61)
#define SEGMENT_UNTIL_SHIFT 16
#define SEGMENT_UNTIL_MASK (SEGMENT_UNTIL | 0xffffffffull << SEGMENT_UNTIL_SHIFT)
#define SEGMENT_WAITERS 0xffffull

/* Tell whether a slot is being written, to whom its state was read before its sequence. A state
 * that was out of date by then is not: whoever builds on the answer swaps that very state, or
 * knows that the sequence was the same before. */
static inline int
segment_is_written(uint64_t state, uint64_t sequence)
{
	if (!(state & SEGMENT_ATTENDED))
		return 0;
	return state & SEGMENT_RECORDING ||
	       (state & SEGMENT_UNTIL &&
		       (int32_t)((uint32_t)(state >> SEGMENT_UNTIL_SHIFT) -
				 (uint32_t)sequence) > 0);
}

enum segment_kind {
	SEGMENT_KIND_EPOLL = 1,
	SEGMENT_KIND_POLL = 2,
	SEGMENT_KIND_SELECT = 3,
	SEGMENT_KIND_CUSTOM = 4, /* registered by the program itself */
};

enum segment_helper {
	SEGMENT_HELPER_NONE = 0,    /* no helper thread, or none yet */
	SEGMENT_HELPER_AWAKE = 1,   /* takes stacks */
	SEGMENT_HELPER_REFUSED = 2, /* LOOPLAG_STACKS=0: nobody may take stacks */
};

/* header.runtime and hello.runtime: what the process was seen to export at its start. */
#define SEGMENT_RUNTIME_V8 1u
#define SEGMENT_RUNTIME_CPYTHON 2u

/* Written by the process that made the segment, before it hands it over, and constant
 * then, except where a field says otherwise. */
struct segment_header {
	uint64_t magic;
	uint32_t version;
	uint32_t compat_version; /* the oldest version whose reader understands this */
	uint64_t size;           /* bytes of the whole segment */
	uint8_t id[16];          /* random; the same after a registration anew */
	uint32_t pid;            /* as its own pid namespace counts */
	uint32_t runtime;        /* SEGMENT_RUNTIME_* */
	uint32_t thread_count;   /* number of thread records; equals slot_count */
	uint32_t slot_count;
	uint32_t threads_offset;
	uint32_t slots_offset;
	uint32_t capture_offset;
	uint32_t capture_bytes;
	/* Which 32-bit word of a thread record's lock holds the owner's tid: what this
	 * libc's robust mutex looks like was found out by locking one. */
	uint32_t owner_word;
	uint32_t registrations; /* how often this process has registered before */
	uint64_t created_ns;
	char exe[SEGMENT_NAME_BYTES];   /* file name it was executed by, no directory */
	char group[SEGMENT_NAME_BYTES]; /* LOOPLAG_GROUP, or empty */
	/* Added by any thread of the family: */
	uint64_t slots_used;      /* slots 0..slots_used-1 have been used */
	uint64_t dropped_loops;   /* loops that found no free slot */
	uint64_t dropped_threads; /* threads that found no free record */
	uint64_t other_waits[4];  /* wait calls outside any loop, by segment_kind - 1 */
	/* Whether somebody takes stacks when the bell is rung: enum segment_helper. Written
	 * by any helper of the family; SEGMENT_HELPER_REFUSED before the hand-over. */
	uint32_t helper;
	/* Added: grows when a loop begins, and when one comes back from a wait, once a round
	 * at least (see slot.round): as long as it stays no loop has come back that had not
	 * in this round. Wraps around; 0: nobody counts. */
	uint32_t wakes;
	uint8_t reserved[SEGMENT_PAGE - 280];
};

/*
 * One for each thread that has a loop. The thread locks the robust mutex once and never
 * unlocks it: word `owner_word` of it holds the thread's tid (bits 0-29), and the kernel
 * sets bit 30 (FUTEX_OWNER_DIED) when the thread ends, is killed or calls exec. 0 if the
 * record was never used. Written by that thread and the kernel, which wipes the tid then;
 * `tid` keeps it. Records are used for the first time in their order.
 */
#define SEGMENT_LOCK_BYTES 48
struct segment_thread {
	uint32_t lock[SEGMENT_LOCK_BYTES / 4];
	uint32_t generation; /* added: how many threads have used this record */
	uint32_t tid;        /* of the last one; written when it has locked the mutex */
	uint32_t reserved[2];
};

#define SEGMENT_TID_MASK 0x3fffffffu
#define SEGMENT_OWNER_DIED 0x40000000u

/* An iteration of at least SEGMENT_LONG_NS. */
struct segment_long {
	uint64_t start_ns;
	uint64_t length_ns;
	uint64_t nested_ns; /* of it, spent in the wait calls of others */
	uint64_t iteration; /* value of slot.iterations after it; 0: never written */
};

/*
 * Everything but the "added" fields is written by the one thread that has put
 * SEGMENT_UNTIL or SEGMENT_RECORDING into `state`, which takes it by compare-and-swap from an
 * unattended state, as a rule, and gives it back by the sequence, or by the state, with
 * release; readers are the daemon and the next such writer. A thread that attends writes while
 * it is a waiter: as long as it is, no other one finds the loop unattended, so that it need
 * not say in `state` that it is done.
 */
struct segment_slot {
	/* What waits write, in one cache line, which threads may have to pass around: */
	uint64_t state; /* atomic, any thread of the loop: see above */
	uint64_t
		sequence; /* grows with every update of this slot, with release: last, but
			    * for the state where that said RECORDING */
	uint64_t iterations;
	uint64_t active_ns; /* sum of all iterations: unattended time */
	uint64_t last_ns;   /* when the last iteration ended */
	/* added: what the waits returned, summed up, in two parts: of those who were the only
	 * waiter, one at a time; and of one of several */
	uint64_t events, shared_events;
	uint64_t other_waits; /* added: waits of this loop that ended no iteration */
	/* What most of them only read: */
	uint64_t max_ns;         /* the longest iteration */
	uint32_t kind;           /* enum segment_kind */
	uint32_t life;           /* grows whenever another loop takes the slot */
	uint32_t thread;         /* thread record of the loop's first thread */
	int32_t descriptor;      /* of the epoll instance; -1 for the other kinds */
	uint64_t born_ns;        /* entry of the loop's first wait */
	uint64_t ended_ns;       /* when the loop was seen to have ended; 0: it has not */
	uint64_t past_life_ns;   /* total life of the loops that had the slot before */
	uint64_t long_count;     /* ring entries written so far; the next goes to index
				  * long_count % SEGMENT_RING */
	uint64_t nested_wait_ns; /* added: in iterations, time in the waits of others */
	char label[SEGMENT_NAME_BYTES - 32]; /* name given by the program, or empty */
	/* added: when the wait for something else began in which a thread of the loop is
	 * right now, inside an iteration; 0, or before that iteration began: in none */
	uint64_t nested_since_ns;
	/* added: the round, a time >> SEGMENT_ROUND_SHIFT, in which a wait of the loop last
	 * added to header.wakes */
	uint64_t round;
	uint64_t reserved[10];
	struct segment_long ring[SEGMENT_RING];
	struct histogram iteration;   /* lengths of the iterations */
	struct band_histogram wakeup; /* added: how late waits came back */
	uint8_t padding[12288 - 256 - 1024 - 8112 - 920];
};

_Static_assert(sizeof(struct segment_header) == SEGMENT_PAGE, "header is one page");
_Static_assert(sizeof(struct segment_thread) == 64, "thread record");
_Static_assert(sizeof(struct segment_slot) == 12288, "slot is three pages");

/*
 * A capture: where the thread of a stalled loop was, or the thread that holds the lock that
 * the loop waits for. Written by a helper, which claims the oldest record by making its
 * sequence odd and gives it back by making it even again; the part about JavaScript is
 * written later, by the loop's own thread, if the sequence is still the one that it was
 * asked for. A reader copies a record when its sequence is even and not 0, and drops the
 * copy if the sequence has changed meanwhile.
 */
enum segment_role {
	SEGMENT_ROLE_LOOP = 1, /* the stalled loop's thread */
	SEGMENT_ROLE_HOLDER =
		2, /* the thread that holds the GIL for which that one waits */
};

enum segment_result {
	SEGMENT_RESULT_TAKEN = 1,
	SEGMENT_RESULT_HANDLER = 2, /* the program has a SIGURG handler of its own */
	SEGMENT_RESULT_SILENT = 3,  /* the thread did not take the signal in time */
	SEGMENT_RESULT_OVER = 4,    /* the stall had ended meanwhile */
	SEGMENT_RESULT_SANDBOX = 5, /* a system call filter was set up after the start */
	SEGMENT_RESULT_FAILED = 6,
	SEGMENT_RESULT_BLOCKED = 7, /* the thread blocks SIGURG */
};

#define SEGMENT_CAPTURE_WAITS_GIL 1u /* flags: it was waiting for the interpreter lock */
#define SEGMENT_CAPTURE_HOLDS_GIL 2u
#define SEGMENT_CAPTURE_PYTHON 4u    /* the thread has a Python thread state */
#define SEGMENT_CAPTURE_TRUNCATED 8u /* there were more native frames */

enum segment_js {
	SEGMENT_JS_NONE = 0,
	SEGMENT_JS_ASKED = 1, /* V8 was asked to interrupt; it has not answered yet */
	SEGMENT_JS_TAKEN = 2,
};

#define SEGMENT_NATIVE_FRAMES 64u
#define SEGMENT_MODULES 32u
#define SEGMENT_NO_MODULE UINT32_MAX

/* A native frame, innermost first: a return address less 1, but the first one. */
struct segment_native {
	uint64_t offset; /* address less the module's load bias; the address itself where
			  * there is no module: code made at run time */
	uint32_t module; /* index into modules, or SEGMENT_NO_MODULE */
	uint32_t reserved;
};

struct segment_module {
	uint32_t name; /* where its path begins in names, which ends with a 0 */
	uint32_t build_id_bytes;
	uint8_t build_id[24];
};

struct segment_capture {
	uint64_t sequence;
	uint64_t since_ns; /* of the stalled iteration: its slot's state */
	uint64_t taken_ns; /* when the thread was stopped for it */
	uint32_t slot;
	uint32_t tid;    /* of the captured thread, as the process counts */
	uint32_t role;   /* enum segment_role */
	uint32_t result; /* enum segment_result */
	uint32_t flags;  /* SEGMENT_CAPTURE_* */
	uint32_t native_count;
	uint32_t module_count;
	uint32_t python_bytes;
	uint64_t js_taken_ns;
	uint32_t js_bytes;
	uint32_t js_state; /* enum segment_js; stored last, with release */
	uint64_t reserved[7];
	struct segment_native natives[SEGMENT_NATIVE_FRAMES];
	struct segment_module modules[SEGMENT_MODULES];
	char names[2048];
	/* As _Py_DumpTraceback writes it: "  File "PATH", line N in FUNCTION" a line. */
	char python[6144];
	/* As v8::Message::PrintCurrentStackTrace writes it: "FUNCTION (PATH:LINE:COLUMN)" a
	 * line, or without a function "PATH:LINE:COLUMN". */
	char js[6016];
};

_Static_assert(sizeof(struct segment_capture) * SEGMENT_CAPTURES == SEGMENT_CAPTURE_BYTES,
	"captures fill their area");

/* Size of a segment with so many slots (64 to 1024). */
static inline uint64_t
segment_size(uint32_t slots)
{
	uint64_t threads =
		(slots * (uint64_t)sizeof(struct segment_thread) + 4095) / 4096;

	return SEGMENT_PAGE + threads * 4096 +
	       slots * (uint64_t)sizeof(struct segment_slot) + SEGMENT_CAPTURE_BYTES;
}

/*
 * The hello: one message on the daemon's SOCK_SEQPACKET socket, with the segment's
 * descriptor, and no answer. The daemon takes from it what the kernel cannot tell.
 */
struct segment_hello {
	uint64_t magic; /* SEGMENT_MAGIC */
	uint32_t version;
	uint32_t bytes;        /* sizeof(struct segment_hello) */
	uint64_t segment_size; /* must be the size of the descriptor's file */
	uint64_t clock_ns;     /* CLOCK_MONOTONIC at sending */
	uint32_t slot_count;
	uint32_t pid;
	uint32_t runtime;
	uint32_t registrations;
	uint8_t id[16];
	char exe[SEGMENT_NAME_BYTES];
	char group[SEGMENT_NAME_BYTES];
	uint8_t reserved[64];
};

_Static_assert(sizeof(struct segment_hello) == 256, "hello is 256 bytes");

/*
 * The doorbell: a page beside the socket, written by the daemon, mapped read-only by its
 * targets. The helper of a process futex-waits on the bell of its segment, bells[id[0]], and
 * when that word has changed it looks what is wanted:
 *
 *  - `daemon` has changed: another daemon has come up without the segments of the last one;
 *    register again;
 *  - a loop of this process has been unattended for at least stall_us: take its stack.
 *
 * Segments may share a bell; a helper that finds nothing to do goes to sleep again.
 */
#define SEGMENT_BELLS 256u
struct segment_doorbell {
	uint64_t magic; /* SEGMENT_MAGIC */
	uint32_t version;
	uint32_t daemon;
	uint32_t stall_us; /* 0: no stacks are wanted */
	uint32_t bells[SEGMENT_BELLS];
	uint8_t reserved[SEGMENT_PAGE - 20 - 4 * SEGMENT_BELLS];
};

_Static_assert(sizeof(struct segment_doorbell) == SEGMENT_PAGE, "doorbell is one page");

#endif
