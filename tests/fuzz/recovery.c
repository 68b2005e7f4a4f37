/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the records of a state directory: what they say is taken or refused, and a
 * daemon that has taken it scrapes, saves and ends in good order.
 *
 * The input is records: a byte for their kind, one for the index, one for the number, two
 * for the length, and the bytes.
 */

#include "config.h"

#include "daemon/recovery.h"

#include <errno.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/exporter.h"
#include "daemon/fd_store.h"
#include "daemon/groups.h"
#include "daemon/past.h"
#include "daemon/ledger.h"
#include "daemon/metrics.h"
#include "daemon/naming.h"
#include "daemon/process.h"
#include "daemon/quota.h"
#include "daemon/record.h"
#include "daemon/stalls.h"
#include "daemon/target.h"
#include "daemon/targets.h"
#include "daemon/text.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_input input;
static struct event_loop *loop;

bool
__wrap_ledger_next(
	struct ledger *ledger, struct ledger_key *ret_key, struct record *ret_record);
bool
__wrap_ledger_next(
	struct ledger *ledger, struct ledger_key *ret_key, struct record *ret_record)
{
	static uint8_t bytes[RECORD_BYTES];
	uint16_t length;

	(void)ledger;
	if (!input.left)
		return false;
	ret_key->kind = fuzz_byte(&input) % 8;
	ret_key->index = fuzz_byte(&input);
	ret_key->number = fuzz_byte(&input);
	(void)fuzz_bytes(&input, &length, sizeof(length));
	record_load(ret_record, bytes, fuzz_bytes(&input, bytes, length % RECORD_BYTES));
	return true;
}

/* No other process is to be looked into. */
int
__wrap_segment_finder_open(pid_t pid, const struct segment_header *header);
int
__wrap_segment_finder_open(pid_t pid, const struct segment_header *header)
{
	(void)pid, (void)header;
	return -1;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	loop = event_loop_new();
	fuzz_check(loop);
	return 0;
}

/* What was taken can be shown. */
static void
show(struct groups *groups, struct targets *targets, const struct collector_stats *stats)
{
	static const struct process_stats process;
	static const struct exporter_options options = {
		{0.01, 1}, .delay_bound_count = 2, .native_buckets = 20};
	struct metrics *metrics = exporter_begin();
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	fuzz_check(metrics && out);
	targets_read_begin(targets);
	while (targets_read_more(targets, event_now_ns()))
		;
	groups_begin_reading(groups, event_now_ns());
	for (size_t i = 0; i < groups_count(groups); i++) {
		targets_tell(targets, groups_at(groups, i));
		exporter_add_group(metrics, groups, i, &options);
	}
	exporter_finish(metrics, groups, stats, &process);
	fuzz_check(!metrics_failed(metrics));
	text_write(out, metrics);
	fclose(out);
	fuzz_check(size && strlen(text) == size);
	free(text);
	metrics_free(metrics);
	text = api_groups(groups, NULL, API_RUN);
	fuzz_check(text);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct naming naming = {.ignore_units = true};
	struct target_stalls stalls = {.threshold_ns = 100000000,
		.tick_ns = 25000000,
		.rest_ns = 75000000,
		.stalls = stalls_new()};
	struct collector_stats stats = {.targets = 0};
	struct groups *groups = groups_new();
	struct fd_store kept = {.count = 0};
	struct past *history = past_new();
	struct quota *quota = quota_new();
	struct targets *targets =
		targets_new(loop, groups, &naming, &stalls, &stats, quota);
	int r;

	fuzz_check(stalls.stalls && groups && targets && quota && history);
	groups_set_quota(groups, quota);
	input = (struct fuzz_input){data, size};
	r = recovery_run(NULL, &kept, groups, targets, &stats, history);
	fuzz_check(r == 0 || r == -EBADMSG);
	if (r == 0)
		show(groups, targets, &stats);
	targets_free(targets);
	groups_free(groups);
	stalls_free(stalls.stalls);
	fd_store_fini(&kept);
	quota_free(quota);
	past_free(history);
	return 0;
}
