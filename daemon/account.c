/* SPDX-License-Identifier: MIT */
/* From slots to deltas; see account.h. */

#include "config.h"

#include "daemon/account.h"

#include <string.h>

/* Shorter than this is the zero bucket: a pause between two waits that are one. */
#define OPEN_MIN_NS (HISTOGRAM_ZERO_NS + 1)

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

bool
account_is_new(const struct account *account, const struct segment_slot *slot)
{
	return !account->used || slot->life != account->life ||
	       slot->born_ns != account->born_ns;
}

static bool
has_ended(const struct segment_slot *slot)
{
	return !slot->state || slot->ended_ns;
}

static bool
is_unattended(const struct segment_slot *slot)
{
	return !has_ended(slot) && !(slot->state & SEGMENT_ATTENDED);
}

/* Whether anything happened to the loop since the last reading. */
static bool
has_moved(const struct account *account, const struct segment_slot *slot)
{
	return account_is_new(account, slot) || slot->state != account->state ||
	       slot->sequence != account->sequence;
}

uint64_t
account_unattended_since(const struct account *account, const struct segment_slot *slot)
{
	if (!is_unattended(slot) || (account->over && !has_moved(account, slot)))
		return 0;
	return slot->state;
}

/*
 * Make the sums of these bands, and the squares, such as durations in the counted buckets can
 * have, and tell how many and how long they are. Honest deltas are, but for the one iteration
 * that was being written when a torn slot was read. Returns whether all of it can have
 * happened within `budget_ns`.
 */
static bool
make_possible(struct counters *delta, const uint8_t *bands, unsigned band_count,
	uint64_t budget_ns)
{
	unsigned __int128 least_squares = 0, most_squares = 0, squares, total = 0;
	struct histogram *h = &delta->iteration;

	for (unsigned n = 0; n < band_count; n++) {
		unsigned band = bands[n];
		unsigned __int128 least = 0, most = 0, sum = h->sums_ns[band];
		unsigned first, last;

		histogram_band_buckets(band, &first, &last);
		for (unsigned i = first; i <= last; i++) {
			unsigned __int128 count = h->counts[i];
			uint64_t shortest, longest;

			if (!count)
				continue;
			shortest = i ? histogram_upper_ns(i - 1) + 1 : 0;
			longest = smaller(histogram_upper_ns(i), budget_ns);
			if (count > budget_ns || count * shortest > budget_ns)
				return false;
			least += count * shortest;
			most += count * longest;
			least_squares += count * shortest * shortest;
			most_squares += count * longest * longest;
			delta->iterations =
				saturated_sum(delta->iterations, h->counts[i]);
		}
		sum = sum < least ? least : sum > most ? most : sum;
		total += sum;
		if (total > budget_ns)
			return false;
		h->sums_ns[band] = (uint64_t)sum;
	}
	squares = histogram_squares(h);
	squares = squares < least_squares  ? least_squares
		  : squares > most_squares ? most_squares
					   : squares;
	h->square_low = (uint64_t)squares;
	h->square_high = (uint64_t)(squares >> 64);
	delta->active_ns = (uint64_t)total;
	return true;
}

/* The length of the longest iteration in the delta, which is not empty: as exactly as the
 * slot tells it, but in the delta's highest bucket. */
static uint64_t
find_max(const struct account *account, const struct segment_slot *slot,
	const struct histogram *delta)
{
	unsigned top = histogram_top(delta);
	uint64_t longest = 0, bound;

	if (slot->max_ns > account->max_ns && histogram_index(slot->max_ns) == top)
		return slot->max_ns;
	for (unsigned i = 0; i < SEGMENT_RING; i++)
		if (slot->ring[i].iteration > account->iterations &&
			histogram_index(slot->ring[i].length_ns) == top)
			longest = larger(longest, slot->ring[i].length_ns);
	if (longest)
		return longest;
	bound = top ? histogram_upper_ns(top - 1) + 1 : 0;
	return larger(bound, smaller(histogram_upper_ns(top), slot->max_ns));
}

