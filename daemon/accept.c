/* SPDX-License-Identifier: MIT */
/* What a client accepts; see accept.h. What is no proper element of a list is passed over. */

#include "config.h"

#include "daemon/accept.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define SPACES " \t"

struct piece {
	const char *text;
	size_t length;
};

/* What may be asked for. A parameter that must be named tells formats of one type apart. */
static const struct offer {
	const char *type;
	struct {
		const char *name, *value;
		bool must;
	} parameters[2];
} offers[] = {
	[ACCEPT_TEXT] = {"text/plain", {{"version", "0.0.4", false}}},
	[ACCEPT_OPENMETRICS] = {"application/openmetrics-text",
		{{"version", "1.0.0", true}}},
	[ACCEPT_PROTOBUF] = {"application/vnd.google.protobuf",
		{{"proto", "io.prometheus.client.MetricFamily", true},
			{"encoding", "delimited", true}}},
};

#define OFFERS (sizeof(offers) / sizeof(offers[0]))

/* How much an offer is wanted. */
struct wish {
	int thousandths; /* the q-value */
	int nearness;   /* of the element that says so: 0 none ... 3 it names the offer */
	unsigned place; /* in the list */
};

/* The next piece of a text up to a separator that is not quoted, without spaces around it.
 * Returns whether there is one. */
static bool
next_piece(const char **rest, const char *end, char separator, struct piece *ret_piece)
{
	const char *from = *rest, *to;
	bool quoted = false;

	if (!from)
		return false;
	for (to = from; to < end && (quoted || *to != separator); to++) {
		if (*to == '\\' && quoted && to + 1 < end)
			to++;
		else if (*to == '"')
			quoted = !quoted;
	}
	*rest = to < end ? to + 1 : NULL;
	while (from < to && strchr(SPACES, *from))
		from++;
	while (to > from && strchr(SPACES, to[-1]))
		to--;
	*ret_piece = (struct piece){from, (size_t)(to - from)};
	return true;
}

static bool
is_text(const struct piece *piece, const char *text)
{
	return piece->length == strlen(text) &&
	       strncasecmp(piece->text, text, piece->length) == 0;
}

/* Split NAME=VALUE; quotes around the value go. Returns whether it is that. */
static bool
split(const struct piece *piece, struct piece *ret_name, struct piece *ret_value)
{
	const char *equals = memchr(piece->text, '=', piece->length);
	struct piece value;

	if (!equals)
		return false;
	value.text = equals + 1;
	value.length = piece->length - (size_t)(value.text - piece->text);
	if (value.length >= 2 && value.text[0] == '"' &&
		value.text[value.length - 1] == '"') {
		value.text++;
		value.length -= 2;
	}
	*ret_name = (struct piece){piece->text, (size_t)(equals - piece->text)};
	*ret_value = value;
	return true;
}

/* A q-value in thousandths: 0 to 1 with at most three decimals; -1: it is none. */
static int
parse_quality(const struct piece *value)
{
	int thousandths = 0, unit = 100;

	if (!value->length || (value->text[0] != '0' && value->text[0] != '1'))
		return -1;
	if (value->length > 5 || (value->length > 1 && value->text[1] != '.'))
		return -1;
	thousandths = 1000 * (value->text[0] - '0');
	for (size_t i = 2; i < value->length; i++, unit /= 10) {
		if (!isdigit((unsigned char)value->text[i]))
			return -1;
		thousandths += unit * (value->text[i] - '0');
	}
	return thousandths <= 1000 ? thousandths : -1;
}

/* The element's q-value; -1: it is not well formed. */
static int
find_quality(const struct piece *element)
{
	const char *rest = element->text, *end = element->text + element->length;
	struct piece piece, name, value;

	while (next_piece(&rest, end, ';', &piece))
		if (split(&piece, &name, &value) && is_text(&name, "q"))
			return parse_quality(&value);
	return 1000;
}

/* Whether the element's parameters are those of the offer. */
static bool
parameters_fit(const struct piece *element, const struct offer *offer)
{
	for (size_t i = 0; i < 2 && offer->parameters[i].name; i++) {
		const char *rest = element->text, *end = element->text + element->length;
		bool named = false;
		struct piece piece, name, value;

		while (next_piece(&rest, end, ';', &piece)) {
			if (!split(&piece, &name, &value) ||
				!is_text(&name, offer->parameters[i].name))
				continue;
			if (!is_text(&value, offer->parameters[i].value))
				return false;
			named = true;
		}
		if (!named && offer->parameters[i].must)
			return false;
	}
	return true;
}

/* How exactly the element means the offer; 0: not at all. */
static int
find_nearness(const struct piece *element, const struct offer *offer)
{
	const char *rest = element->text;
	size_t kind = (size_t)(strchr(offer->type, '/') - offer->type) + 1;
	struct piece type;

	next_piece(&rest, element->text + element->length, ';', &type);
	if (is_text(&type, offer->type))
		return parameters_fit(element, offer) ? 3 : 0;
	if (is_text(&type, "*/*"))
		return 1;
	return type.length == kind + 1 && type.text[kind] == '*' &&
			       strncasecmp(type.text, offer->type, kind) == 0
		       ? 2
		       : 0;
}

static bool
is_wanted_more(const struct wish *a, const struct wish *b)
{
	return a->thousandths != b->thousandths ? a->thousandths > b->thousandths
						: a->place < b->place;
}

enum accept_format
accept_choose(const char *accept)
{
	struct wish wishes[OFFERS] = {0};
	enum accept_format best = ACCEPT_TEXT;
	const char *rest = accept;
	struct piece element;

	for (unsigned place = 0;
		accept && next_piece(&rest, accept + strlen(accept), ',', &element);
		place++) {
		int quality = find_quality(&element);

		for (size_t i = 0; i < OFFERS && quality >= 0; i++) {
			int nearness = find_nearness(&element, &offers[i]);

			if (nearness > wishes[i].nearness)
				wishes[i] = (struct wish){quality, nearness, place};
		}
	}
	for (size_t i = 0; i < OFFERS; i++)
		if (wishes[i].thousandths && is_wanted_more(&wishes[i], &wishes[best]))
			best = (enum accept_format)i;
	return best;
}

bool
accept_gzip(const char *accept_encoding)
{
	int gzip = -1, any = -1, identity = -1;
	const char *rest = accept_encoding;
	struct piece element, name;

	while (accept_encoding &&
		next_piece(&rest, accept_encoding + strlen(accept_encoding), ',',
			&element)) {
		int quality = find_quality(&element);
		const char *parameters = element.text;

		next_piece(&parameters, element.text + element.length, ';', &name);
		if (is_text(&name, "gzip") || is_text(&name, "x-gzip"))
			gzip = quality;
		else if (is_text(&name, "*"))
			any = quality;
		else if (is_text(&name, "identity"))
			identity = quality;
	}
	if (gzip < 0)
		gzip = any;
	return gzip > 0 && gzip >= identity;
}
