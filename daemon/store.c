/* SPDX-License-Identifier: MIT */
/* Records in an LMDB file of our own; see store.h. */

#include "config.h"

#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store_reader.h"

#define PATH_BYTES 4096
/* Of address space; the file has what it needs. */
#define MAP_BYTES ((size_t)1 << 30)

struct store {
	char path[PATH_BYTES], new_path[PATH_BYTES];
	int lock;
	MDB_env *env;
	MDB_dbi records;
	MDB_txn *txn; /* NULL: nothing was put since the last commit */
	int error;    /* the first one since then */
	bool published;
};

/* LMDB's own errors are below zero, the system's above. */
static int
errno_of(int r)
{
	if (r == MDB_MAP_FULL || r == MDB_TXN_FULL)
		return -ENOSPC;
	return r < 0 ? -EIO : -r;
}

static int
lock_directory(const char *directory)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* Of this process alone: a child that outlives us must not hold it. */
	if (fcntl(fd, F_SETLK, &whole) < 0) {
		int error = errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* Begin the new file. */
static int
open_new(struct store *store)
{
	/* One process, whom the directory's lock has made the only one. A map that cannot be
	 * written to: a full disk is an error, not a signal. */
	const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOMEMINIT;
	MDB_txn *txn = NULL;
	int r;

	if (unlink(store->new_path) < 0 && errno != ENOENT)
		return -errno;
	r = mdb_env_create(&store->env);
	if (r == 0)
		r = mdb_env_set_mapsize(store->env, MAP_BYTES);
	if (r == 0)
		r = mdb_env_open(store->env, store->new_path, flags, 0600);
	if (r == 0)
		r = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (r == 0)
		r = mdb_dbi_open(txn, NULL, 0, &store->records);
	if (r == 0) {
		r = mdb_txn_commit(txn);
		txn = NULL;
	}
	mdb_txn_abort(txn);
	return r ? errno_of(r) : 0;
}

int
store_open(const char *directory, struct store **ret_store)
{
	struct store *store;
	int r;

	if (strlen(directory) > PATH_BYTES - sizeof("/ledger.new"))
		return -ENAMETOOLONG;
	store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	snprintf(store->path, PATH_BYTES, "%.*s/ledger", PATH_BYTES - 16, directory);
	snprintf(store->new_path, PATH_BYTES, "%.*s/ledger.new", PATH_BYTES - 16,
		directory);
	store->lock = lock_directory(directory);
	r = store->lock < 0 ? store->lock : open_new(store);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void
store_close(struct store *store)
{
	if (!store)
		return;
	mdb_txn_abort(store->txn);
	mdb_env_close(store->env);
	if (store->lock >= 0) {
		if (!store->published)
			unlink(store->new_path);
		close(store->lock);
	}
	free(store);
}

int
store_read_last(struct store *store, struct store_records **ret_records)
{
	return store_reader_read(store->path, ret_records);
}

/* What is to be written next is one transaction. */
static bool
begin(struct store *store)
{
	if (!store->txn && !store->error)
		store->error = mdb_txn_begin(store->env, NULL, 0, &store->txn);
	return !store->error;
}

void
store_put(struct store *store, const struct store_key *key, const void *data, size_t size)
{
	uint8_t bytes[STORE_KEY_BYTES];
	MDB_val where = {sizeof(bytes), bytes};
	MDB_val what = {STORE_SUM_BYTES + size, NULL};

	store_key_write(key, bytes);
	if (!begin(store))
		return;
	store->error = mdb_put(store->txn, store->records, &where, &what, MDB_RESERVE);
	if (!store->error)
		store_sum_write(bytes, data, size, what.mv_data);
}

void
store_delete(struct store *store, const struct store_key *key)
{
	uint8_t bytes[STORE_KEY_BYTES];
	MDB_val where = {sizeof(bytes), bytes};

	store_key_write(key, bytes);
	if (!begin(store))
		return;
	store->error = mdb_del(store->txn, store->records, &where, NULL);
	if (store->error == MDB_NOTFOUND)
		store->error = 0;
}

int
store_commit(struct store *store)
{
	if (!store->txn && !store->error)
		return 0;
	if (store->error) {
		mdb_txn_abort(store->txn);
	} else {
		store->error = mdb_txn_commit(store->txn);
	}
	store->txn = NULL;
	if (store->error)
		return errno_of(store->error);
	if (!store->published && rename(store->new_path, store->path) < 0)
		return -errno;
	store->published = true;
	return 0;
}

struct store_mark
store_mark(const struct store *store)
{
	struct store_mark mark;

	if (pread(store->lock, &mark, sizeof(mark), 0) != sizeof(mark))
		return (struct store_mark){0, 0};
	return mark;
}

void
store_set_mark(struct store *store, struct store_mark mark)
{
	/* On a full disk there is none. */
	if (pwrite(store->lock, &mark, sizeof(mark), 0) < 0)
		return;
}

void
store_destroy(struct store *store)
{
	unlink(store->path);
	unlink(store->new_path);
}
