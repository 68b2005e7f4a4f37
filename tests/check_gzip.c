/* SPDX-License-Identifier: MIT */
/* Bodies that are compressed: what comes out is what went in. */

#include "config.h"

#include "daemon/gzip.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "daemon/body.h"

static char *
made_up(size_t bytes)
{
	unsigned short dice[3] = {1, 2, 3};
	char *text = malloc(bytes + 1);

	ck_assert_ptr_nonnull(text);
	/* Half of it noise, so that there is something to write now and then. */
	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)(i / 1000 % 2 ? nrand48(dice) : 'a');
	return text;
}

/* All that was written to a body, in one piece. Caller frees. */
static char *
all_of(const struct body *body)
{
	char *all = malloc(body_bytes(body) + 1), *to = all;

	ck_assert_ptr_nonnull(all);
	for (size_t i = 0; i < body_pieces(body); i++) {
		size_t bytes;
		const char *piece = body_piece(body, i, &bytes);

		to = mempcpy(to, piece, bytes);
	}
	return all;
}

static struct body *
body_of(const char *text, size_t bytes)
{
	struct body *body;
	FILE *out;

	body = body_new(&out);
	ck_assert_ptr_nonnull(body);
	fwrite(text, 1, bytes, out);
	ck_assert_int_eq(fclose(out), 0);
	return body;
}

START_TEST(what_was_packed_comes_out_again)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, 3000000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = made_up(sizes[i]), *packed, *unpacked;
		struct body *body = body_of(text, sizes[i]), *small = gzip_pack(body);
		z_stream stream = {0};

		ck_assert_ptr_nonnull(small);
		packed = all_of(small);
		unpacked = malloc(sizes[i] + 1);
		stream.next_in = (Bytef *)packed;
		stream.avail_in = (uInt)body_bytes(small);
		stream.next_out = (Bytef *)unpacked;
		stream.avail_out = (uInt)sizes[i] + 1;
		ck_assert_int_eq(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
		ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
		ck_assert_uint_eq(stream.avail_in, 0);
		ck_assert_uint_eq(stream.total_out, sizes[i]);
		inflateEnd(&stream);
		if (sizes[i])
			ck_assert_mem_eq(unpacked, text, sizes[i]);
		ck_assert_uint_eq(body_bytes(body), sizes[i]);
		body_free(body);
		body_free(small);
		free(packed);
		free(unpacked);
		free(text);
	}
}
END_TEST

START_TEST(what_repeats_itself_becomes_small)
{
	char *text = calloc(1, 1000000);
	struct body *body, *small;

	ck_assert_ptr_nonnull(text);
	body = body_of(text, 1000000);
	small = gzip_pack(body);
	ck_assert_ptr_nonnull(small);
	ck_assert_uint_lt(body_bytes(small), 10000);
	body_free(body);
	body_free(small);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gzip");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, what_was_packed_comes_out_again);
	tcase_add_test(all, what_repeats_itself_becomes_small);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
