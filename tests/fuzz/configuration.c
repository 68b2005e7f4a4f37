/* SPDX-License-Identifier: MIT */
/* Any text as a configuration: it is taken, or told what is wrong with it, where. What was
 * taken is what the documentation promises, and names groups. */

#include "config.h"

#include "daemon/configuration.h"

#include <errno.h>
#include <regex.h>
#include <string.h>

#include "daemon/rules.h"
#include "tests/fuzz/fuzz.h"

#define PATH "looplagd.yaml"
#define GROUPS_MAX 4

/* Over many repetitions of what may be empty, one in the other, libc's takes as long as
 * anybody likes. Who writes a configuration may do so; here it would look like our fault. */
int
__real_regcomp(regex_t *regex, const char *pattern, int flags);
int
__wrap_regcomp(regex_t *regex, const char *pattern, int flags);
int
__wrap_regcomp(regex_t *regex, const char *pattern, int flags)
{
	unsigned groups = 0;

	for (const char *s = strchr(pattern, '('); s; s = strchr(s + 1, '('))
		groups++;
	return groups > GROUPS_MAX ? REG_ESPACE : __real_regcomp(regex, pattern, flags);
}

/* Each line is path:line:column: words, and none is empty. */
static void
check_words(const char *words)
{
	fuzz_check(*words);
	while (*words) {
		unsigned line, column;
		int n = 0;

		/* Those that were left out are only counted. */
		if (sscanf(words, PATH ":%u:%u: %n", &line, &column, &n) != 2)
			fuzz_check(strncmp(words, PATH ": ", strlen(PATH ": ")) == 0);
		else
			fuzz_check(line && column && n);
		words += strcspn(words, "\n");
		fuzz_check(*words == '\n');
		words++;
	}
}

static void
check_alert(const struct configuration_alert *alert)
{
	fuzz_check(alert->name && *alert->name);
	fuzz_check(alert->type < CONFIGURATION_ALERT_TYPES);
	fuzz_check(alert->above >= 0 && alert->above < 1e12);
	fuzz_check(alert->below >= 0 && alert->below <= alert->above);
	fuzz_check(alert->quantile >= 0 && alert->quantile <= 1);
}

static void
check_configuration(const struct configuration *config)
{
	static const char *const facts[][RULES_FACTS] = {
		{"web.service", "python3", "/system.slice/web.service", "a b", "root"},
		{NULL, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"/"},
		{"\xff\n\"\\.service", NULL, NULL},
	};

	fuzz_check(config->threshold_ns);
	fuzz_check(config->alert_count <= CONFIGURATION_ALERTS_MAX);
	fuzz_check(config->rule_count <= CONFIGURATION_RULES_MAX);
	for (size_t i = 0; i < config->alert_count; i++)
		check_alert(&config->alerts[i]);
	for (size_t i = 0; i < config->rule_count; i++)
		fuzz_check(!rules_check(&config->rules[i]));
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		char name[IDENTITY_NAME_BYTES] = "";
		unsigned used = 0;

		if (rules_name(config->rules, config->rule_count, facts[i], name, &used))
			fuzz_check(*name && used < 1u << RULES_FACTS);
		(void)rules_could_give(
			config->rules, config->rule_count, used, "web-web.service");
		fuzz_check_clean(name);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct configuration *config = NULL;
	size_t words_size = 0;
	char *words = NULL;
	FILE *err = open_memstream(&words, &words_size);
	int r;

	fuzz_check(err);
	r = configuration_parse((const char *)data, size, PATH, err, &config);
	fclose(err);
	fuzz_check(r == 0 || r == -EINVAL);
	if (r == 0) {
		fuzz_check(config && !words_size);
		check_configuration(config);
	} else {
		fuzz_check(!config);
		check_words(words);
	}
	configuration_free(config);
	free(words);
	return 0;
}
