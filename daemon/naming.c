/* SPDX-License-Identifier: MIT */
/* Names of groups and runtimes; see naming.h. */

#include "config.h"

#include "daemon/naming.h"

#include <string.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/rules.h"

/* What the kernel says of a guest; "" where it says nothing. */
struct facts {
	char unit[IDENTITY_NAME_BYTES], command[IDENTITY_NAME_BYTES];
	bool own_unit; /* of a user's own manager: it has the name that this user wants */
	char cgroup[IDENTITY_CGROUP_BYTES];
};

static void
ask_kernel(const struct naming *naming, const struct reception_guest *guest,
	struct facts *ret_facts)
{
	uid_t uid = (uid_t)-1;

	if (naming->ignore_units ||
		identity_unit_and_user(guest->pid, ret_facts->unit, &uid) < 0)
		ret_facts->unit[0] = 0;
	ret_facts->own_unit = uid != (uid_t)-1;
	if (ret_facts->own_unit)
		identity_qualify(ret_facts->unit, uid);
	if (identity_command(guest->pid, ret_facts->command) < 0)
		ret_facts->command[0] = 0;
	if (!naming->rule_count || identity_cgroup(guest->pid, ret_facts->cgroup) < 0)
		ret_facts->cgroup[0] = 0;
	if (!reception_is_current(guest))
		ret_facts->unit[0] = ret_facts->command[0] = ret_facts->cgroup[0] = 0;
}

static bool
name_by_rule(const struct naming *naming, const struct facts *facts,
	char ret_name[IDENTITY_NAME_BYTES])
{
	const char *const known[RULES_FACTS] = {
		[RULES_UNIT] = facts->unit[0] ? facts->unit : NULL,
		[RULES_COMMAND] = facts->command[0] ? facts->command : NULL,
		[RULES_CGROUP] = facts->cgroup[0] ? facts->cgroup : NULL,
	};

	return rules_name(naming->rules, naming->rule_count, known, ret_name);
}

/* Whether a name may be another's, who has it from the kernel, a rule, or us. */
static bool
is_reserved(const struct naming *naming, const char *name)
{
	if (strstr(name, ".service") ||
		(naming->own_groupname && strcmp(name, naming->own_groupname) == 0))
		return true;
	for (size_t i = 0; i < naming->rule_count; i++)
		if (strcmp(name, naming->rules[i].name) == 0)
			return true;
	return false;
}

/* What the process has chosen to be called. */
static void
name_by_choice(const struct naming *naming, const struct reception_guest *guest,
	const char *command, char ret_name[IDENTITY_NAME_BYTES])
{
	const struct segment_hello *hello = &guest->hello;

	identity_clean(hello->group, sizeof(hello->group), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, command);
	if (!ret_name[0])
		identity_clean(hello->exe, sizeof(hello->exe), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, "unknown");
	if (is_reserved(naming, ret_name))
		identity_qualify(ret_name, guest->uid);
}

bool
naming_group(const struct naming *naming, const struct reception_guest *guest,
	char ret_name[IDENTITY_NAME_BYTES])
{
	static struct facts facts;

	if (naming->own_groupname && guest->pid == getpid()) {
		identity_clean(naming->own_groupname, IDENTITY_NAME_BYTES, ret_name);
		return true;
	}
	ask_kernel(naming, guest, &facts);
	if (name_by_rule(naming, &facts, ret_name))
		return true;
	if (facts.unit[0])
		strcpy(ret_name, facts.unit);
	else
		name_by_choice(naming, guest, facts.command, ret_name);
	return facts.unit[0] && !facts.own_unit;
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
