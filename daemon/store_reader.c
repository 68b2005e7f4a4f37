/* SPDX-License-Identifier: MIT */
/* Reading a store that somebody left; see store_reader.h. */

#include "config.h"

#include "daemon/store_reader.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL_BYTES_MAX ((size_t)256 << 20)
#define RECORD_BYTES_MAX ((size_t)1 << 20)
#define CHILD_SECONDS 10

/* What the child writes before each record, and, all zeros, behind the last one. */
struct lead {
	uint32_t size; /* of the record, STORE_SUM_BYTES at least */
	uint8_t key[STORE_KEY_BYTES];
};

struct store_records {
	uint8_t *bytes;
	size_t size, at;
};

void
store_key_write(const struct store_key *key, uint8_t ret_bytes[STORE_KEY_BYTES])
{
	uint32_t words[] = {htobe32(key->kind), htobe32(key->index)};
	uint64_t number = htobe64(key->number);

	memcpy(ret_bytes, words, sizeof(words));
	memcpy(ret_bytes + sizeof(words), &number, sizeof(number));
}

static struct store_key
read_key(const uint8_t bytes[STORE_KEY_BYTES])
{
	uint32_t words[2];
	uint64_t number;

	memcpy(words, bytes, sizeof(words));
	memcpy(&number, bytes + sizeof(words), sizeof(number));
	return (struct store_key){be32toh(words[0]), be32toh(words[1]), be64toh(number)};
}

/* FNV-1a: against damage, not against forgery. */
static uint64_t
sum_more(uint64_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3ull;
	return sum;
}

static uint64_t
sum_of(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t size)
{
	uint64_t sum = sum_more(0xcbf29ce484222325ull, key, STORE_KEY_BYTES);

	return sum_more(sum, data, size);
}

void
store_sum_write(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t size,
	void *ret_record)
{
	uint64_t sum = sum_of(key, data, size);

	memcpy(ret_record, &sum, sizeof(sum));
	memcpy((char *)ret_record + sizeof(sum), data, size);
}

static bool
write_all(int fd, const void *data, size_t size)
{
	const char *bytes = data;

	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* In the child: hand over all records. Returns whether all is well. */
static bool
copy_records(const char *path, int to)
{
	static const struct lead last;
	MDB_val key, record;
	MDB_cursor *cursor;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int r;

	if (mdb_env_create(&env) ||
		mdb_env_open(env, path, MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK, 0) ||
		mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) ||
		mdb_dbi_open(txn, NULL, 0, &dbi) || mdb_cursor_open(txn, dbi, &cursor))
		return false;
	while ((r = mdb_cursor_get(cursor, &key, &record, MDB_NEXT)) == 0) {
		struct lead lead = {.size = (uint32_t)record.mv_size};

		if (key.mv_size != STORE_KEY_BYTES || record.mv_size < STORE_SUM_BYTES ||
			record.mv_size > RECORD_BYTES_MAX)
			return false;
		memcpy(lead.key, key.mv_data, STORE_KEY_BYTES);
		if (!write_all(to, &lead, sizeof(lead)) ||
			!write_all(to, record.mv_data, record.mv_size))
			return false;
	}
	return r == MDB_NOTFOUND && write_all(to, &last, sizeof(last));
}

static _Noreturn void
run_child(const char *path, int to)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGALRM, SIGFPE, SIGILL};
	struct rlimit none = {0, 0};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t no_signals;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* If it crashes that is no news. */
	(void)setrlimit(RLIMIT_CORE, &none);
	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], SIG_DFL);
	sigemptyset(&no_signals);
	sigprocmask(SIG_SETMASK, &no_signals, NULL);
	alarm(CHILD_SECONDS);
	_exit(copy_records(path, to) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Take all that the child says. Returns 0 or -errno. */
static int
take(int from, struct store_records *records)
{
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (records->size == room) {
			uint8_t *more;

			room = room ? 2 * room : 65536;
			more = room > ALL_BYTES_MAX ? NULL
						    : realloc(records->bytes, room);
			if (!more)
				return -ENOMEM;
			records->bytes = more;
		}
		n = read(from, records->bytes + records->size, room - records->size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		records->size += n > 0 ? (size_t)n : 0;
	}
}

/* The lead at a place, and its record; whether they are there, whole. */
static bool
lead_at(const struct store_records *records, size_t at, struct lead *ret_lead)
{
	if (records->size - at < sizeof(*ret_lead))
		return false;
	memcpy(ret_lead, records->bytes + at, sizeof(*ret_lead));
	return records->size - at - sizeof(*ret_lead) >= ret_lead->size;
}

static bool
is_good(const struct store_records *records)
{
	struct lead lead;

	for (size_t at = 0; lead_at(records, at, &lead); at += sizeof(lead) + lead.size) {
		const uint8_t *record = records->bytes + at + sizeof(lead);
		uint64_t sum;

		if (!lead.size)
			return records->size == at + sizeof(lead);
		if (lead.size < STORE_SUM_BYTES)
			return false;
		memcpy(&sum, record, sizeof(sum));
		if (sum != sum_of(lead.key, record + STORE_SUM_BYTES,
				   lead.size - STORE_SUM_BYTES))
			return false;
	}
	return false;
}

static int
read_by_child(const char *path, struct store_records *records)
{
	int pipes[2], status, r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		run_child(path, pipes[1]);
	}
	r = pid < 0 ? -errno : 0;
	close(pipes[1]);
	if (r == 0)
		r = take(pipes[0], records);
	close(pipes[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && r == 0 && status != 0)
		r = -EBADMSG;
	return r;
}

int
store_reader_read(const char *path, struct store_records **ret_records)
{
	struct store_records *records;
	struct stat st;
	int r = 0;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	records = calloc(1, sizeof(*records));
	if (!records)
		return -ENOMEM;
	r = read_by_child(path, records);
	if (r == 0 && !is_good(records))
		r = -EBADMSG;
	if (r < 0) {
		store_records_free(records);
		return r;
	}
	*ret_records = records;
	return 0;
}

void
store_records_free(struct store_records *records)
{
	if (!records)
		return;
	free(records->bytes);
	free(records);
}

int
store_records_next(struct store_records *records, struct store_key *ret_key,
	const void **ret_data, size_t *ret_size)
{
	struct lead lead;

	if (!lead_at(records, records->at, &lead) || !lead.size)
		return 0;
	*ret_key = read_key(lead.key);
	*ret_data = records->bytes + records->at + sizeof(lead) + STORE_SUM_BYTES;
	*ret_size = lead.size - STORE_SUM_BYTES;
	records->at += sizeof(lead) + lead.size;
	return 1;
}
