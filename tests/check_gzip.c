/* SPDX-License-Identifier: MIT */
/* Streams that compress: what comes out is what went in, and small things stay as they are. */

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

/* Write so much, in parts of that size, and check that it comes out again. */
static void
check_round(size_t bytes, size_t part)
{
	char *text = made_up(bytes), *packed, *unpacked = calloc(1, bytes + 1);
	bool is_packed = !!part;
	struct body *body;
	FILE *inner, *out;

	body = body_new(&inner);
	ck_assert_ptr_nonnull(body);
	out = gzip_open(inner, &is_packed);
	ck_assert_ptr_nonnull(out);
	for (size_t i = 0; i < bytes; i += part)
		fwrite(text + i, 1, bytes - i < part ? bytes - i : part, out);
	ck_assert_int_eq(fclose(out), 0);
	packed = all_of(body);
	if (is_packed) {
		z_stream stream = {.next_in = (Bytef *)packed,
			.avail_in = (uInt)body_bytes(body),
			.next_out = (Bytef *)unpacked,
			.avail_out = (uInt)bytes + 1};

		ck_assert_int_eq(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
		ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
		ck_assert_uint_eq(stream.avail_in, 0);
		ck_assert_uint_eq(stream.total_out, bytes);
		inflateEnd(&stream);
		ck_assert_mem_eq(unpacked, text, bytes);
	} else {
		ck_assert_uint_eq(body_bytes(body), bytes);
		ck_assert_mem_eq(packed, text, bytes);
	}
	ck_assert_int_eq(is_packed, bytes > GZIP_WORTH_BYTES);
	body_free(body);
	free(packed);
	free(unpacked);
	free(text);
}

START_TEST(what_was_written_comes_out_again)
{
	static const size_t sizes[] = {0, 1, GZIP_WORTH_BYTES - 1, GZIP_WORTH_BYTES,
		GZIP_WORTH_BYTES + 1, 32767, 32768, 32769, 65536, 1000000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_round(sizes[i], 1);
		check_round(sizes[i], 777);
		check_round(sizes[i], 50000);
	}
}
END_TEST

static ssize_t
refuse(void *cookie, const char *data, size_t bytes)
{
	return 0;
}

START_TEST(who_cannot_take_it_is_told_of_when_it_is_closed)
{
	static const size_t sizes[] = {100, 100000};

	for (unsigned i = 0; i < 2; i++) {
		FILE *inner =
			fopencookie(NULL, "w", (cookie_io_functions_t){.write = refuse});
		char *text = made_up(sizes[i]);
		bool is_packed;
		FILE *out = gzip_open(inner, &is_packed);

		ck_assert_ptr_nonnull(out);
		fwrite(text, 1, sizes[i], out);
		ck_assert_int_eq(fclose(out), EOF);
		free(text);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("gzip");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, what_was_written_comes_out_again);
	tcase_add_test(all, who_cannot_take_it_is_told_of_when_it_is_closed);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
