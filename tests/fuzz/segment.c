/* SPDX-License-Identifier: MIT */
/*
 * A hostile target: its segment is written to between any two reads of it, and says what
 * the input wants. Whatever that is, each look at it is a bounded number of reads, no
 * counter of a scrape falls, no loop is unattended for longer than it lives or has more
 * stalls than time has passed, and the group of its honest neighbour is exact.
 *
 * The input is a program of one byte instructions with their operands. Those that write come
 * into effect one after the other; within a look those up to the next PASS do before each
 * single read.
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/captures.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/family.h"
#include "daemon/groups.h"
#include "daemon/naming.h"
#include "daemon/quota.h"
#include "daemon/reception.h"
#include "daemon/stalls.h"
#include "daemon/target.h"
#include "tests/fuzz/fuzz.h"

#define SLOTS SEGMENT_SLOTS_DEFAULT
#define BYTES segment_size(SLOTS)
#define WRITTEN 4u /* slots */
#define START_NS 1000000000000ull
#define MS 1000000ull
#define ZERO_NS 1000u
#define LOOKS_MAX 24
/* A slot is tried twenty times, with three reads each, and glanced at before. */
#define READS_MAX (SLOTS * 80ul)
/* What a process may be older than it seems. */
#define SLACK_NS (20 * MS)

enum { PASS, WRITE_HEADER, WRITE_THREAD, WRITE_SLOT, WRITE_RING, WRITE_HISTOGRAM };
enum { WRITE_BYTES = 6, BEGIN, WAKE, WAIT, LAST_WRITE = WAIT };
enum { ADVANCE = 10, READ, SCRAPE, WATCH, DIE, NEIGHBOUR, INSTRUCTIONS };

struct actor {
	struct target *target;
	struct segment_header *header;
	struct segment_thread *threads;
	struct segment_slot *slots;
};

/* With and without the seal that lets the daemon map a segment. */
static int segments[2], neighbours_segment;
static void *maps[2], *neighbours_map;
static struct actor hostile, neighbour;
static struct fuzz_input input;
static uint64_t now_ns;
static struct groups *groups;
static struct quota *quota;
static struct target_stalls stalls;
static struct collector_stats stats;
static unsigned long reads;
static bool looking; /* at the hostile one: it answers with writes */

uint64_t
__wrap_event_now_ns(void);
uint64_t
__wrap_event_now_ns(void)
{
	return now_ns;
}

void
__wrap_captures_look(struct captures *captures, const struct captures_place *place,
	bool ended, uint64_t at_ns);
void
__wrap_captures_look(struct captures *captures, const struct captures_place *place,
	bool ended, uint64_t at_ns)
{
	(void)captures, (void)ended, (void)at_ns;
	fuzz_check(place->stall && place->groupname && place->slot < SLOTS);
}

static void
write_word(void *base, size_t size)
{
	uint64_t *words = base;
	size_t count = size / sizeof(*words);
	uint16_t index;

	(void)fuzz_bytes(&input, &index, sizeof(index));
	words[index % count] = fuzz_number(&input, now_ns);
}

/* What an honest loop would write. */
static void
play_loop(struct segment_slot *slot, unsigned what)
{
	uint64_t length_ns = now_ns - slot->state;

	if (what == BEGIN) {
		slot->born_ns = slot->last_ns = now_ns;
		slot->life++;
		slot->kind = SEGMENT_KIND_EPOLL;
		slot->state = SEGMENT_ATTENDED | 1;
		slot->sequence++;
	} else if (what == WAKE) {
		slot->events++;
		slot->state = now_ns;
	} else if (what == WAIT) {
		slot->iterations++;
		slot->active_ns += length_ns;
		slot->last_ns = now_ns;
		slot->max_ns = length_ns > slot->max_ns ? length_ns : slot->max_ns;
		histogram_record(&slot->iteration, length_ns);
		if (length_ns >= SEGMENT_LONG_NS)
			slot->ring[slot->long_count++ % SEGMENT_RING] =
				(struct segment_long){
					slot->state, length_ns, 0, slot->iterations};
		slot->state = SEGMENT_ATTENDED | 1;
		slot->sequence++;
	}
}

static void
run_write(unsigned what)
{
	struct segment_slot *slot = &hostile.slots[fuzz_byte(&input) % WRITTEN];

	switch (what) {
	case WRITE_HEADER:
		write_word(&hostile.header->slots_used, 64);
		break;
	case WRITE_THREAD:
		write_word(hostile.threads, WRITTEN * sizeof(struct segment_thread));
		break;
	case WRITE_SLOT:
		write_word(slot, offsetof(struct segment_slot, ring));
		break;
	case WRITE_RING:
		write_word(slot->ring, sizeof(slot->ring));
		break;
	case WRITE_HISTOGRAM:
		write_word(
			&slot->iteration, sizeof(slot->iteration) + sizeof(slot->wakeup));
		break;
	case WRITE_BYTES:
		(void)fuzz_bytes(
			&input, (char *)slot + 8 * fuzz_byte(&input), fuzz_byte(&input));
		break;
	default:
		play_loop(slot, what);
	}
}

