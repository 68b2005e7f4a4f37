/* SPDX-License-Identifier: MIT */
/* What looplag doctor has found out: one line each, with what, where, and how to mend it. */
#ifndef LOOPLAG_CLI_FINDINGS_H
#define LOOPLAG_CLI_FINDINGS_H

#include <stddef.h>
#include <stdio.h>

struct findings;
struct json_t;
struct style;

enum finding_level {
	FINDING_NOTE,    /* good to know */
	FINDING_WARNING, /* it can carry the probe, but less is seen than one may expect */
	FINDING_OBSTACLE, /* it cannot carry the probe */
};

/* Findings about a thing that people call `subject`: a "process", "unit" or "command". Both
 * are borrowed. NULL without memory. */
struct findings *
findings_new(const char *kind, const char *subject);
void
findings_free(struct findings *findings);

/* A text that lives as long as the findings do; "" without memory. */
__attribute__((format(printf, 2, 3))) const char *
findings_text(struct findings *findings, const char *format, ...);

/*
 * Add one. `code` is its name for programs, and of the same code there is but one for the
 * same place; `where` is the file, unit or process; `what` goes on as a sentence that begins
 * with it; `mend` says what to do, NULL if that is nothing. `code` and `mend` are borrowed
 * (findings_text() makes them), the others are copied.
 */
void
findings_add(struct findings *findings, enum finding_level level, const char *code,
	const char *where, const char *what, const char *mend);

/* Forget those of a code: at that place, NULL: wherever. */
void
findings_drop(struct findings *findings, const char *code, const char *where);

/* It has the probe loaded, and it works. */
void
findings_set_carries(struct findings *findings);

/* How many obstacles there are. */
size_t
findings_obstacles(const struct findings *findings);

/* Print all, the gravest first. */
void
findings_print_list(
	const struct findings *findings, const struct style *style, FILE *out);

/* The same as an array of jansson's; caller has the reference. */
struct json_t *
findings_json(const struct findings *findings);

/* Print all and the verdict. */
void
findings_print(const struct findings *findings, const struct style *style, FILE *out);
void
findings_print_json(const struct findings *findings, FILE *out);

#endif
