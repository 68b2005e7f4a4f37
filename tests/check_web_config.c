/* SPDX-License-Identifier: MIT */
/* The web configuration: what is accepted and kept, and what is said of mistakes. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/web_config.h"

#define HASH "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

static struct web_config *config;
static char *said;

static void
set_up(void)
{
	config = NULL;
	said = NULL;
}

static void
tear_down(void)
{
	web_config_free(config);
	free(said);
	set_up();
}

static int
parse(const char *text)
{
	size_t length;
	FILE *err;
	int r;

	tear_down();
	err = open_memstream(&said, &length);
	r = web_config_parse(text, strlen(text), "/etc/web.yml", err, &config);
	fclose(err);
	return r;
}

static void
assert_good(const char *text)
{
	int r = parse(text);

	ck_assert_msg(r == 0, "%s: %s", text, said);
	ck_assert_str_eq(said, "");
}

/* There is that one mistake. */
static void
assert_mistake(const char *text, const char *expected)
{
	char line[512];

	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_ptr_null(config);
	snprintf(line, sizeof(line), "/etc/web.yml:%s\n", expected);
	ck_assert_str_eq(said, line);
}

START_TEST(an_empty_file_leaves_all_open)
{
	const char *const texts[] = {"", "# nothing\n", "tls_server_config:\n",
		"tls_server_config: {}\nbasic_auth_users:\n",
		"http_server_config: null\n", "basic_auth_users: {}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_good(texts[i]);
		ck_assert_ptr_null(config->tls.cert_file);
		ck_assert_uint_eq(config->user_count, 0);
		ck_assert_uint_eq(config->header_count, 0);
	}
}
END_TEST

START_TEST(all_keys_are_kept)
{
	assert_good("tls_server_config:\n"
		    "  cert_file: own.crt\n"
		    "  key_file: /keys/own.key\n"
		    "  client_auth_type: RequireAndVerifyClientCert\n"
		    "  client_ca_file: sub/ca.crt\n"
		    "  min_version: TLS11\n"
		    "  max_version: TLS12\n"
		    "  prefer_server_cipher_suites: false\n"
		    "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\n"
		    "    TLS_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]\n"
		    "  curve_preferences: [CurveP521, X25519]\n"
		    "http_server_config:\n"
		    "  http2: false\n"
		    "  headers:\n"
		    "    Strict-Transport-Security: max-age=1\n"
		    "    X-Content-Type-Options: nosniff\n"
		    "    X-Frame-Options: sameorigin\n"
		    "    X-XSS-Protection: 1\n"
		    "    Content-Security-Policy: \"default-src 'self'\"\n"
		    "basic_auth_users:\n"
		    "  alice: " HASH "\n"
		    "  'bob': \"" HASH "\"\n");
	ck_assert_str_eq(config->tls.cert_file, "/etc/own.crt");
	ck_assert_str_eq(config->tls.key_file, "/keys/own.key");
	ck_assert_str_eq(config->tls.client_ca_file, "/etc/sub/ca.crt");
	ck_assert_int_eq(config->tls.client_auth, TLS_REQUIRE_AND_VERIFY_CLIENT_CERT);
	ck_assert_int_eq(config->tls.min_version, TLS_1_1);
	ck_assert_int_eq(config->tls.max_version, TLS_1_2);
	ck_assert(!config->tls.prefer_server_ciphers && !config->http2);
	ck_assert_str_eq(config->tls.ciphers, "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA");
	ck_assert_str_eq(config->tls.curves, "P-521:X25519");
	ck_assert_uint_eq(config->header_count, 5);
	ck_assert_str_eq(config->headers[3].name, "X-XSS-Protection");
	ck_assert_str_eq(config->headers[3].value, "1");
	ck_assert_uint_eq(config->user_count, 2);
	ck_assert_str_eq(config->users[1].name, "bob");
	ck_assert_str_eq(config->users[1].hash, HASH);
}
END_TEST

START_TEST(what_is_not_said_is_as_go_has_it)
{
	assert_good("tls_server_config: {cert_file: c, key_file: k, cipher_suites: [], "
		    "curve_preferences: []}");
	ck_assert_int_eq(config->tls.client_auth, TLS_NO_CLIENT_CERT);
	ck_assert_int_eq(config->tls.min_version, TLS_1_2);
	ck_assert_int_eq(config->tls.max_version, TLS_1_3);
	ck_assert(config->tls.prefer_server_ciphers);
	ck_assert_ptr_null(config->tls.ciphers);
	ck_assert_ptr_null(config->tls.curves);
	assert_good("tls_server_config: {cert_file: c, key_file: k, cipher_suites: "
		    "[TLS_AES_128_GCM_SHA256]}");
	ck_assert_str_eq(config->tls.ciphers, "");
	assert_good("tls_server_config: {cert_file: c, key_file: k, "
		    "client_auth_type: RequireClientCert}");
	ck_assert_int_eq(config->tls.client_auth, TLS_REQUIRE_ANY_CLIENT_CERT);
}
END_TEST

