/* SPDX-License-Identifier: MIT */
/*
 * A YAML document as a tree that knows where everything stands. Only what a configuration
 * needs: scalars, lists and mappings; anchors, aliases, tags and further documents are
 * mistakes.
 */
#ifndef LOOPLAG_DAEMON_DOCUMENT_H
#define LOOPLAG_DAEMON_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

struct mistakes;

#define DOCUMENT_DEPTH_MAX 8

enum document_kind {
	DOCUMENT_SCALAR,
	DOCUMENT_LIST,
	DOCUMENT_MAPPING,
	DOCUMENT_BAD /* a mistake that was told */
};

struct document_node {
	enum document_kind kind;
	unsigned line, column;       /* from 1 on */
	bool plain;                  /* a scalar without quotes */
	char *text;                  /* of a scalar */
	struct document_node *first; /* of a list: items; of a mapping: keys */
	struct document_node *next;
	struct document_node *value; /* of a key */
};

/* Read a text. Returns 0 with the root, which is NULL if the document is empty; -EINVAL if
 * it is no YAML, which was told; or -ENOMEM. There may be mistakes all the same. */
__attribute__((warn_unused_result)) int
document_read(const char *text, size_t length, struct mistakes *mistakes,
	struct document_node **ret_root);
void
document_free(struct document_node *root);

/* The key of that name in a mapping, or NULL. */
const struct document_node *
document_key(const struct document_node *mapping, const char *name);

/* What a node is, for messages: a list, nothing, ... */
const char *
document_kind_name(const struct document_node *node);

#endif
