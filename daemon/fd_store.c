/* SPDX-License-Identifier: MIT */
/* Segments in the service manager's descriptor store; see fd_store.h, sd_notify(3). */

#include "config.h"

#include "daemon/fd_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define PREFIX "segment-"

bool
fd_store_is_name(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

void
fd_store_name(const struct segment_header *header, char ret_name[FD_STORE_NAME_BYTES])
{
	int at = snprintf(ret_name, FD_STORE_NAME_BYTES, PREFIX);

	for (size_t i = 0; i < sizeof(header->id); i++)
		at += snprintf(ret_name + at, FD_STORE_NAME_BYTES - (size_t)at, "%02x",
			header->id[i]);
	snprintf(ret_name + at, FD_STORE_NAME_BYTES - (size_t)at, "-%u",
		header->registrations);
}

int
fd_store_return(struct fd_store *store, int fd, const char *name)
{
	struct fd_store_entry *entries = realloc(
		store->entries, (store->count + 1) * sizeof(struct fd_store_entry));

	if (!entries)
		return -ENOMEM;
	store->entries = entries;
	entries[store->count].fd = fd;
	snprintf(entries[store->count].name, FD_STORE_NAME_BYTES, "%s", name);
	store->count++;
	return 0;
}

int
fd_store_take(struct fd_store *store, const struct segment_header *header)
{
	char name[FD_STORE_NAME_BYTES];

	fd_store_name(header, name);
	for (size_t i = 0; i < store->count; i++) {
		int fd = store->entries[i].fd;

		if (fd < 0 || strcmp(store->entries[i].name, name) != 0)
			continue;
		store->entries[i].fd = -1;
		return fd;
	}
	return -1;
}

#ifdef HAVE_SYSTEMD
static void
drop_name(const char *name)
{
	(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void
fd_store_keep(const struct segment_header *header, int fd)
{
	char name[FD_STORE_NAME_BYTES], state[FD_STORE_NAME_BYTES + 32];

	fd_store_name(header, name);
	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
	(void)sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}
#else
static void
drop_name(const char *name)
{
}

void
fd_store_keep(const struct segment_header *header, int fd)
{
}
#endif

void
fd_store_drop(const struct segment_header *header)
{
	char name[FD_STORE_NAME_BYTES];

	fd_store_name(header, name);
	drop_name(name);
}

void
fd_store_fini(struct fd_store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		if (store->entries[i].fd < 0)
			continue;
		close(store->entries[i].fd);
		drop_name(store->entries[i].name);
	}
	free(store->entries);
	*store = (struct fd_store){0};
}
