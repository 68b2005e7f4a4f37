/* SPDX-License-Identifier: MIT */
/* Names of groups and runtimes; see naming.h. */

#include "config.h"

#include "daemon/naming.h"

#include <string.h>
#include <unistd.h>

#include "daemon/rules.h"

/* What the kernel says of a guest; "" where it says nothing. */
struct facts {
	char unit[IDENTITY_NAME_BYTES], command[IDENTITY_NAME_BYTES];
	char cgroup[IDENTITY_CGROUP_BYTES];
};

static void
ask_kernel(const struct naming *naming, const struct reception_guest *guest,
	struct facts *ret_facts)
{
	if (naming->ignore_units || identity_unit(guest->pid, ret_facts->unit) < 0)
		ret_facts->unit[0] = 0;
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

void
naming_group(const struct naming *naming, const struct reception_guest *guest,
	char ret_name[IDENTITY_NAME_BYTES])
{
	const struct segment_hello *hello = &guest->hello;
	struct facts facts;

	if (naming->own_groupname && guest->pid == getpid()) {
		identity_clean(naming->own_groupname, IDENTITY_NAME_BYTES, ret_name);
		return;
	}
	ask_kernel(naming, guest, &facts);
	if (name_by_rule(naming, &facts, ret_name))
		return;
	identity_clean(hello->group, sizeof(hello->group), ret_name);
	if (facts.unit[0])
		strcpy(ret_name, facts.unit);
	else if (!ret_name[0] && facts.command[0])
		strcpy(ret_name, facts.command);
	else if (!ret_name[0])
		identity_clean(hello->exe, sizeof(hello->exe), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, "unknown");
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
