/* SPDX-License-Identifier: MIT */
/* Which format and encoding a client gets, by what it says that it accepts. */

#include "config.h"

#include "daemon/accept.h"

#include <check.h>
#include <stdlib.h>

#define PROTOBUF                                                                   \
	"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;" \
	"encoding=delimited"

static const struct {
	const char *accept;
	enum accept_format format;
} formats[] = {
	{NULL, ACCEPT_TEXT},
	{"", ACCEPT_TEXT},
	{"*/*", ACCEPT_TEXT},
	{"text/*", ACCEPT_TEXT},
	{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
		ACCEPT_TEXT},
	{"image/png", ACCEPT_TEXT},
	{"text/plain", ACCEPT_TEXT},
	{"text/plain;version=0.0.4;charset=utf-8", ACCEPT_TEXT},
	{"application/openmetrics-text; version=1.0.0", ACCEPT_OPENMETRICS},
	{"APPLICATION/OpenMetrics-Text;Version=\"1.0.0\"", ACCEPT_OPENMETRICS},
	{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
		ACCEPT_OPENMETRICS},
	{PROTOBUF, ACCEPT_PROTOBUF},
	/* Other versions and encodings than ours. */
	{"application/openmetrics-text", ACCEPT_TEXT},
	{"application/openmetrics-text;version=0.0.1", ACCEPT_TEXT},
	{"application/vnd.google.protobuf", ACCEPT_TEXT},
	{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
	 "encoding=text",
		ACCEPT_TEXT},
	/* Prometheus 2.42, without and with native histograms. */
	{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
	 "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		ACCEPT_OPENMETRICS},
	{PROTOBUF ",application/openmetrics-text;version=1.0.0;q=0.8,application/"
		  "openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
		  "*/*;q=0.1",
		ACCEPT_PROTOBUF},
	/* Prometheus 3. */
	{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
	 "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
	 "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		ACCEPT_OPENMETRICS},
	{"text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;"
	 "q=0.5,*/*;q=0.2",
		ACCEPT_TEXT},
	/* Weights before places, places before nothing. */
	{"text/plain;q=0.5, " PROTOBUF ";q=0.7", ACCEPT_PROTOBUF},
	{"text/plain;q=0.500, " PROTOBUF ";q=0.5", ACCEPT_TEXT},
	{PROTOBUF ";q=0.5, text/plain;q=0.500", ACCEPT_PROTOBUF},
	{"text/plain;q=0.001,application/openmetrics-text;version=1.0.0;q=0.002",
		ACCEPT_OPENMETRICS},
	/* What is meant exactly counts more than what is meant too. */
	{"*/*;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1", ACCEPT_TEXT},
	{"*/*, text/plain;q=0", ACCEPT_OPENMETRICS},
	{"application/*", ACCEPT_OPENMETRICS},
	{"application/*;q=0.5,application/openmetrics-text;version=1.0.0;q=0",
		ACCEPT_PROTOBUF},
	{"text/plain;q=0", ACCEPT_TEXT},
	/* What is no weight makes the element nothing. */
	{PROTOBUF ";q=2, text/plain;q=0.1", ACCEPT_TEXT},
	{PROTOBUF ";q=-1, text/plain;q=0.1", ACCEPT_TEXT},
	{PROTOBUF ";q=0.0001, text/plain;q=0", ACCEPT_TEXT},
	{PROTOBUF ";q=, text/plain;q=0.1", ACCEPT_TEXT},
	{PROTOBUF ";q=1.001, text/plain;q=0.1", ACCEPT_TEXT},
	{PROTOBUF ";q=nan, text/plain;q=0.1", ACCEPT_TEXT},
	{PROTOBUF ";q=1., text/plain;q=0.1", ACCEPT_PROTOBUF},
	/* Commas and semicolons in quotes separate nothing. */
	{"a/b;c=\"," PROTOBUF "\", text/plain;q=0.1", ACCEPT_TEXT},
	{"text/plain;q=0.1;x=\"\\\",\", " PROTOBUF, ACCEPT_PROTOBUF},
	{",,;,;;=, ," PROTOBUF, ACCEPT_PROTOBUF},
	{"\"", ACCEPT_TEXT},
	{"/,*,*/,/*,text/,;q=1", ACCEPT_TEXT},
};

static const struct {
	const char *accept;
	int gzip;
} encodings[] = {
	{NULL, 0},
	{"", 0},
	{"gzip", 1},
	{"GZIP", 1},
	{"x-gzip", 1},
	{"deflate, gzip;q=1.0, *;q=0.5", 1},
	{"gzip, deflate, br", 1},
	{"gzip;q=0", 0},
	{"gzip;q=0.000", 0},
	{"deflate", 0},
	{"*", 1},
	{"*;q=0", 0},
	{"gzip;q=0, *", 0},
	{"identity", 0},
	{"identity;q=0.5, gzip;q=0.4", 0},
	{"identity;q=0.5, gzip;q=0.5", 1},
	{"identity;q=0, gzip;q=0.1", 1},
	{"gzip;q=x", 0},
	{"gzipped", 0},
};

START_TEST(the_format_that_is_wanted_most_is_chosen)
{
	ck_assert_msg(accept_choose(formats[_i].accept) == formats[_i].format,
		"%s: got %d", formats[_i].accept, accept_choose(formats[_i].accept));
}
END_TEST

START_TEST(gzip_is_chosen_where_it_is_welcome)
{
	ck_assert_msg(accept_gzip(encodings[_i].accept) == encodings[_i].gzip, "%s",
		encodings[_i].accept);
}
END_TEST

START_TEST(whatever_is_sent_is_read_to_its_end_and_no_further)
{
	static const char letters[] = "aq=;,\"\\ /*.01tex";
	unsigned short dice[3] = {1, 2, 3};

	for (unsigned i = 0; i < 20000; i++) {
		size_t length = (size_t)(nrand48(dice) % 40);
		/* Of just that size, for the sanitizers. */
		char *text = malloc(length + 1);

		ck_assert_ptr_nonnull(text);
		for (size_t j = 0; j < length; j++)
			text[j] = letters[nrand48(dice) % (long)(sizeof(letters) - 1)];
		text[length] = 0;
		ck_assert_int_le(accept_choose(text), ACCEPT_PROTOBUF);
		(void)accept_gzip(text);
		free(text);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("accept");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(all, the_format_that_is_wanted_most_is_chosen, 0,
		sizeof(formats) / sizeof(formats[0]));
	tcase_add_loop_test(all, gzip_is_chosen_where_it_is_welcome, 0,
		sizeof(encodings) / sizeof(encodings[0]));
	tcase_add_test(all, whatever_is_sent_is_read_to_its_end_and_no_further);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
