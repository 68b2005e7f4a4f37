/* SPDX-License-Identifier: MIT */
/* Bodies of answers: what was written is there, in order. */

#include "config.h"

#include "daemon/body.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

START_TEST(what_was_written_is_in_its_pieces_in_order)
{
	FILE *out;
	struct body *body = body_new(&out);
	unsigned expected = 0;
	size_t all = 0, left = 0;

	ck_assert_ptr_nonnull(body);
	for (unsigned i = 0; i < 300000; i++)
		fprintf(out, "%07u\n", i);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_uint_eq(body_bytes(body), 2400000);
	for (size_t i = 0; i < body_pieces(body); i++) {
		size_t bytes;
		const char *piece = body_piece(body, i, &bytes);

		/* Every piece but the last is a power of two and takes whole lines. */
		ck_assert_uint_le(bytes, 262144);
		for (left = 0; left + 8 <= bytes; left += 8)
			ck_assert_int_eq(strtol(piece + left, NULL, 10), expected++);
		all += bytes;
	}
	ck_assert_uint_eq(all, body_bytes(body));
	ck_assert_uint_eq(expected, 300000);
	body_free(body);
}
END_TEST

START_TEST(what_is_empty_has_no_piece)
{
	FILE *out;
	struct body *body = body_new(&out);

	ck_assert_int_eq(fclose(out), 0);
	ck_assert_uint_eq(body_bytes(body), 0);
	ck_assert_uint_eq(body_pieces(body), 0);
	body_free(body);
	body_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("body");
	TCase *tcase = tcase_create("body");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, what_was_written_is_in_its_pieces_in_order);
	tcase_add_test(tcase, what_is_empty_has_no_piece);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
