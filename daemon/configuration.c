/* SPDX-License-Identifier: MIT */
/*
 * From a text to a configuration: the tree of document.c, walked along the table of
 * schema.c.
 */

#include "config.h"

#include "daemon/configuration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/document.h"
#include "daemon/mistakes.h"
#include "daemon/pattern.h"
#include "daemon/schema.h"
#include "daemon/text_file.h"

#define ALERT_SECTIONS (SCHEMA_ALERT | SCHEMA_DELAY | SCHEMA_STALLED | SCHEMA_STARVED)
#define DEFAULT_PATH "defaults"

struct reader {
	struct mistakes mistakes;
	struct configuration *config;
	bool no_memory;
};

/* What a mapping is, and where its values go. */
struct target {
	const char *what;  /* "the configuration", "an alert" */
	unsigned sections; /* whose keys it may have */
	unsigned others;   /* whose keys are no mistake, but not read */
	void *object;
};

const char *
configuration_alert_type_name(enum configuration_alert_type type)
{
	static const char *const names[CONFIGURATION_ALERT_TYPES] = {
		[CONFIGURATION_DELAY] = "delay",
		[CONFIGURATION_STALLED] = "stalled",
		[CONFIGURATION_STARVED] = "starved",
	};

	return names[type];
}

void
configuration_free(struct configuration *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->alert_count; i++) {
		free(config->alerts[i].name);
		pattern_free(config->alerts[i].groups);
	}
	for (size_t i = 0; i < config->rule_count; i++) {
		free(config->rules[i].name);
		for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++)
			pattern_free(config->rules[i].patterns[fact]);
	}
	free(config->alerts);
	free(config->rules);
	free(config);
}

static void
tell_unknown(struct reader *reader, const struct target *target,
	const struct document_node *key)
{
	const char *similar =
		schema_similar(target->sections | target->others, key->text);
	char quoted[MISTAKES_QUOTE_BYTES];

	mistakes_quote(key->text, quoted);
	if (target->sections & SCHEMA_ALERT && schema_find(ALERT_SECTIONS, key->text))
		mistakes_add(&reader->mistakes, key->line, key->column,
			"%s has no meaning in an alert of this type", quoted);
	else if (similar)
		mistakes_add(&reader->mistakes, key->line, key->column,
			"unknown key %s in %s; did you mean %s?", quoted, target->what,
			similar);
	else
		mistakes_add(&reader->mistakes, key->line, key->column,
			"unknown key %s in %s", quoted, target->what);
}

/* Whether it is a key that is known and new; if not, tell. */
static bool
check_key(struct reader *reader, const struct target *target,
	const struct document_node *mapping, const struct document_node *key)
{
	const struct document_node *first;

	if (key->kind != DOCUMENT_SCALAR) {
		if (key->kind != DOCUMENT_BAD)
			mistakes_add(&reader->mistakes, key->line, key->column,
				"%s in place of a key", document_kind_name(key));
		return false;
	}
	first = document_key(mapping, key->text);
	if (first != key) {
		char quoted[MISTAKES_QUOTE_BYTES];

		mistakes_add(&reader->mistakes, key->line, key->column,
			"%s is given twice; line %u has it too",
			mistakes_quote(key->text, quoted), first->line);
		return false;
	}
	if (schema_find(target->sections, key->text))
		return true;
	if (!schema_find(target->others, key->text))
		tell_unknown(reader, target, key);
	return false;
}

static void
read_list(struct reader *reader, const struct schema_option *option,
	const struct document_node *node);

/* The bounds of buckets. */
static void
read_buckets(struct reader *reader, const struct schema_option *option,
	const struct document_node *node)
{
	const struct schema_option bound = {
		.key = option->key, .type = SCHEMA_SHARE, .least = 0.000001, .most = 256};
	struct configuration *config = reader->config;
	const struct document_node *item =
		node->kind == DOCUMENT_LIST ? node->first : NULL;
	size_t count = 0;

	if (!item)
		schema_refuse(option, node, &reader->mistakes, NULL);
	for (; item; item = item->next, count++) {
		double *bounds = config->delay_buckets;

		if (count == CONFIGURATION_BUCKETS_MAX) {
			schema_refuse(
				option, node, &reader->mistakes, "with too many items");
			return;
		}
		if (!schema_set(&bound, item, &reader->mistakes, &bounds[count]))
			return;
		if (count && bounds[count] <= bounds[count - 1]) {
			schema_refuse(&bound, item, &reader->mistakes, "is not rising");
			return;
		}
	}
	config->delay_bucket_count = count;
}

