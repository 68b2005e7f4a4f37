/* SPDX-License-Identifier: MIT */
/* YAML, by libyaml's events, as a tree with positions; see document.h. */

#include "config.h"

#include "daemon/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "daemon/mistakes.h"

struct reader {
	yaml_parser_t parser;
	struct mistakes *mistakes;
	const char *text;
	size_t length;
};

void
document_free(struct document_node *node)
{
	while (node) {
		struct document_node *next = node->next;

		document_free(node->value);
		document_free(node->first);
		free(node->text);
		free(node);
		node = next;
	}
}

/* Where a byte stands: libyaml's own marks do not reach what it cannot decode. */
static void
locate(const struct reader *reader, size_t offset, unsigned *ret_line,
	unsigned *ret_column)
{
	*ret_line = *ret_column = 1;
	for (size_t i = 0; i < offset && i < reader->length; i++) {
		if (reader->text[i] == '\n') {
			++*ret_line;
			*ret_column = 1;
		} else if ((reader->text[i] & 0xc0) != 0x80) {
			++*ret_column;
		}
	}
}

/* Tell why libyaml has given up. */
static int
tell_problem(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	unsigned line = (unsigned)parser->problem_mark.line + 1;
	unsigned column = (unsigned)parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		locate(reader, parser->problem_offset, &line, &column);
	mistakes_add(reader->mistakes, line, column, "no valid YAML: %s%s%s",
		parser->problem ? parser->problem : "unknown problem",
		parser->context ? " " : "", parser->context ? parser->context : "");
	return -EINVAL;
}

static int
next_event(struct reader *reader, yaml_event_t *ret_event)
{
	return yaml_parser_parse(&reader->parser, ret_event) ? 0 : tell_problem(reader);
}

static void
tell(struct reader *reader, const yaml_event_t *event, const char *text)
{
	mistakes_add(reader->mistakes, (unsigned)event->start_mark.line + 1,
		(unsigned)event->start_mark.column + 1, "%s", text);
}

/* Tell of what YAML can do and we do not want. */
static void
tell_extras(struct reader *reader, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		tell(reader, event, "anchors (&) have no meaning here; leave it out");
	if (tag)
		tell(reader, event, "tags (!) have no meaning here; leave it out");
}

/* Make the node itself, without what is in it. */
static int
make_node(
	struct reader *reader, const yaml_event_t *event, struct document_node **ret_node)
{
	struct document_node *node = calloc(1, sizeof(*node));
	const char *text = NULL;

	if (!node)
		return -ENOMEM;
	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	node->kind = DOCUMENT_BAD;
	if (event->type == YAML_SEQUENCE_START_EVENT) {
		node->kind = DOCUMENT_LIST;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		node->kind = DOCUMENT_MAPPING;
	} else if (event->type == YAML_ALIAS_EVENT) {
		tell(reader, event, "aliases (*) have no meaning here; write it out");
	} else {
		text = (const char *)event->data.scalar.value;
		if (strlen(text) == event->data.scalar.length)
			node->kind = DOCUMENT_SCALAR;
		else
			tell(reader, event, "a text with a NUL in it; leave that out");
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = strdup(text);
	}
	if (text && !node->text) {
		free(node);
		return -ENOMEM;
	}
	*ret_node = node;
	return 0;
}

static int
read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
	struct document_node **ret_node);

/* Read all that is in a list or mapping. */
static int
read_children(struct reader *reader, struct document_node *parent, unsigned depth)
{
	struct document_node **end = &parent->first, *key = NULL, *node;
	yaml_event_t event;
	int r;

	for (;;) {
		r = next_event(reader, &event);
		if (r < 0)
			return r;
		if (event.type == YAML_SEQUENCE_END_EVENT ||
			event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		r = read_node(reader, &event, depth, &node);
		yaml_event_delete(&event);
		if (r < 0)
			return r;
		if (key) {
			key->value = node;
			key = NULL;
			continue;
		}
		*end = node;
		end = &node->next;
		if (parent->kind == DOCUMENT_MAPPING)
			key = node;
	}
}

static int
read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
	struct document_node **ret_node)
{
	struct document_node *node;
	int r;

	tell_extras(reader, event);
	r = make_node(reader, event, &node);
	if (r < 0)
		return r;
	if (node->kind == DOCUMENT_LIST || node->kind == DOCUMENT_MAPPING) {
		if (depth == DOCUMENT_DEPTH_MAX) {
			tell(reader, event, "nested too deeply; nothing here is");
			r = -EINVAL;
		} else {
			r = read_children(reader, node, depth + 1);
		}
	}
	if (r < 0)
		document_free(node);
	else
		*ret_node = node;
	return r;
}

/* From the stream's beginning to its end. */
static int
read_stream(struct reader *reader, struct document_node **ret_root)
{
	bool seen = false;
	yaml_event_t event;
	int r;

	for (;;) {
		yaml_event_type_t type;

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && seen) {
			tell(reader, &event,
				"a second document; one is all there can be");
			r = -EINVAL;
		} else if (type == YAML_DOCUMENT_START_EVENT) {
			seen = true;
			if (event.data.document_start.version_directive)
				tell(reader, &event,
					"%YAML has no meaning here; leave it out");
		} else if (type != YAML_STREAM_START_EVENT &&
			   type != YAML_DOCUMENT_END_EVENT &&
			   type != YAML_STREAM_END_EVENT) {
			r = read_node(reader, &event, 0, ret_root);
		}
		yaml_event_delete(&event);
		if (r < 0 || type == YAML_STREAM_END_EVENT)
			return r;
	}
}

int
document_read(const char *text, size_t length, struct mistakes *mistakes,
	struct document_node **ret_root)
{
	static const char mark[] = "\xef\xbb\xbf";
	struct reader reader = {.mistakes = mistakes};
	struct document_node *root = NULL;
	int r;

	if (length >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
		text += strlen(mark);
		length -= strlen(mark);
	}
	reader.text = text;
	reader.length = length;
	if (!yaml_parser_initialize(&reader.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
	r = read_stream(&reader, &root);
	yaml_parser_delete(&reader.parser);
	/* A document without anything in it is an empty scalar. */
	if (r == 0 && root && root->kind == DOCUMENT_SCALAR && root->plain &&
		!root->text[0]) {
		document_free(root);
		root = NULL;
	}
	if (r < 0)
		document_free(root);
	else
		*ret_root = root;
	return r;
}

const struct document_node *
document_key(const struct document_node *mapping, const char *name)
{
	const struct document_node *key = mapping->first;

	while (key && (key->kind != DOCUMENT_SCALAR || strcmp(key->text, name) != 0))
		key = key->next;
	return key;
}

const char *
document_kind_name(const struct document_node *node)
{
	switch (node->kind) {
	case DOCUMENT_LIST:
		return "a list";
	case DOCUMENT_MAPPING:
		return "a mapping";
	default:
		return node->plain && !node->text[0] ? "nothing" : "a text";
	}
}
