/* SPDX-License-Identifier: MIT */
/* A list of findings, and what they come to. */

#include "config.h"

#include "cli/findings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/format.h"
#include "cli/style.h"

#define LEVELS (FINDING_OBSTACLE + 1)

struct finding {
	struct finding *next;
	enum finding_level level;
	const char *code, *where, *what, *mend;
};

/* One of the texts that are kept. */
struct text {
	struct text *next;
	char text[];
};

struct findings {
	const char *kind, *subject;
	struct finding *first, **end;
	struct text *texts;
	bool carries;
};

static const char *const level_names[LEVELS] = {
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_OBSTACLE] = "obstacle",
};

struct findings *
findings_new(const char *kind, const char *subject)
{
	struct findings *findings = calloc(1, sizeof *findings);

	if (!findings)
		return NULL;
	findings->kind = kind;
	findings->subject = subject;
	findings->end = &findings->first;
	return findings;
}

void
findings_free(struct findings *findings)
{
	if (!findings)
		return;
	for (struct finding *finding = findings->first, *next; finding; finding = next) {
		next = finding->next;
		free(finding);
	}
	for (struct text *text = findings->texts, *next; text; text = next) {
		next = text->next;
		free(text);
	}
	free(findings);
}

const char *
findings_text(struct findings *findings, const char *format, ...)
{
	va_list arguments;
	struct text *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = length < 0 ? NULL : malloc(sizeof *text + (size_t)length + 1);
	if (!text)
		return "";
	va_start(arguments, format);
	vsnprintf(text->text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->next = findings->texts;
	findings->texts = text;
	return text->text;
}

void
findings_add(struct findings *findings, enum finding_level level, const char *code,
	const char *where, const char *what, const char *mend)
{
	struct finding *finding;

	for (finding = findings->first; finding; finding = finding->next)
		if (!strcmp(finding->code, code) && !strcmp(finding->where, where))
			return;
	finding = malloc(sizeof *finding);
	if (!finding)
		return;
	*finding = (struct finding){
		.level = level,
		.code = code,
		.where = findings_text(findings, "%s", where),
		.what = findings_text(findings, "%s", what),
		.mend = mend,
	};
	*findings->end = finding;
	findings->end = &finding->next;
}

void
findings_drop(struct findings *findings, const char *code, const char *where)
{
	struct finding **link = &findings->first;

	while (*link) {
		struct finding *finding = *link;

		if (strcmp(finding->code, code) != 0 ||
			(where && strcmp(finding->where, where) != 0)) {
			link = &finding->next;
			continue;
		}
		*link = finding->next;
		free(finding);
	}
	findings->end = link;
}

void
findings_set_carries(struct findings *findings)
{
	findings->carries = true;
}

size_t
findings_obstacles(const struct findings *findings)
{
	size_t count = 0;

	for (const struct finding *finding = findings->first; finding;
		finding = finding->next)
		count += finding->level == FINDING_OBSTACLE;
	return count;
}

/* Print text that others have made up, safe for a terminal. */
static void
print_clean(const char *text, const struct style *style, FILE *out)
{
	size_t columns = strlen(text);
	char *clean = malloc(4 * columns + 1);

	if (clean)
		fputs(format_name(text, columns, style->utf8, clean), out);
	free(clean);
}

void
findings_print_list(const struct findings *findings, const struct style *style, FILE *out)
{
	for (int level = LEVELS - 1; level >= 0; level--)
		for (const struct finding *finding = findings->first; finding;
			finding = finding->next) {
			if ((int)finding->level != level)
				continue;
			fprintf(out, "%s: ", level_names[level]);
			print_clean(finding->where, style, out);
			putc(' ', out);
			print_clean(finding->what, style, out);
			if (finding->mend) {
				fputs("; ", out);
				print_clean(finding->mend, style, out);
			}
			putc('\n', out);
		}
}

void
findings_print(const struct findings *findings, const struct style *style, FILE *out)
{
	const char *bold = style_bold(style), *end = style_end(style);

	findings_print_list(findings, style, out);
	fputs(bold, out);
	print_clean(findings->subject, style, out);
	fprintf(out, " %s the probe%s\n",
		findings_obstacles(findings) ? "cannot carry"
		: findings->carries          ? "carries"
					     : "can carry",
		end);
}

struct json_t *
findings_json(const struct findings *findings)
{
	json_t *array = json_array();

	for (int level = LEVELS - 1; level >= 0; level--)
		for (const struct finding *finding = findings->first; finding;
			finding = finding->next) {
			json_t *object;

			if ((int)finding->level != level)
				continue;
			/* What is no UTF-8 becomes null. */
			object = json_pack("{s:s, s:s, s:o*, s:o*}", "level",
				level_names[level], "code", finding->code, "where",
				json_string(finding->where), "what",
				json_string(finding->what));
			if (object && finding->mend)
				json_object_set_new(
					object, "mend", json_string(finding->mend));
			json_array_append_new(array, object);
		}
	return array;
}

void
findings_print_json(const struct findings *findings, FILE *out)
{
	json_t *all;
	char *text;

	all = json_pack("{s:s, s:o*, s:b, s:b, s:o}", "kind", findings->kind, "subject",
		json_string(findings->subject), "can_carry",
		!findings_obstacles(findings), "carries",
		findings->carries && !findings_obstacles(findings), "findings",
		findings_json(findings));
	text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
	fprintf(out, "%s\n", text ? text : "{}");
	free(text);
	json_decref(all);
}
