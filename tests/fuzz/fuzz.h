/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: taking numbers and texts off the front of the input, and
 * checking what must be so whatever the input is. A target is one function,
 * LLVMFuzzerTestOneInput(); libFuzzer has main() (tests/fuzz/run starts it).
 */
#ifndef LOOPLAG_TESTS_FUZZ_FUZZ_H
#define LOOPLAG_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Say what is not so, and stop: libFuzzer keeps the input. */
#define fuzz_check(condition)                                                      \
	do {                                                                       \
		if (!(condition)) {                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
				#condition);                                       \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* What is left of the input; where it has ended all numbers are 0. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t
fuzz_byte(struct fuzz_input *input);

/* A number of any size, often one where something may break: about 0, powers of two, the
 * largest ones, or about `near`. */
uint64_t
fuzz_number(struct fuzz_input *input, uint64_t near);

/* Copy as many bytes as are left, `size` at most; the others are 0. Returns their number. */
size_t
fuzz_bytes(struct fuzz_input *input, void *ret_bytes, size_t size);

/* All the rest as a string, which ends at the first 0. Caller frees. */
char *
fuzz_text(struct fuzz_input *input);

/* See to it that a text is valid UTF-8 without control characters; NULL is good. */
void
fuzz_check_clean(const char *text);

/* libFuzzer's entries, which are declared nowhere. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