ssize_t
__real_pread(int fd, void *to, size_t size, off_t offset);
ssize_t
__wrap_pread(int fd, void *to, size_t size, off_t offset);
ssize_t
__wrap_pread(int fd, void *to, size_t size, off_t offset)
{
	fuzz_check(++reads <= READS_MAX);
	while (looking && input.left && *input.at % INSTRUCTIONS <= LAST_WRITE) {
		unsigned what = fuzz_byte(&input) % INSTRUCTIONS;

		if (what == PASS)
			break;
		run_write(what);
	}
	return __real_pread(fd, to, size, offset);
}

static int
make_segment(unsigned seals, void **ret_map)
{
	int fd = memfd_create("looplag", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	fuzz_check(fd >= 0 && ftruncate(fd, (off_t)BYTES) == 0);
	*ret_map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_check(*ret_map != MAP_FAILED);
	fuzz_check(fcntl(fd, F_ADD_SEALS,
			   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | seals) == 0);
	return fd;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	segments[0] = make_segment(0, &maps[0]);
	segments[1] = make_segment(F_SEAL_FUTURE_WRITE, &maps[1]);
	neighbours_segment = make_segment(0, &neighbours_map);
	return 0;
}

static struct actor
make_actor(int segment, void *map, const char *groupname, uid_t uid)
{
	struct reception_guest guest = {.fd = dup(segment), .pidfd = -1, .uid = uid};
	static const struct naming naming = {.ignore_units = true};
	struct actor actor = {.header = map};

	memset(map, 0, 2 * SEGMENT_PAGE + WRITTEN * sizeof(struct segment_slot));
	actor.threads = (void *)((char *)map + SEGMENT_PAGE);
	actor.slots = (void *)((char *)map + 2 * SEGMENT_PAGE);
	*actor.header = (struct segment_header){
		.size = BYTES,
		.pid = 4711,
		.thread_count = SLOTS,
		.slot_count = SLOTS,
		.threads_offset = SEGMENT_PAGE,
		.slots_offset = 2 * SEGMENT_PAGE,
		.capture_offset = (uint32_t)BYTES - SEGMENT_CAPTURE_BYTES,
		.capture_bytes = SEGMENT_CAPTURE_BYTES,
		.slots_used = 1,
		.created_ns = now_ns,
	};
	actor.threads[0].lock[0] = actor.threads[0].tid = 4711;
	guest.hello.clock_ns = now_ns;
	snprintf(guest.hello.group, sizeof(guest.hello.group), "%s", groupname);
	actor.target =
		target_new(&guest, actor.header, groups, &naming, &stalls, quota, now_ns);
	fuzz_check(actor.target);
	return actor;
}

/* What a scrape shows of a series; none of it may ever fall. */
#define LIMITS 4
struct shown {
	uint64_t counts[6], stalls;
	double active, idle, squares, buckets[LIMITS];
};
static struct shown before[2][GROUPS_SERIES_MAX + 1];

static struct shown
show(const struct series_view *view)
{
	static const double limits[LIMITS] = {0.001, 0.1, 1, 100};
	const struct counters *total = view->total;
	struct shown shown = {
		.counts = {total->iterations, total->life_ns, total->active_ns,
			total->nested_wait_ns, total->events, total->waits},
		.active = series_active_seconds(view, total),
		.idle = series_idle_seconds(view, total),
		.squares = series_half_squares(view, total),
	};

	for (int i = 0; i < STALL_CAUSES; i++)
		shown.stalls += view->stalls->count[i];
	series_delay_buckets(view, total, limits, LIMITS, shown.buckets);
	return shown;
}

static void
check_growth(const struct shown *was, const struct shown *is)
{
	for (int i = 0; i < 6; i++)
		fuzz_check(is->counts[i] >= was->counts[i]);
	fuzz_check(is->stalls >= was->stalls);
	fuzz_check(is->active >= was->active);
	fuzz_check(is->idle >= was->idle);
	fuzz_check(is->squares >= was->squares);
	for (int i = 0; i < LIMITS; i++)
		fuzz_check(is->buckets[i] >= was->buckets[i]);
}

/* Nanoseconds of all loops of a group: slots may change the series when their loops do. */
struct sums {
	uint64_t life, unattended, stalled;
};

static void
add_series(const struct series_view *view, struct sums *sums)
{
	const struct counters *total = view->total;

	fuzz_check(histogram_total(&total->iteration) == total->iterations);
	sums->life += total->life_ns;
	sums->unattended += total->active_ns;
	for (size_t i = 0; i < view->open_count; i++)
		sums->unattended += view->open_ns[i];
	for (int i = 0; i < STALL_CAUSES; i++)
		sums->stalled += view->stalls->length_ns[i];
}

static void
check_neighbour(const struct shown *shown)
{
	const struct segment_slot *slot = &neighbour.slots[0];
	uint64_t open_ns = slot->state & SEGMENT_ATTENDED ? 0 : now_ns - slot->state;

	if (!slot->born_ns)
		return;
	fuzz_check(shown->counts[0] == slot->iterations);
	fuzz_check(shown->counts[1] == now_ns - slot->born_ns);
	fuzz_check(shown->counts[2] == slot->active_ns);
	/* Less than a microsecond is not open. */
	fuzz_check(shown->active * 1e9 <= (double)(slot->active_ns + open_ns) + 1);
	fuzz_check(
		shown->active * 1e9 + 2 * ZERO_NS >= (double)(slot->active_ns + open_ns));
}

static void
scrape(void)
{
	struct target_reading reading = {.stats = &stats};
	uint64_t budget_ns;

	/* An iteration below a microsecond is not shown while it lasts, but no two scrapes
	 * are so near. */
	now_ns += 2 * ZERO_NS;
	reading.now_ns = now_ns;
	budget_ns = SLOTS * (now_ns - START_NS + SLACK_NS);
	looking = true;
	target_read(hostile.target, &reading);
	looking = false;
	target_read(neighbour.target, &reading);
	groups_begin_reading(groups, now_ns);
	target_tell(hostile.target);
	target_tell(neighbour.target);
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);
		bool honest = strcmp(group.groupname, "neighbour") == 0;
		struct sums sums = {0};

		fuzz_check(honest || strcmp(group.groupname, "hostile") == 0);
		fuzz_check(group.series_count <= (honest ? 1 : GROUPS_SERIES_MAX + 1));
		for (size_t j = 0; j < group.series_count; j++) {
			struct series_view view = groups_series_view(groups, i, j);
			struct shown shown = show(&view);

			fuzz_check_clean(view.loop);
			check_growth(&before[honest][j], &shown);
			add_series(&view, &sums);
			before[honest][j] = shown;
			if (honest)
				check_neighbour(&shown);
		}
		fuzz_check(sums.unattended <= sums.life);
		fuzz_check(sums.life <= budget_ns && sums.stalled <= budget_ns);
	}
}

