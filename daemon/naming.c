/* SPDX-License-Identifier: MIT */
/*
 * Names of groups and runtimes; see naming.h. Where a rule looks at arguments the name takes
 * a moment: they are asked for by another thread, for so long.
 */

#include "config.h"

#include "daemon/naming.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/arguments.h"
#include "daemon/configuration.h"
#include "daemon/rules.h"
#include "daemon/users.h"

#define ARGUMENTS_NS 2000000000ull

/* What is not known is "". */
struct naming_query {
	struct reception_guest guest;
	uint64_t asked_ns;
	char unit[IDENTITY_NAME_BYTES], command[IDENTITY_NAME_BYTES];
	char user[USERS_NAME_BYTES], cgroup[IDENTITY_CGROUP_BYTES];
	bool own_unit, own_cgroup; /* of a user's own manager: as this user wants it */
	struct arguments *arguments;
};

struct naming_query *
naming_ask(
	const struct naming *naming, const struct reception_guest *guest, uint64_t now_ns)
{
	struct naming_query *query = calloc(1, sizeof(*query));
	uid_t uid = (uid_t)-1;

	if (!query)
		return NULL;
	query->guest = *guest;
	query->asked_ns = now_ns;
	if (naming->ignore_units ||
		identity_unit_and_user(guest->pid, query->unit, &uid) < 0)
		query->unit[0] = 0;
	query->own_unit = uid != (uid_t)-1;
	if (query->own_unit)
		identity_qualify(query->unit, uid);
	if (identity_command(guest->pid, query->command) < 0)
		query->command[0] = 0;
	if (identity_cgroup(guest->pid, query->cgroup) < 0)
		query->cgroup[0] = 0;
	query->own_cgroup = identity_is_of_user(query->cgroup);
	users_name(guest->uid, query->user);
	if (!reception_is_current(guest))
		query->unit[0] = query->command[0] = query->cgroup[0] = 0;
	return query;
}

void
naming_free(struct naming_query *query)
{
	if (!query)
		return;
	arguments_free(query->arguments);
	free(query);
}

/* Find out the arguments, if a rule wants them; NULL: nobody knows. Returns whether there is
 * anything to wait for. */
static bool
find_arguments(const struct naming *naming, struct naming_query *query, uint64_t now_ns,
	const char **ret_text)
{
	const struct reception_guest *guest = &query->guest;
	int r = -1;

	*ret_text = NULL;
	if (!rules_want(naming->rules, naming->rule_count, RULES_ARGUMENTS) ||
		!reception_is_current(guest))
		return false;
	if (!query->arguments)
		query->arguments = arguments_ask(guest->pid, guest->uid);
	if (query->arguments)
		r = arguments_get(query->arguments, ret_text);
	/* A number that was another's when they were read says nothing. */
	if (r > 0 && (!(*ret_text)[0] || !reception_is_current(guest)))
		*ret_text = NULL;
	return r == 0 && now_ns - query->asked_ns < ARGUMENTS_NS;
}

/* Whether a name may be another's, who has it from the kernel, a rule, or us. */
static bool
is_reserved(const struct naming *naming, const char *name)
{
	static const unsigned kernels =
		1u << RULES_UNIT | 1u << RULES_CGROUP | 1u << RULES_USER;

	return strstr(name, ".service") ||
	       (naming->own_groupname && strcmp(name, naming->own_groupname) == 0) ||
	       rules_could_give(naming->rules, naming->rule_count, kernels, name);
}

/* What the process has chosen to be called. */
static void
find_wish(const struct naming_query *query, char ret_name[IDENTITY_NAME_BYTES])
{
	const struct segment_hello *hello = &query->guest.hello;

	identity_clean(hello->group, sizeof(hello->group), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, query->command);
	if (!ret_name[0])
		identity_clean(hello->exe, sizeof(hello->exe), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, "unknown");
}

/* Name it by all that is known. Returns whether the name is given. */
static bool
name_by_facts(const struct naming *naming, const struct naming_query *query,
	const char *arguments, char ret_name[IDENTITY_NAME_BYTES])
{
	const char *const known[RULES_FACTS] = {
		[RULES_UNIT] = query->unit[0] ? query->unit : NULL,
		[RULES_COMMAND] = query->command[0] ? query->command : NULL,
		[RULES_CGROUP] = query->cgroup[0] ? query->cgroup : NULL,
		[RULES_ARGUMENTS] = arguments,
		[RULES_USER] = query->user,
	};
	unsigned chosen = 1u << RULES_COMMAND | 1u << RULES_ARGUMENTS, used;

	if (query->own_unit)
		chosen |= 1u << RULES_UNIT;
	if (query->own_cgroup)
		chosen |= 1u << RULES_CGROUP;
	if (rules_name(naming->rules, naming->rule_count, known, ret_name, &used)) {
		if (!(used & chosen))
			return true;
	} else if (query->unit[0]) {
		strcpy(ret_name, query->unit);
		return !query->own_unit;
	} else {
		find_wish(query, ret_name);
	}
	if (is_reserved(naming, ret_name))
		identity_qualify(ret_name, query->guest.uid);
	return false;
}

bool
naming_answer(const struct naming *naming, struct naming_query *query, uint64_t now_ns,
	char ret_name[IDENTITY_NAME_BYTES], bool *ret_given)
{
	const char *arguments;

	if (naming->own_groupname && query->guest.pid == getpid()) {
		identity_clean(naming->own_groupname, IDENTITY_NAME_BYTES, ret_name);
		*ret_given = true;
		return true;
	}
	if (find_arguments(naming, query, now_ns, &arguments))
		return false;
	*ret_given = name_by_facts(naming, query, arguments, ret_name);
	return true;
}

const char *
naming_runtime(const struct segment_hello *hello)
{
	if (hello->runtime & SEGMENT_RUNTIME_V8)
		return "node";
	if (hello->runtime & SEGMENT_RUNTIME_CPYTHON)
		return "python";
	return strncmp(hello->exe, "java", sizeof(hello->exe)) == 0 ? "java" : NULL;
}
