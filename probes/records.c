/* SPDX-License-Identifier: MIT */
/* See records.h; who may write a record is told by its sequence, as segment.h has it. */

#include "probes/records.h"

#include <string.h>

#include "probes/modules.h"
#include "probes/v8.h"

#define ABANDONED_NS 10000000000u

/* When a claimed record was first seen with that sequence. */
static struct {
	uint64_t sequence, seen_ns;
} odd[SEGMENT_CAPTURES];

/* Tell whether nobody works at a claimed record any more: its helper's process was killed
 * at it. Work at one takes milliseconds. */
static int
is_abandoned(unsigned index, uint64_t sequence, uint64_t now_ns)
{
	if (odd[index].sequence != sequence) {
		odd[index].sequence = sequence;
		odd[index].seen_ns = now_ns;
	}
	return now_ns - odd[index].seen_ns > ABANDONED_NS;
}

/* The record to be taken next, NULL if there is none. */
static struct segment_capture *
find_oldest(const struct segment *segment, uint64_t now_ns, uint64_t *ret_sequence)
{
	struct segment_capture *oldest = NULL;
	uint64_t oldest_ns = 0;

	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++) {
		struct segment_capture *record = &segment->captures[i];
		uint64_t sequence = __atomic_load_n(&record->sequence, __ATOMIC_ACQUIRE);
		uint64_t taken_ns = __atomic_load_n(&record->taken_ns, __ATOMIC_RELAXED);

		if (sequence & 1 && !is_abandoned(i, sequence, now_ns))
			continue;
		if (!oldest || taken_ns < oldest_ns) {
			oldest = record;
			oldest_ns = taken_ns;
			*ret_sequence = sequence;
		}
	}
	return oldest;
}

struct segment_capture *
records_claim(const struct segment *segment, uint64_t now_ns)
{
	struct segment_capture *record;
	uint64_t sequence = 0;

	do {
		record = find_oldest(segment, now_ns, &sequence);
		if (!record || v8_forget(record))
			return NULL;
	} while (!__atomic_compare_exchange_n(&record->sequence, &sequence,
		sequence + 1 + (sequence & 1), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memset((char *)record + sizeof(record->sequence), 0,
		offsetof(struct segment_capture, natives) - sizeof(record->sequence));
	record->taken_ns = now_ns;
	return record;
}

void
records_publish(struct segment_capture *record)
{
	__atomic_fetch_add(&record->sequence, 1, __ATOMIC_RELEASE);
}

/* Put the module among those of the record, if it is not there yet. Returns its index. */
static uint32_t
add_module(struct segment_capture *record, const struct module *module, uint32_t *names)
{
	uint32_t bytes = (uint32_t)strlen(module->path) + 1, index;

	for (index = 0; index < record->module_count; index++)
		if (strcmp(record->names + record->modules[index].name, module->path) ==
			0)
			return index;
	if (index == SEGMENT_MODULES || *names + bytes > sizeof(record->names))
		return SEGMENT_NO_MODULE;
	memcpy(record->names + *names, module->path, bytes);
	record->modules[index].name = *names;
	record->modules[index].build_id_bytes = module->build_id_bytes;
	memcpy(record->modules[index].build_id, module->build_id,
		sizeof(module->build_id));
	*names += bytes;
	record->module_count = index + 1;
	return index;
}

void
records_add_natives(struct segment_capture *record, const uint64_t *pcs, size_t count)
{
	uint32_t names = 0;

	for (size_t i = 0; i < count; i++) {
		const struct module *module = modules_find_code(pcs[i]);
		struct segment_native *native = &record->natives[i];

		native->reserved = 0;
		native->module =
			module ? add_module(record, module, &names) : SEGMENT_NO_MODULE;
		native->offset =
			pcs[i] - (native->module == SEGMENT_NO_MODULE ? 0 : module->bias);
	}
	record->native_count = (uint32_t)count;
}