static void
read_value(struct reader *reader, const struct schema_option *option,
	const struct document_node *node, void *object)
{
	if (option->type == SCHEMA_BUCKETS)
		read_buckets(reader, option, node);
	else if (option->type == SCHEMA_ALERTS || option->type == SCHEMA_GROUPS)
		read_list(reader, option, node);
	else
		schema_set(option, node, &reader->mistakes, object);
}

/* Give an option what it has when the file says nothing. */
static void
set_default(struct reader *reader, const struct schema_option *option, void *object)
{
	struct document_node *root = NULL;

	if (document_read(option->initial, strlen(option->initial), &reader->mistakes,
		    &root) < 0 ||
		!root)
		reader->no_memory = true;
	else
		read_value(reader, option, root, object);
	document_free(root);
}

/* Set what the file does not, or tell that it must. */
static void
read_absent(struct reader *reader, const struct target *target,
	const struct document_node *mapping)
{
	size_t count;
	const struct schema_option *options = schema_options(&count);

	for (size_t i = 0; i < count; i++) {
		const struct schema_option *option = &options[i];

		if (!(option->section & target->sections) ||
			(mapping && document_key(mapping, option->key)))
			continue;
		if (option->initial)
			set_default(reader, option, target->object);
		else if (option->required)
			mistakes_add(&reader->mistakes, mapping->line, mapping->column,
				"%s needs '%s'", target->what, option->key);
	}
}

/* Read all keys of a mapping. */
static void
read_mapping(struct reader *reader, const struct target *target,
	const struct document_node *mapping)
{
	if (mapping->kind != DOCUMENT_MAPPING) {
		if (mapping->kind != DOCUMENT_BAD)
			mistakes_add(&reader->mistakes, mapping->line, mapping->column,
				"%s; expected %s: keys and values",
				document_kind_name(mapping), target->what);
		return;
	}
	for (const struct document_node *key = mapping->first; key; key = key->next)
		if (check_key(reader, target, mapping, key))
			read_value(reader, schema_find(target->sections, key->text),
				key->value, target->object);
	read_absent(reader, target, mapping);
}

/* Tell of a value in a mapping that was good by itself. */
static void
tell_value(struct reader *reader, const struct document_node *mapping, const char *name,
	const char *words)
{
	const struct document_node *key = document_key(mapping, name);
	const struct document_node *place = key ? key->value : mapping;

	mistakes_add(
		&reader->mistakes, place->line, place->column, "%s: %s", name, words);
}

/* What an alert's keys must be together. */
static void
check_alert(struct reader *reader, const struct document_node *node,
	const struct configuration_alert *alert)
{
	const struct configuration *config = reader->config;

	if (alert->below > alert->above)
		tell_value(reader, node, "below",
			"more than above; expected less or the same");
	for (const struct configuration_alert *other = config->alerts; other < alert;
		other++)
		if (alert->name && other->name && strcmp(other->name, alert->name) == 0)
			tell_value(reader, node, "name",
				"another alert is called so; expected another name");
}

static void
read_alert(struct reader *reader, const struct document_node *node,
	struct configuration_alert *alert)
{
	static const enum schema_section sections[CONFIGURATION_ALERT_TYPES] = {
		[CONFIGURATION_DELAY] = SCHEMA_DELAY,
		[CONFIGURATION_STALLED] = SCHEMA_STALLED,
		[CONFIGURATION_STARVED] = SCHEMA_STARVED,
	};
	struct target target = {"an alert", SCHEMA_ALERT, ALERT_SECTIONS, alert};
	const struct document_node *key =
		node->kind == DOCUMENT_MAPPING ? document_key(node, "type") : NULL;

	/* Which keys there may be depends on the type; without one, no key is too many. */
	for (enum configuration_alert_type type = 0; type < CONFIGURATION_ALERT_TYPES;
		type++) {
		if (!key || key->value->kind != DOCUMENT_SCALAR ||
			strcmp(key->value->text, configuration_alert_type_name(type)) !=
				0)
			continue;
		target.sections |= sections[type];
		target.others = 0;
	}
	read_mapping(reader, &target, node);
	if (!alert->below)
		alert->below = alert->above * 0.8;
	check_alert(reader, node, alert);
}