START_TEST(an_unknown_key_is_told_with_the_one_that_was_meant)
{
	assert_mistake("tls_sever_config: {}\n",
		"1:1: unknown key 'tls_sever_config' in the web configuration; did you "
		"mean tls_server_config?");
	assert_mistake("tls_server_config:\n  cert: x\n",
		"2:3: unknown key 'cert' in tls_server_config; did you mean cert_file?");
	assert_mistake("http_server_config: {headers: {X-Powered-By: us}}",
		"1:32: unknown key 'X-Powered-By' in headers");
	/* Newer exporters know it, the promtool that checks the file does not. */
	assert_mistake("rate_limit: {}",
		"1:1: unknown key 'rate_limit' in the web configuration");
	assert_mistake("tls_server_config:\n  cert_file: a\n  key_file: b\n"
		       "  cert_file: c\n",
		"4:3: 'cert_file' is given twice; line 2 has it too");
}
END_TEST

START_TEST(a_wrong_value_is_told_with_what_was_expected)
{
	assert_mistake("just a text", "1:1: a text; expected the web configuration: keys "
				      "and values");
	assert_mistake("tls_server_config: [a]",
		"1:20: a list; expected tls_server_config: keys and values");
	assert_mistake("tls_server_config:\n  cert_file: [a]\n",
		"2:14: cert_file: a list; expected the name of a PEM file");
	assert_mistake("tls_server_config:\n  cert_file:\n",
		"2:13: cert_file: nothing; expected the name of a PEM file");
	assert_mistake("tls_server_config:\n  cert_file: \"\"\n",
		"2:14: cert_file: ''; expected the name of a PEM file");
	assert_mistake("tls_server_config:\n  min_version: TLS14\n",
		"2:16: min_version: 'TLS14'; expected TLS10, TLS11, TLS12 or TLS13");
	assert_mistake("tls_server_config:\n  max_version: 1.2\n",
		"2:16: max_version: '1.2'; expected TLS10, TLS11, TLS12 or TLS13");
	assert_mistake("tls_server_config:\n  curve_preferences: [X25519, P256]\n",
		"2:31: curve_preferences: 'P256'; expected CurveP256, CurveP384, "
		"CurveP521 or X25519");
	assert_mistake("tls_server_config:\n  curve_preferences: X25519\n",
		"2:22: curve_preferences: 'X25519'; expected a list");
	assert_mistake("http_server_config:\n  http2: 'true'\n",
		"2:10: http2: 'true'; expected true or false");
	assert_mistake("http_server_config:\n  headers: {X-Frame-Options: allow}\n",
		"2:30: X-Frame-Options: 'allow'; expected deny or sameorigin");
	assert_mistake("http_server_config:\n  headers: {X-Content-Type-Options: x}\n",
		"2:37: X-Content-Type-Options: 'x'; expected nosniff");
	assert_mistake("http_server_config:\n  headers: {X-XSS-Protection: ~}\n",
		"2:31: X-XSS-Protection: nothing; expected a line of text");
	assert_mistake("http_server_config:\n  headers:\n"
		       "    X-XSS-Protection: \"a\\r\\nb\"\n",
		"3:23: X-XSS-Protection: 'a__b' has a control character; expected a line "
		"of text");
	ck_assert_int_eq(parse("tls_server_config: {cipher_suites: [RC4]}"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "cipher_suites: 'RC4'; expected TLS_AES_128"));
}
END_TEST

START_TEST(the_settings_of_tls_must_fit_together)
{
	assert_mistake("tls_server_config: {min_version: TLS13}",
		"1:20: tls_server_config needs 'cert_file'");
	assert_mistake("tls_server_config: {cert_file: c}",
		"1:20: tls_server_config needs 'key_file'");
	assert_mistake(
		"tls_server_config: {cert_file: c, key_file: k, client_ca_file: a}",
		"1:20: tls_server_config has a client_ca_file, but a client_auth_type by "
		"which no client is asked; expected RequireAndVerifyClientCert or "
		"another one");
	assert_mistake("tls_server_config: {cert_file: c, key_file: k, "
		       "client_auth_type: VerifyClientCertIfGiven}",
		"1:20: tls_server_config needs 'client_ca_file' to verify clients by");
	assert_mistake("tls_server_config: {cert_file: c, key_file: k, "
		       "min_version: TLS13, max_version: TLS12}",
		"1:20: tls_server_config has a min_version above max_version; expected "
		"no "
		"such thing");
	assert_mistake("tls_server_config: {cert_file: c, key_file: k, "
		       "max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]}",
		"1:20: tls_server_config has no cipher suite for its max_version");
}
END_TEST

START_TEST(a_password_that_stands_where_its_hash_should_is_not_repeated)
{
	ck_assert_int_eq(parse("basic_auth_users:\n  alice: secret\n"), -EINVAL);
	ck_assert_ptr_null(strstr(said, "secret"));
	ck_assert_ptr_nonnull(
		strstr(said, "/etc/web.yml:2:10: basic_auth_users: what "
			     "stands here is none; expected a bcrypt hash"));
}
END_TEST

