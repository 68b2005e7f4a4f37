/* SPDX-License-Identifier: MIT */
/*
 * Captures in a segment that is written to between any two reads: each look is a bounded
 * number of reads, a record is taken twice at most, and what is taken is of the stall that
 * was asked for.
 *
 * The input is a program: a byte below 128 is a look, so many times 5 ms later; any other
 * one writes a word of a record, and within a look those up to the next look do before each
 * single read.
 */

#include "config.h"

#include "daemon/capture_records.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define SINCE_NS 1000000000ull
#define SLOT 3u
/* A glance at each record, and three tries of three reads. */
#define READS_MAX (SEGMENT_CAPTURES * 20u)
#define HEAD_WORDS (offsetof(struct segment_capture, natives) / 8)

static struct segment_capture *segment;
static int fd;
static struct fuzz_input input;
static unsigned reads, writes;

/* Words of the head, half of them such as they should be. */
static void
run_write(void)
{
	static const uint32_t good[] = {SEGMENT_ROLE_LOOP, SEGMENT_ROLE_HOLDER};
	uint8_t what = fuzz_byte(&input), where = fuzz_byte(&input);
	struct segment_capture *record = &segment[what % SEGMENT_CAPTURES];

	switch (what / SEGMENT_CAPTURES % 4) {
	case 0:
		record->since_ns = SINCE_NS;
		record->slot = SLOT;
		record->role = good[where % 2];
		record->result = where / 2 % 9;
		record->flags = where / 32;
		break;
	case 1:
		record->js_state = where % 3;
		break;
	case 2:
		record->sequence += where;
		break;
	default:
		((uint64_t *)record)[where % HEAD_WORDS] = fuzz_number(&input, SINCE_NS);
	}
	writes++;
}

ssize_t
__real_pread(int fd, void *to, size_t size, off_t offset);
ssize_t
__wrap_pread(int from, void *to, size_t size, off_t offset);
ssize_t
__wrap_pread(int from, void *to, size_t size, off_t offset)
{
	fuzz_check(++reads <= READS_MAX);
	if (input.left && *input.at >= 128)
		run_write();
	return __real_pread(from, to, size, offset);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fd = memfd_create("looplag", MFD_CLOEXEC);
	fuzz_check(fd >= 0 && ftruncate(fd, SEGMENT_CAPTURE_BYTES) == 0);
	segment = mmap(
		NULL, SEGMENT_CAPTURE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_check(segment != MAP_FAILED);
	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++) {
		strcpy(segment[i].python, "  File \"/srv/app.py\", line 12 in save\n");
		segment[i].python_bytes = (uint32_t)strlen(segment[i].python);
		strcpy(segment[i].js, "crunch (/srv/app.js:2:3)\n");
		segment[i].js_bytes = (uint32_t)strlen(segment[i].js);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct segment_header header = {.capture_bytes = SEGMENT_CAPTURE_BYTES};
	struct capture_records records = {
		.place = capture_reader_place(fd, &header), .key = {SLOT, SINCE_NS}};
	unsigned looks = 0, shown = 0;
	uint64_t now_ns = SINCE_NS;
	bool ended;

	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++)
		memset(&segment[i], 0, offsetof(struct segment_capture, python_bytes));
	input = (struct fuzz_input){data, size};
	writes = 0;
	ended = fuzz_byte(&input) % 2;
	while (input.left) {
		struct capture_answer answer = {0};

		if (*input.at >= 128) {
			run_write();
			continue;
		}
		now_ns += fuzz_byte(&input) * 5000000ull;
		reads = 0;
		capture_records_look(&records, ended, now_ns, &answer);
		looks++;
		shown += answer.capture != NULL;
		fuzz_check(!answer.capture ||
			   (answer.capture->result == SEGMENT_RESULT_TAKEN &&
				   answer.capture->script_count <= CAPTURE_SCRIPTS));
		fuzz_check(answer.settled <= SEGMENT_CAPTURES);
		fuzz_check(!answer.provisional || capture_records_await(&records));
		capture_free(answer.capture);
	}
	/* Nothing is shown that was not written, once without its JavaScript part. */
	fuzz_check(shown <= looks && shown <= 2 * writes);
	fuzz_check(capture_records_settle(&records) <= SEGMENT_CAPTURES);
	fuzz_check(!capture_records_await(&records));
	return 0;
}
