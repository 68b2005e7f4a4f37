/* SPDX-License-Identifier: MIT */
/* The records of a stall; see capture_records.h. */

#include "config.h"

#include "daemon/capture_records.h"

#include "daemon/capture.h"

#define COMPANY_NS 60000000ull /* a record waits so long for what belongs to it */

/* Nothing will come for the record any more. Returns whether it was shown without its
 * JavaScript part, and not counted yet. */
static bool
finish(struct capture_record *record)
{
	bool shown = record->state == RECORD_SHOWN;

	record->state = RECORD_DONE;
	return shown;
}

/* What stands in all records of the segment; sequence 0: nothing of ours. */
struct view {
	struct capture_reader_glance glances[SEGMENT_CAPTURES];
};

static struct view
glance(struct capture_records *records, uint64_t now_ns, unsigned *settled)
{
	struct view view = {0};

	for (unsigned i = 0; i < records->place.count; i++) {
		struct capture_reader_glance *seen = &view.glances[i];
		struct capture_record *record = &records->records[i];

		if (capture_reader_glance(&records->place, i, &records->key, seen) &&
			record->sequence != seen->sequence) {
			*settled += finish(record);
			*record = (struct capture_record){
				.sequence = seen->sequence, .first_ns = now_ns};
		}
	}
	return view;
}

/* A record with that role that is new, or NULL. */
static struct capture *
find_new(struct capture_records *records, const struct view *view, uint32_t role,
	struct capture_record **ret_record)
{
	for (unsigned i = 0; i < records->place.count; i++) {
		const struct capture_reader_glance *seen = &view->glances[i];
		struct capture_record *record = &records->records[i];
		struct capture *capture;

		if (!seen->sequence || seen->role != role ||
			record->state == RECORD_DONE ||
			(record->state == RECORD_SHOWN &&
				seen->js_state != SEGMENT_JS_TAKEN))
			continue;
		capture = capture_reader_read(&records->place, i, &records->key);
		if (!capture)
			continue;
		*ret_record = record;
		return capture;
	}
	return NULL;
}

/* Take a record of that role which holds a stack; what else a loop's says is answered. */
static struct capture *
find_stack(struct capture_records *records, const struct view *view, uint32_t role,
	struct capture_record **ret_record, struct capture_answer *answer)
{
	struct capture *capture = find_new(records, view, role, ret_record);

	if (!capture || capture->result == SEGMENT_RESULT_TAKEN)
		return capture;
	(*ret_record)->state = RECORD_DONE;
	if (role == SEGMENT_ROLE_LOOP) {
		answer->refused = true;
		answer->result = capture->result;
	}
	capture_free(capture);
	return NULL;
}

/* A record waits a little for what belongs to it: the thread that holds the lock, whose
 * stack is the one to show then, or V8's answer. */
void
capture_records_look(struct capture_records *records, bool ended, uint64_t now_ns,
	struct capture_answer *ret_answer)
{
	struct capture_answer answer = {0};
	struct capture_record *loop_record = NULL, *holder_record = NULL;
	const struct view view = glance(records, now_ns, &answer.settled);
	struct capture *loop =
		find_stack(records, &view, SEGMENT_ROLE_LOOP, &loop_record, &answer);
	struct capture *holder =
		find_stack(records, &view, SEGMENT_ROLE_HOLDER, &holder_record, &answer);
	bool waits = holder || (loop && loop->flags & SEGMENT_CAPTURE_WAITS_GIL);
	bool asked = loop && loop->js_state == SEGMENT_JS_ASKED;
	bool complete = waits ? loop && holder : !asked || ended;
	uint64_t first_ns;

	if (!loop && !holder)
		goto out;
	first_ns = loop ? loop_record->first_ns : holder_record->first_ns;
	if (complete || now_ns - first_ns >= COMPANY_NS) {
		/* V8 may answer until the stall is over. */
		if (loop)
			loop_record->state = asked && !ended ? RECORD_SHOWN : RECORD_DONE;
		answer.waits_gil = waits;
		if (holder) {
			holder_record->state = RECORD_DONE;
			answer.capture = holder;
			holder = NULL;
		} else {
			answer.provisional = loop_record->state == RECORD_SHOWN;
			answer.capture = loop;
			loop = NULL;
		}
	}
	capture_free(loop);
	capture_free(holder);
out:
	*ret_answer = answer;
}

bool
capture_records_await(const struct capture_records *records)
{
	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++)
		if (records->records[i].first_ns &&
			records->records[i].state != RECORD_DONE)
			return true;
	return false;
}

unsigned
capture_records_settle(struct capture_records *records)
{
	unsigned settled = 0;

	for (unsigned i = 0; i < SEGMENT_CAPTURES; i++)
		settled += finish(&records->records[i]);
	return settled;
}
