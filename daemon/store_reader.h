/* SPDX-License-Identifier: MIT */
/*
 * How records of a store lie in its file, and reading a file that anything may have
 * happened to. LMDB trusts its files, so a child reads it and hands over what it finds: a
 * file that crashes it, or keeps it busy for ever, is a damaged one.
 */
#ifndef LOOPLAG_DAEMON_STORE_READER_H
#define LOOPLAG_DAEMON_STORE_READER_H

#include <stdint.h>

#include "daemon/store.h"

#define STORE_KEY_BYTES 16
#define STORE_SUM_BYTES 8

/* A key as its file has it, so that bytes sort as keys do. */
void
store_key_write(const struct store_key *key, uint8_t ret_bytes[STORE_KEY_BYTES]);

/* A record as its file has it: a checksum of key and data, and the data. */
void
store_sum_write(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t size,
	void *ret_record);

/* See store_read_last(). */
__attribute__((warn_unused_result)) int
store_reader_read(const char *path, struct store_records **ret_records);

#endif