static void
read_rule(struct reader *reader, const struct document_node *node,
	struct configuration_rule *rule)
{
	struct target target = {"a rule for groups", SCHEMA_GROUP, 0, rule};
	size_t before = reader->mistakes.count;
	const char *wrong;
	bool any = false;

	read_mapping(reader, &target, node);
	/* What is no value at all was told when the text was read. */
	if (reader->mistakes.count != before || node->kind != DOCUMENT_MAPPING ||
		!rule->name)
		return;
	for (enum rules_fact fact = 0; fact < RULES_FACTS; fact++)
		any |= !!rule->patterns[fact];
	wrong = rules_check(rule);
	if (!any)
		mistakes_add(&reader->mistakes, node->line, node->column,
			"a rule for groups needs 'unit', 'cgroup', 'command', "
			"'arguments' "
			"or 'user'");
	else if (wrong)
		tell_value(reader, node, "name", wrong);
}

static void
read_list(struct reader *reader, const struct schema_option *option,
	const struct document_node *node)
{
	struct configuration *config = reader->config;
	bool alerts = option->type == SCHEMA_ALERTS;
	size_t count = 0;
	void *array;

	if (node->kind != DOCUMENT_LIST) {
		schema_refuse(option, node, &reader->mistakes, NULL);
		return;
	}
	for (const struct document_node *item = node->first; item; item = item->next)
		count++;
	if ((double)count > option->most) {
		schema_refuse(option, node, &reader->mistakes, "with too many items");
		return;
	}
	if (!count)
		return;
	array = calloc(count, alerts ? sizeof(*config->alerts) : sizeof(*config->rules));
	if (!array) {
		reader->no_memory = true;
		return;
	}
	if (alerts)
		config->alerts = array;
	else
		config->rules = array;
	for (const struct document_node *item = node->first; item; item = item->next) {
		if (alerts)
			read_alert(reader, item, &config->alerts[config->alert_count++]);
		else
			read_rule(reader, item, &config->rules[config->rule_count++]);
	}
}

/* What is no stall never fires. */
static void
check_stalled(struct reader *reader, const struct document_node *root)
{
	const struct document_node *key = document_key(root, "alerts"), *item;
	const struct configuration *config = reader->config;

	item = key ? key->value->first : NULL;
	for (size_t i = 0; item; i++, item = item->next)
		if (config->alerts[i].type == CONFIGURATION_STALLED &&
			config->alerts[i].above * 1e9 < (double)config->threshold_ns)
			tell_value(reader, item, "above",
				"less than threshold; expected at least as much, as what "
				"is shorter is no stall");
}

static void
read_root(struct reader *reader, const struct document_node *root)
{
	struct target target = {"the configuration", SCHEMA_TOP, 0, reader->config};

	if (!root) {
		read_absent(reader, &target, NULL);
		return;
	}
	read_mapping(reader, &target, root);
	if (!reader->mistakes.count)
		check_stalled(reader, root);
}

int
configuration_parse(const char *text, size_t length, const char *path, FILE *err,
	struct configuration **ret_configuration)
{
	struct reader reader = {.config = calloc(1, sizeof(*reader.config))};
	struct document_node *root = NULL;
	int r = -ENOMEM;

	if (reader.config)
		r = document_read(text, length, &reader.mistakes, &root);
	if (r == 0)
		read_root(&reader, root);
	document_free(root);
	if (reader.no_memory || (r == 0 && reader.mistakes.count))
		r = reader.no_memory ? -ENOMEM : -EINVAL;
	mistakes_print(&reader.mistakes, path, err);
	if (r == -ENOMEM)
		fprintf(err, "%s: out of memory\n", path);
	mistakes_fini(&reader.mistakes);
	if (r < 0)
		configuration_free(reader.config);
	else
		*ret_configuration = reader.config;
	return r;
}

struct configuration *
configuration_default(void)
{
	struct configuration *config = NULL;

	if (configuration_parse("", 0, DEFAULT_PATH, stderr, &config) < 0)
		return NULL;
	return config;
}

int
configuration_load(const char *path, FILE *err, struct configuration **ret_configuration)
{
	size_t length = 0;
	char *text = NULL;
	int r = text_file_load(path, err, &text, &length);

	if (r < 0)
		return r;
	r = configuration_parse(text, length, path, err, ret_configuration);
	free(text);
	return r;
}
