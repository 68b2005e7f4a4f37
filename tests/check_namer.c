/* SPDX-License-Identifier: MIT */
/* The child that finds names: that it does, and what becomes of one that is spoilt. */

#include "config.h"

#include "daemon/namer.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "daemon/capture.h"

#define SYMBOL "what_is_slow"
#define OFFSET 0x1234

static struct namer *namer;
static char path[] = "/tmp/namer-test-XXXXXX";

/* A library with one function and no build id. */
static const struct library {
	ElfW(Ehdr) header;
	ElfW(Shdr) sections[3];
	ElfW(Sym) symbols[2];
	char names[sizeof("\0" SYMBOL)];
} library = {
	.header = {.e_ident = {0x7f, 'E', 'L', 'F',
			   sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32,
			   __BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB,
			   EV_CURRENT},
		.e_type = ET_DYN,
		.e_version = EV_CURRENT,
		.e_shoff = offsetof(struct library, sections),
		.e_ehsize = sizeof(ElfW(Ehdr)),
		.e_shentsize = sizeof(ElfW(Shdr)),
		.e_shnum = 3},
	.sections = {{0},
		{.sh_type = SHT_STRTAB,
			.sh_offset = offsetof(struct library, names),
			.sh_size = sizeof("\0" SYMBOL)},
		{.sh_type = SHT_SYMTAB,
			.sh_offset = offsetof(struct library, symbols),
			.sh_size = 2 * sizeof(ElfW(Sym)),
			.sh_link = 1,
			.sh_entsize = sizeof(ElfW(Sym))}},
	.symbols = {{0}, {.st_name = 1,
				 .st_info = STT_FUNC | STB_GLOBAL << 4,
				 .st_shndx = 1,
				 .st_value = OFFSET,
				 .st_size = 16}},
	.names = "\0" SYMBOL,
};

static void
set_up(void)
{
	int fd;

	strcpy(path, "/tmp/namer-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, &library, sizeof(library)), sizeof(library));
	close(fd);
	namer = namer_new();
	ck_assert_ptr_nonnull(namer);
}

static void
tear_down(void)
{
	namer_free(namer);
	unlink(path);
}

/* Whether a frame in the library gets its name, for a process of that number. */
static bool
is_named(pid_t pid)
{
	struct capture *capture = capture_new();
	bool named;

	ck_assert_ptr_nonnull(capture);
	capture->modules[0].path = strdup(path);
	capture->module_count = 1;
	capture->natives[0].offset = OFFSET + 1;
	capture->native_count = 1;
	namer_name(namer, capture, pid, 0);
	named = capture->natives[0].function &&
		strcmp(capture->natives[0].function, SYMBOL) == 0;
	capture_free(capture);
	return named;
}

START_TEST(a_function_has_its_name)
{
	ck_assert(is_named(getpid()));
	ck_assert_int_gt(namer_child(namer), 0);
	ck_assert_int_ne(namer_child(namer), getpid());
}
END_TEST

START_TEST(one_that_has_ended_is_replaced)
{
	pid_t first;

	ck_assert(is_named(getpid()));
	first = namer_child(namer);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	ck_assert(is_named(getpid()));
	ck_assert_int_ne(namer_child(namer), first);
}
END_TEST

START_TEST(one_that_hangs_is_ended_and_who_asked_gets_no_names_for_a_while)
{
	struct timespec begin, end;
	pid_t first;

	ck_assert(is_named(getpid()));
	first = namer_child(namer);
	ck_assert_int_eq(kill(first, SIGSTOP), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ck_assert(!is_named(getppid()));
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_ge(end.tv_sec - begin.tv_sec, NAMER_SECONDS - 1);
	ck_assert_int_eq(kill(first, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
	/* Of the two only that one. */
	ck_assert(!is_named(getppid()));
	ck_assert(is_named(getpid()));
}
END_TEST

START_TEST(it_ends_with_its_namer)
{
	pid_t child;

	ck_assert(is_named(getpid()));
	child = namer_child(namer);
	namer_free(namer);
	namer = NULL;
	ck_assert_int_eq(kill(child, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("namer");
	TCase *tcase = tcase_create("namer");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_function_has_its_name);
	tcase_add_test(tcase, one_that_has_ended_is_replaced);
	tcase_add_test(
		tcase, one_that_hangs_is_ended_and_who_asked_gets_no_names_for_a_while);
	tcase_add_test(tcase, it_ends_with_its_namer);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