/* Put what the slot has counted since the last reading into the delta. */
static void
take_counts(struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, struct counters *delta)
{
	uint64_t waits = saturated_sum(slot->iterations, slot->other_waits);
	uint64_t events = saturated_sum(slot->events, slot->shared_events);
	uint8_t bands[HISTOGRAM_BANDS];
	unsigned band_count = histogram_take(&account->iteration, &slot->iteration,
		account->whole && !reading->torn, &delta->iteration, bands);

	if (!make_possible(delta, bands, band_count, reading->budget_ns)) {
		memset(&delta->iteration, 0, sizeof(delta->iteration));
		delta->iterations = 0;
	}
	if (delta->iterations)
		delta->max_ns = find_max(account, slot, &delta->iteration);
	band_histogram_take(&account->wakeup, &slot->wakeup, &delta->wakeup);
	delta->events = difference(events, account->events);
	delta->waits = difference(waits, account->waits);
	delta->nested_wait_ns = difference(slot->nested_wait_ns, account->nested_wait_ns);
	if (delta->nested_wait_ns > reading->budget_ns)
		delta->nested_wait_ns = 0;

	account->whole = !reading->torn;
	account->iterations = slot->iterations;
	account->events = events;
	account->waits = waits;
	account->nested_wait_ns = slot->nested_wait_ns;
	account->max_ns = larger(account->max_ns, slot->max_ns);
}

/* Whether the loop is over although nobody has said so. */
static bool
is_abandoned(const struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading)
{
	if (reading->process_dead)
		return true;
	if (is_unattended(slot))
		return reading->owner_dead || reading->closed;
	/* Others may wait in it still; if it was the dead thread alone, nothing moves. */
	return reading->owner_dead && (slot->state & SEGMENT_WAITERS) < 2 &&
	       (!account->used || !has_moved(account, slot));
}

/* The moment up to which the loop's life is known. */
static uint64_t
find_end(const struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, bool over)
{
	uint64_t end = larger(slot->born_ns, slot->last_ns);
	bool same = !account_is_new(account, slot);

	if (is_unattended(slot))
		end = larger(end, slot->state);
	if (slot->ended_ns)
		end = slot->ended_ns;
	else if (!has_ended(slot) && !over)
		end = larger(end, reading->leaves ? 0 : reading->now_ns);
	/* A process that died in an iteration died late in it only if the iteration had been
	 * seen before: most end soon after their last wait, and that is no delay. */
	else if (!has_ended(slot) &&
		 (!is_unattended(slot) || (same && slot->state == account->open_since)))
		end = larger(end, reading->died_ns);
	/* What was reported stays. */
	if (same)
		end = larger(end, account->end_ns);
	return reading->now_ns ? smaller(end, reading->after_ns) : end;
}

/* Life since the last reading. */
static uint64_t
find_life(const struct account *account, const struct segment_slot *slot, uint64_t end_ns)
{
	uint64_t before =
		saturated_sum(account->past_life_ns, account->end_ns - account->born_ns);

	if (!account->used)
		return saturated_sum(
			slot->past_life_ns, difference(end_ns, slot->born_ns));
	if (!account_is_new(account, slot))
		return difference(end_ns, account->end_ns);
	/* What the last loop, and any between, had that was not seen. Of one that was
	 * taken to be over all is known. */
	return saturated_sum(difference(end_ns, slot->born_ns),
		account->over ? 0 : difference(slot->past_life_ns, before));
}

/*
 * Whether the iteration that was reported with that length is in the delta. A short one is
 * if anything is: its thread may have read the clock and then lost its CPU before it said
 * so, and then the iteration is shorter than it looked. Sees to it that the sums are not
 * below what was reported, as they may be then, or after a torn reading.
 */
static bool
contains(struct counters *delta, uint64_t length)
{
	unsigned __int128 square = (unsigned __int128)length * length;
	struct histogram *h = &delta->iteration;
	unsigned top;

	if (!delta->iterations)
		return false;
	top = histogram_top(h);
	if (top < histogram_index(length) && length >= SEGMENT_LONG_NS)
		return false;
	h->sums_ns[histogram_band(top)] += difference(length, delta->active_ns);
	delta->active_ns = larger(delta->active_ns, length);
	if (histogram_squares(h) < square) {
		h->square_low = (uint64_t)square;
		h->square_high = (uint64_t)(square >> 64);
	}
	return true;
}

