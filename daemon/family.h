/* SPDX-License-Identifier: MIT */
/*
 * The family of a segment: the process that registered it and the children that it forked,
 * as far as their threads hold thread records in it. Tells who of them lives, and whose a
 * loop is.
 */
#ifndef LOOPLAG_DAEMON_FAMILY_H
#define LOOPLAG_DAEMON_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/identity.h"
#include "daemon/reader.h"

struct family;
struct quota;

/* `reader` and `quota` are borrowed. `pid` is the registrant's as we count, 0 if we cannot
 * see it. NULL without memory. */
struct family *
family_new(const struct reader *reader, pid_t pid, uid_t uid, struct quota *quota);
void
family_free(struct family *family);

/* From now on the registrant is dead. */
void
family_died(struct family *family);
bool
family_is_dead(const struct family *family);

/* The process of a record's owner, living or dead; 0 if that cannot be known. */
pid_t
family_process(struct family *family, uint32_t record);

/* Its thread, as we count; 0 if that cannot be known. */
pid_t
family_thread(struct family *family, uint32_t record);

/* Whether the owner of a record lives, as far as anybody can tell. */
bool
family_is_living(struct family *family, uint32_t record);

/* Whether anybody lives who has, or had, a loop; or anybody but the registrant's threads. */
bool
family_has_living(struct family *family, bool others);

/* Whether a process is known to be a living member. */
bool
family_has_member(struct family *family, pid_t pid);

/* How many other processes than the registrant live; `skip` tells which are not to be
 * counted. */
unsigned
family_count(struct family *family, bool (*skip)(void *arg, pid_t pid), void *arg);

/* The label of the loops of a record's owner: "main", or its thread's name. Returns
 * whether it is known or will never be ("thread"); otherwise it is worth another try. */
bool
family_label(struct family *family, uint32_t record, char ret_label[IDENTITY_NAME_BYTES]);

#endif
