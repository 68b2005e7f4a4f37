/* SPDX-License-Identifier: MIT */
/* The ledger over a store: which history is ours, and what to do without; see ledger.h. */

#include "config.h"

#include "daemon/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/record.h"
#include "daemon/store.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_BYTES 36
/* Of what is in the records: another one is not understood. */
#define FORMAT 4

struct ledger {
	struct store *store; /* NULL: nothing is kept any more */
	struct store_records *history;
	uint64_t in_hand; /* of the last one */
	/* Registrations that have been in hand, and are in the history. */
	uint64_t admitted;
	char *directory;
	char boot_id[BOOT_ID_BYTES + 1];
};

static const struct store_key about_key = {.kind = LEDGER_ABOUT};

static void
read_boot_id(char ret_id[BOOT_ID_BYTES + 1])
{
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_id, BOOT_ID_BYTES);

	ret_id[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

static void
explain(const char *directory, int error)
{
	const char *remedy =
		"let this user write there, or choose another directory with "
		"--state.dir";

	if (error == -EBUSY)
		remedy = "another looplagd does; choose another directory with "
			 "--state.dir";
	else if (error == -ENOENT)
		remedy = "make that directory, or choose another with --state.dir";
	log_warn("ledger",
		"cannot keep history in %s: %s; %s; going on without: counters begin at "
		"zero when looplagd is restarted",
		directory, strerror(-error), remedy);
}

static void
put_about(struct ledger *ledger)
{
	struct record about;

	record_begin(&about);
	record_put(&about, FORMAT);
	record_put_text(&about, ledger->boot_id);
	record_put(&about, ledger->admitted);
	store_put(ledger->store, &about_key, about.bytes, about.size);
}

/* Why a history is none of ours; NULL: it is. */
static const char *
find_fault(struct ledger *ledger)
{
	char boot_id[BOOT_ID_BYTES + 1];
	struct record record;
	struct store_key key;
	const void *data;
	size_t size;

	if (!store_records_next(ledger->history, &key, &data, &size) ||
		memcmp(&key, &about_key, sizeof(key)) != 0)
		return "it is damaged";
	record_load(&record, data, size);
	if (record_take(&record) != FORMAT)
		return "another version of looplagd wrote it";
	record_take_text(&record, boot_id, sizeof(boot_id));
	ledger->admitted = record_take(&record);
	if (!record_is_read(&record))
		return "it is damaged";
	if (!boot_id[0] || strcmp(boot_id, ledger->boot_id) != 0)
		return "it was written before this machine was booted";
	return NULL;
}

static void
drop_history(struct ledger *ledger)
{
	store_records_free(ledger->history);
	ledger->history = NULL;
}

static void
reject(struct ledger *ledger, const char *fault)
{
	log_warn("ledger", "the history in %s cannot be used: %s; counters begin at zero",
		ledger->directory, fault);
	drop_history(ledger);
}

/* What was in hand when the last one was killed, but for what was in its history by then;
 * from our first commit on it is in ours, as lost. */
static void
take_in_hand(struct ledger *ledger)
{
	struct store_mark mark = store_mark(ledger->store);
	uint64_t stored = ledger->admitted > mark.base ? ledger->admitted - mark.base : 0;

	if (!ledger->history || mark.count <= stored)
		return;
	ledger->in_hand = mark.count - stored;
	ledger->admitted += ledger->in_hand;
}

/* Take over what the last one has left. */
static void
load(struct ledger *ledger)
{
	const char *fault = "it is damaged";
	int error = store_read_last(ledger->store, &ledger->history);

	if (error == -ENOENT)
		return;
	if (error == 0)
		fault = find_fault(ledger);
	else if (error != -EBADMSG)
		fault = strerror(-error);
	if (fault)
		reject(ledger, fault);
}

struct ledger *
ledger_open(const char *directory)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int error = -ENOMEM;

	if (ledger)
		ledger->directory = strdup(directory);
	if (ledger && ledger->directory)
		error = store_open(directory, &ledger->store);
	if (error) {
		explain(directory, error);
		ledger_close(ledger);
		return NULL;
	}
	read_boot_id(ledger->boot_id);
	load(ledger);
	take_in_hand(ledger);
	put_about(ledger);
	return ledger;
}

void
ledger_close(struct ledger *ledger)
{
	if (!ledger)
		return;
	drop_history(ledger);
	store_close(ledger->store);
	free(ledger->directory);
	free(ledger);
}

bool
ledger_has_history(const struct ledger *ledger)
{
	return ledger && ledger->history;
}

uint64_t
ledger_in_hand(const struct ledger *ledger)
{
	return ledger_has_history(ledger) ? ledger->in_hand : 0;
}

void
ledger_set_in_hand(struct ledger *ledger, unsigned count)
{
	if (!ledger || !ledger->store)
		return;
	ledger->in_hand = 0;
	store_set_mark(ledger->store, (struct store_mark){count, ledger->admitted});
}

void
ledger_admit(struct ledger *ledger)
{
	if (!ledger || !ledger->store)
		return;
	ledger->admitted++;
	put_about(ledger);
}

bool
ledger_next(struct ledger *ledger, struct ledger_key *ret_key, struct record *ret_record)
{
	struct store_key key;
	const void *data;
	size_t size;

	if (!ledger_has_history(ledger) ||
		!store_records_next(ledger->history, &key, &data, &size))
		return false;
	*ret_key = (struct ledger_key){(enum ledger_kind)key.kind, key.index, key.number};
	record_load(ret_record, data, size);
	return true;
}

void
ledger_reject_history(struct ledger *ledger)
{
	if (ledger_has_history(ledger))
		reject(ledger, "part of it makes no sense");
}

static struct store_key
key_of(const struct ledger_key *key)
{
	return (struct store_key){key->kind, key->index, key->number};
}

void
ledger_put(
	struct ledger *ledger, const struct ledger_key *key, const struct record *record)
{
	struct store_key where = key_of(key);

	if (ledger && ledger->store)
		store_put(ledger->store, &where, record->bytes, record->size);
}

void
ledger_forget(struct ledger *ledger, const struct ledger_key *key)
{
	struct store_key where = key_of(key);

	if (ledger && ledger->store)
		store_delete(ledger->store, &where);
}

void
ledger_commit(struct ledger *ledger)
{
	int error;

	if (!ledger || !ledger->store)
		return;
	error = store_commit(ledger->store);
	if (!error)
		return;
	log_warn("ledger",
		"cannot keep history in %s any more: %s; going on without: counters "
		"begin "
		"at zero when looplagd is restarted",
		ledger->directory, strerror(-error));
	/* An old one would make the counters of the next daemon go back. */
	store_destroy(ledger->store);
	store_close(ledger->store);
	ledger->store = NULL;
}
