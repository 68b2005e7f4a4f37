/* SPDX-License-Identifier: MIT */
/* See fuzz.h. */

#include "config.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "daemon/words.h"

uint8_t
fuzz_byte(struct fuzz_input *input)
{
	uint8_t byte = 0;

	(void)fuzz_bytes(input, &byte, 1);
	return byte;
}

uint64_t
fuzz_number(struct fuzz_input *input, uint64_t near)
{
	uint64_t number = 0;
	uint8_t how = fuzz_byte(input);

	switch (how % 8) {
	case 0:
		return how / 8;
	case 1:
		return fuzz_byte(input);
	case 2:
		(void)fuzz_bytes(input, &number, 4);
		return number;
	case 3:
		(void)fuzz_bytes(input, &number, 8);
		return number;
	case 4:
		return (1ull << fuzz_byte(input) % 64) - how / 8 % 2;
	case 5:
		return UINT64_MAX - how / 8;
	case 6:
		(void)fuzz_bytes(input, &number, 4);
		return near - number;
	default:
		(void)fuzz_bytes(input, &number, 4);
		return near + number;
	}
}

size_t
fuzz_bytes(struct fuzz_input *input, void *ret_bytes, size_t size)
{
	size_t taken = input->left < size ? input->left : size;

	memset(ret_bytes, 0, size);
	if (taken)
		memcpy(ret_bytes, input->at, taken);
	input->at += taken;
	input->left -= taken;
	return taken;
}

char *
fuzz_text(struct fuzz_input *input)
{
	char *text = malloc(input->left + 1);

	fuzz_check(text);
	text[fuzz_bytes(input, text, input->left)] = 0;
	return text;
}

void
fuzz_check_clean(const char *text)
{
	fuzz_check(!text || words_are_clean(text));
}
