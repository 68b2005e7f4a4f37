/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that the service manager keeps for the daemon after us
 * (FileDescriptorStoreMax=): the segments, each by a name that says whose it is. Does
 * nothing where there is no such manager.
 */
#ifndef LOOPLAG_DAEMON_FD_STORE_H
#define LOOPLAG_DAEMON_FD_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "probes/segment.h"

#define FD_STORE_NAME_BYTES 64

/* One that was kept, as it came back. */
struct fd_store_entry {
	int fd; /* -1: it was taken */
	char name[FD_STORE_NAME_BYTES];
};

/* All that came back. */
struct fd_store {
	struct fd_store_entry *entries;
	size_t count;
};

/* The name of that segment: its id, and which registration of its process it is. */
void
fd_store_name(const struct segment_header *header, char ret_name[FD_STORE_NAME_BYTES]);

/* Whether the name is one of ours. */
bool
fd_store_is_name(const char *name);

/* Put a descriptor that came back into the store; takes it over. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
fd_store_return(struct fd_store *store, int fd, const char *name);

/* Take out the segment of that header, the caller's now; -1: it is not there. */
int
fd_store_take(struct fd_store *store, const struct segment_header *header);

/* What nobody took is not kept any longer. */
void
fd_store_fini(struct fd_store *store);

/* Have the segment kept from now on, or not any more. */
void
fd_store_keep(const struct segment_header *header, int fd);
void
fd_store_drop(const struct segment_header *header);

#endif