static void
run(unsigned what)
{
	struct target_reading reading = {.now_ns = now_ns, .stats = &stats};
	struct target_rest rest;
	static const unsigned next[] = {WAKE, WAIT};
	struct segment_slot *slot = &neighbour.slots[0];

	looking = true;
	switch (what) {
	case ADVANCE:
		now_ns += fuzz_number(&input, 100 * MS) % (1ull << 40);
		break;
	case READ:
		target_read(hostile.target, &reading);
		break;
	case SCRAPE:
		scrape();
		break;
	case WATCH:
		fuzz_check(target_watch(hostile.target, &reading, &rest) > now_ns);
		break;
	case DIE:
		target_died(hostile.target, fuzz_byte(&input) % 2 ? now_ns : 0);
		break;
	case NEIGHBOUR:
		play_loop(slot,
			slot->born_ns ? next[!(slot->state & SEGMENT_ATTENDED)] : BEGIN);
		break;
	}
	looking = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned which;

	input = (struct fuzz_input){data, size};
	which = fuzz_byte(&input) % 2;
	now_ns = START_NS;
	memset(before, 0, sizeof(before));
	stats = (struct collector_stats){0};
	groups = groups_new();
	quota = quota_new();
	stalls = (struct target_stalls){.threshold_ns = 100 * MS,
		.tick_ns = 25 * MS,
		.rest_ns = 75 * MS,
		.stalls = stalls_new()};
	fuzz_check(groups && quota && stalls.stalls);
	groups_set_quota(groups, quota);
	hostile = make_actor(segments[which], maps[which], "hostile", 1000);
	neighbour = make_actor(neighbours_segment, neighbours_map, "neighbour", 1001);
	for (unsigned looks = 0; input.left && looks < LOOKS_MAX;) {
		unsigned what = fuzz_byte(&input) % INSTRUCTIONS;

		looks += what == READ || what == SCRAPE || what == WATCH;
		reads = 0;
		if (what > LAST_WRITE)
			run(what);
		else if (what != PASS)
			run_write(what);
	}
	reads = 0;
	scrape();
	target_free(hostile.target);
	target_free(neighbour.target);
	stalls_free(stalls.stalls);
	groups_free(groups);
	quota_free(quota);
	return 0;
}