START_TEST(only_hashes_that_can_be_compared_in_time_are_taken)
{
	static const char tail[] =
		"X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
	static const char *const good[] = {"$2a$04$", "$2b$10$", "$2y$16$"};
	static const char *const bad[] = {"$2y$03$", "$2y$17$", "$2y$31$", "$2x$10$",
		"$2$10$", "$5$10$", "$2y$1x$", "$2y$010$", "!2y$10$"};
	char text[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(
			text, sizeof(text), "basic_auth_users: {a: %s%s}", good[i], tail);
		assert_good(text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "basic_auth_users: {a: %s%s}", bad[i], tail);
		ck_assert_msg(parse(text) == -EINVAL, "%s", text);
	}
	for (size_t length = 1; length < strlen(tail); length++) {
		snprintf(text, sizeof(text), "basic_auth_users: {a: $2y$10$%.*s}",
			(int)length, tail);
		ck_assert_msg(parse(text) == -EINVAL, "%s", text);
	}
	ck_assert_int_eq(parse("basic_auth_users: {a: " HASH "x}"), -EINVAL);
	ck_assert_int_eq(parse("basic_auth_users: {a: }"), -EINVAL);
	ck_assert_int_eq(parse("basic_auth_users: {a: [" HASH "]}"), -EINVAL);
}
END_TEST

START_TEST(a_user_needs_a_name_of_its_own)
{
	static const char expected[] =
		"basic_auth_users: expected a user's name, without a colon";
	const struct {
		const char *name, *place;
	} bad[] = {{"~", "2:3"}, {"\"\"", "2:3"}, {"'a:b'", "2:3"}, {"<<", "2:3"}};
	char text[256], line[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "basic_auth_users:\n  %s: " HASH "\n",
			bad[i].name);
		snprintf(line, sizeof(line), "%s: %s", bad[i].place, expected);
		assert_mistake(text, line);
	}
	assert_mistake("basic_auth_users:\n  a: " HASH "\n  'a': " HASH "\n",
		"3:3: 'a' is given twice; line 2 has it too");
}
END_TEST

START_TEST(there_is_an_end_to_users)
{
	size_t length, count;
	char *text;
	FILE *out;

	for (count = WEB_CONFIG_USERS_MAX; count <= WEB_CONFIG_USERS_MAX + 1; count++) {
		out = open_memstream(&text, &length);
		fputs("basic_auth_users:\n", out);
		for (size_t i = 0; i < count; i++)
			fprintf(out, "  u%zu: " HASH "\n", i);
		fclose(out);
		if (count == WEB_CONFIG_USERS_MAX)
			assert_good(text);
		else
			assert_mistake(text, "2:3: basic_auth_users: a mapping with too "
					     "many users; expected 256 of them at most");
		free(text);
	}
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	ck_assert_int_eq(parse("tls_server_config:\n  min_version: 1\n  max_version: 2\n"
			       "basic_auth_users: []\nx: y\n"),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "/etc/web.yml:2:16: "));
	ck_assert_ptr_nonnull(strstr(said, "/etc/web.yml:3:16: "));
	ck_assert_ptr_nonnull(strstr(said, "/etc/web.yml:4:19: "));
	ck_assert_ptr_nonnull(strstr(said, "/etc/web.yml:5:1: "));
	assert_mistake(
		"%YAML 1.2\n---\n", "1:1: %YAML has no meaning here; leave it out");
	assert_mistake("tls_server_config: {cert_file: [}\n",
		"1:33: no valid YAML: did not find expected node content while parsing a "
		"flow node");
}
END_TEST

static Suite *
web_config_suite(void)
{
	Suite *suite = suite_create("web_config");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad");

	tcase_add_checked_fixture(good, set_up, tear_down);
	tcase_add_test(good, an_empty_file_leaves_all_open);
	tcase_add_test(good, all_keys_are_kept);
	tcase_add_test(good, what_is_not_said_is_as_go_has_it);
	suite_add_tcase(suite, good);
	tcase_add_checked_fixture(bad, set_up, tear_down);
	tcase_add_test(bad, an_unknown_key_is_told_with_the_one_that_was_meant);
	tcase_add_test(bad, a_wrong_value_is_told_with_what_was_expected);
	tcase_add_test(bad, the_settings_of_tls_must_fit_together);
	tcase_add_test(bad, a_password_that_stands_where_its_hash_should_is_not_repeated);
	tcase_add_test(bad, only_hashes_that_can_be_compared_in_time_are_taken);
	tcase_add_test(bad, a_user_needs_a_name_of_its_own);
	tcase_add_test(bad, there_is_an_end_to_users);
	tcase_add_test(bad, all_mistakes_are_told_at_once);
	suite_add_tcase(suite, bad);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(web_config_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
