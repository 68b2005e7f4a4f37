/* SPDX-License-Identifier: MIT */
/*
 * A file of records that outlives us: knows keys and bytes, not what they mean. Everything
 * that is put or deleted between two commits is there after the second one, or nothing of
 * it, whenever we are killed. It is not for crashes of the machine: nothing is synced.
 *
 *	DIRECTORY/ledger       the records, LMDB
 *	DIRECTORY/ledger.new   those of a store without a commit so far
 *	DIRECTORY/lock         held by the one who may write; its first bytes are the mark
 *
 * A store never touches what another one wrote: what that left is read by a child, which a
 * damaged file may crash, and a new file takes its place with the first commit.
 */
#ifndef LOOPLAG_DAEMON_STORE_H
#define LOOPLAG_DAEMON_STORE_H

#include <stddef.h>
#include <stdint.h>

struct store;

/* They stand in the order of their fields. */
struct store_key {
	uint32_t kind;
	uint32_t index;
	uint64_t number;
};

/* Lock the directory, which exists, and begin with nothing. Returns 0 or -errno: -EBUSY
 * when somebody else has it. */
__attribute__((warn_unused_result)) int
store_open(const char *directory, struct store **ret_store);

/* What was not committed is forgotten. */
void
store_close(struct store *store);

/* The records that the last store here has left. Returns 0 or -errno: -ENOENT when there is
 * none, -EBADMSG when it is damaged. */
struct store_records;
__attribute__((warn_unused_result)) int
store_read_last(struct store *store, struct store_records **ret_records);
void
store_records_free(struct store_records *records);

/* The next record, in the order of keys; data is borrowed. Returns 1, or 0: that is all. */
int
store_records_next(struct store_records *records, struct store_key *ret_key,
	const void **ret_data, size_t *ret_size);

/* What goes wrong here is told by the commit. */
void
store_put(
	struct store *store, const struct store_key *key, const void *data, size_t size);
void
store_delete(struct store *store, const struct store_key *key);

/* Returns 0 or -errno; after that the store is of no use. */
__attribute__((warn_unused_result)) int
store_commit(struct store *store);

/* Two numbers that are there at once, whenever we are killed, without a commit; 0 if there
 * are none. */
struct store_mark {
	uint64_t count;
	uint64_t base;
};
struct store_mark
store_mark(const struct store *store);
void
store_set_mark(struct store *store, struct store_mark mark);

/* Nobody shall read it: remove its file. */
void
store_destroy(struct store *store);

#endif