/* Whether the iteration that was reported as open is still that, for all that is known. */
static bool
is_still_open(const struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, struct account_result *result)
{
	if (!account->open_ns || !result->alive || account_is_new(account, slot))
		return false;
	if (!reading->torn)
		return result->open_ns && slot->state == account->open_since;
	/* The counts are younger than the state: the iteration may be in them. */
	return (slot->state == account->open_since ||
		       segment_is_written(slot->state, slot->sequence)) &&
	       !contains(&result->delta, account->open_ns);
}

/* If the iteration that was reported as open is neither open still nor in the delta, put
 * it there with the length that is known. */
static void
fold_open(const struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, struct counters *delta)
{
	uint64_t length = account->open_ns;
	bool in_it = !account_is_new(account, slot) && slot->state == account->open_since;

	if (in_it && reading->process_dead)
		length =
			larger(length, difference(reading->died_ns, account->open_since));
	else if (contains(delta, length))
		return;
	counters_record(delta, length);
}

/* See to it that loops are not unattended for longer than they live. Returns by how much
 * their life was longer than it was taken to be: counts may be younger than the clock. */
static uint64_t
balance(struct account *account, const struct account_reading *reading, bool still_open,
	struct account_result *result)
{
	struct counters *delta = &result->delta;
	uint64_t unattended = saturated_sum(delta->active_ns, result->open_ns);
	uint64_t room = difference(reading->budget_ns, account->life_ns);
	uint64_t life_ns = smaller(delta->life_ns, room);

	delta->life_ns = life_ns;
	if (unattended > saturated_sum(delta->life_ns, account->open_ns))
		delta->life_ns = smaller(unattended - account->open_ns, room);
	if (unattended <= saturated_sum(delta->life_ns, account->open_ns))
		return delta->life_ns - life_ns;
	/* It lies. Only what was reported stays. */
	memset(&delta->iteration, 0, sizeof(delta->iteration));
	delta->iterations = delta->active_ns = delta->max_ns = 0;
	result->open_ns = still_open ? account->open_ns : 0;
	if (account->open_ns && !still_open)
		counters_record(delta, account->open_ns);
	return delta->life_ns - life_ns;
}

void
account_update(struct account *account, const struct segment_slot *slot,
	const struct account_reading *reading, struct account_result *ret_result)
{
	struct counters *delta = &ret_result->delta;
	bool over, still_open;
	uint64_t end_ns, longer_ns;

	memset(ret_result, 0, sizeof(*ret_result));
	if (!slot->born_ns) {
		/* Nobody has it, or another loop is about to. */
		if (account->open_ns)
			counters_record(delta, account->open_ns);
		account->open_ns = account->open_since = 0;
		return;
	}
	if (reading->changed)
		take_counts(account, slot, reading, delta);
	over = account->over && !has_moved(account, slot);
	end_ns = over ? account->end_ns
		      : find_end(account, slot, reading,
				is_abandoned(account, slot, reading));
	over = over || is_abandoned(account, slot, reading);
	ret_result->alive = !over && !has_ended(slot);
	if (ret_result->alive && is_unattended(slot) && reading->now_ns &&
		!reading->torn && !reading->leaves && end_ns >= slot->state + OPEN_MIN_NS)
		ret_result->open_ns = end_ns - slot->state;
	still_open = is_still_open(account, slot, reading, ret_result);
	if (still_open && reading->torn)
		ret_result->open_ns = account->open_ns;
	delta->life_ns = find_life(account, slot, end_ns);
	if (account->open_ns && !still_open)
		fold_open(account, slot, reading, delta);
	longer_ns = balance(account, reading, still_open, ret_result);

	account->life_ns += delta->life_ns;
	account->used = true;
	account->life = slot->life;
	account->born_ns = slot->born_ns;
	account->past_life_ns = slot->past_life_ns;
	/* That part of its life is not to be counted again. */
	account->end_ns = saturated_sum(larger(end_ns, slot->born_ns), longer_ns);
	if (!still_open)
		account->open_since = ret_result->open_ns ? slot->state : 0;
	account->open_ns = ret_result->open_ns;
	account->over = over;
	account->state = slot->state;
	account->sequence = slot->sequence;
}
