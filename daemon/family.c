/* SPDX-License-Identifier: MIT */
/* Whose threads own the thread records of a segment; see family.h. */

#include "config.h"

#include "daemon/family.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/event.h"
#include "daemon/quota.h"

/* A thread that owns a record, as it was found. */
struct owner {
	uint32_t tid, generation;
	pid_t process; /* 0: could not be found */
	pid_t thread;  /* the same */
};

struct family {
	const struct reader *reader;
	struct quota *quota;
	struct owner *owners; /* by record */
	pid_t pid;
	uid_t uid;           /* its user */
	bool same_namespace; /* its thread numbers are ours */
	bool dead;
};

struct family *
family_new(const struct reader *reader, pid_t pid, uid_t uid, struct quota *quota)
{
	const struct segment_header *header = reader_header(reader);
	struct family *family = calloc(1, sizeof(*family));

	if (!family)
		return NULL;
	family->owners = calloc(header->thread_count, sizeof(struct owner));
	if (!family->owners) {
		free(family);
		return NULL;
	}
	family->reader = reader;
	family->quota = quota;
	family->pid = pid;
	family->uid = uid;
	/* By chance it may have the same number in another one. */
	family->same_namespace = pid == (pid_t)header->pid && !identity_is_nested(pid);
	return family;
}

void
family_free(struct family *family)
{
	if (!family)
		return;
	free(family->owners);
	free(family);
}

void
family_died(struct family *family)
{
	family->dead = true;
}

bool
family_is_dead(const struct family *family)
{
	return family->dead;
}

static uint32_t
record_count(const struct family *family)
{
	return reader_header(family->reader)->thread_count;
}

/* Whether another thread may be looked up now: nobody can keep us busy with it. */
static bool
may_look_up(const struct family *family)
{
	return quota_do(family->quota, family->uid, QUOTA_LOOKUPS, event_now_ns()) == 0;
}

/* Whether the kernel can be asked for the family's threads by their numbers. */
static bool
can_look_up(const struct family *family)
{
	return family->same_namespace || (family->pid > 0 && !family->dead);
}

/* Whether a number is that of the registrant's first thread, as it counts itself. */
static bool
is_first_thread(const struct family *family, uint32_t tid)
{
	return tid == reader_header(family->reader)->pid;
}

/* Look a thread up by its number. Who is not root cannot have children that act as another
 * user: such a number is a lie about somebody else's thread. Returns 0 or -errno. */
static int
look_up(const struct family *family, uint32_t tid, struct identity_thread *ret_thread)
{
	struct identity_thread found = {0};
	int r = identity_thread(family->pid, family->same_namespace, (pid_t)tid, &found);

	quota_owe(family->quota, family->uid, QUOTA_LOOKUPS, found.searched);
	if (r == 0 && family->same_namespace && family->uid && found.uid != family->uid)
		r = -EPERM;
	if (r == 0)
		*ret_thread = found;
	return r;
}

/* Who holds a record, looked up if need be; NULL if that cannot be known now. */
static const struct owner *
find_owner(struct family *family, uint32_t record)
{
	struct reader_thread thread = reader_thread(family->reader, record);
	struct identity_thread found = {0};
	struct owner *owner;

	if (record >= record_count(family))
		return NULL;
	owner = &family->owners[record];
	if (owner->tid == thread.tid && owner->generation == thread.generation)
		return owner;
	if (is_first_thread(family, thread.tid)) {
		found.tgid = found.tid = family->pid;
	} else if (reader_is_living(thread.owner) && can_look_up(family)) {
		if (!may_look_up(family))
			return NULL;
		(void)look_up(family, thread.tid, &found);
	}
	*owner = (struct owner){thread.tid, thread.generation, found.tgid, found.tid};
	return owner;
}

pid_t
family_process(struct family *family, uint32_t record)
{
	const struct owner *owner = find_owner(family, record);

	return owner ? owner->process : 0;
}

pid_t
family_thread(struct family *family, uint32_t record)
{
	const struct owner *owner = find_owner(family, record);

	return owner ? owner->thread : 0;
}

bool
family_is_living(struct family *family, uint32_t record)
{
	pid_t process;

	if (!reader_is_living(reader_thread(family->reader, record).owner))
		return false;
	if (!family->dead)
		return true;
	/* The kernel has marked what the dead process owned, if it could. */
	process = family_process(family, record);
	return process ? process != family->pid : !can_look_up(family);
}

bool
family_has_living(struct family *family, bool others)
{
	for (uint32_t i = 0; i < record_count(family); i++)
		if (family_is_living(family, i) &&
			(!others || family_process(family, i) != family->pid))
			return true;
	return false;
}

bool
family_has_member(struct family *family, pid_t pid)
{
	for (uint32_t i = 0; i < record_count(family); i++)
		if (reader_is_living(reader_thread(family->reader, i).owner) &&
			family_process(family, i) == pid)
			return true;
	return false;
}

unsigned
family_count(struct family *family, bool (*skip)(void *arg, pid_t pid), void *arg)
{
	static pid_t members[SEGMENT_SLOTS_MAX];
	unsigned count = 0;
	bool unknown = false;

	for (uint32_t i = 0; i < record_count(family); i++) {
		bool counted = false;
		pid_t process;

		if (!family_is_living(family, i))
			continue;
		process = family_process(family, i);
		/* While the registrant lives they are its threads, most likely. */
		unknown = unknown || (!process && family->dead);
		if (!process || process == family->pid)
			continue;
		for (unsigned j = 0; j < count && !counted; j++)
			counted = members[j] == process;
		if (!counted && !skip(arg, process))
			members[count++] = process;
	}
	return count + unknown;
}

bool
family_label(struct family *family, uint32_t record, char ret_label[IDENTITY_NAME_BYTES])
{
	struct reader_thread thread = reader_thread(family->reader, record);
	struct identity_thread found = {.is_main = is_first_thread(family, thread.tid)};

	strcpy(ret_label, "thread");
	if (!found.is_main && reader_is_living(thread.owner) && can_look_up(family)) {
		if (!may_look_up(family))
			return false;
		if (look_up(family, thread.tid, &found) < 0)
			return true;
	}
	if (found.is_main) {
		strcpy(ret_label, "main");
	} else if (found.name[0]) {
		strcpy(ret_label, found.name);
		identity_trim(ret_label);
	}
	return true;
}
