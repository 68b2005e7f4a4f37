/* SPDX-License-Identifier: MIT */
/* probes/modules.c: what the loader has mapped, without asking it. */

#include "config.h"

#include "probes/modules.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "probes/memory.h"

#define FORKS 300
#define SECONDS 20 /* until a child counts as stuck */

static int
compare(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned *seen = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + ph->p_vaddr;
		const struct module *module;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		module = modules_find_code(start);
		ck_assert_ptr_nonnull(module);
		ck_assert_ptr_eq(module, modules_find(start));
		ck_assert_uint_eq(module->bias, info->dlpi_addr);
		ck_assert_uint_ge(module->code_end, start + ph->p_memsz);
		if (info->dlpi_name[0])
			ck_assert_str_eq(module->path, info->dlpi_name);
		else
			ck_assert_ptr_nonnull(strstr(module->path, "check_modules"));
		++*seen;
	}
	return 0;
}

START_TEST(it_is_what_the_loader_lists)
{
	const struct module *own;
	unsigned seen = 0;

	modules_refresh();
	ck_assert_int_eq(dl_iterate_phdr(compare, &seen), 0);
	ck_assert_uint_ge(seen, 3);
	own = modules_find_code((uintptr_t)compare);
	ck_assert_ptr_nonnull(own);
	ck_assert_uint_ne(own->eh_frame_hdr, 0);
	ck_assert_ptr_eq(
		modules_find_code((uintptr_t)dlopen), modules_find((uintptr_t)dlopen));
	ck_assert_ptr_null(modules_find((uintptr_t)&seen));
}
END_TEST

START_TEST(what_is_loaded_later_is_found_and_is_gone_afterwards)
{
	void (*function)(void);
	void *library;

	modules_refresh();
	library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_nonnull(library);
	*(void **)&function = dlsym(library, "_Unwind_Resume");
	ck_assert_ptr_nonnull(*(void **)&function);
	modules_refresh();
	ck_assert_ptr_nonnull(modules_find_code((uintptr_t)function));
	ck_assert_ptr_nonnull(
		strstr(modules_find_code((uintptr_t)function)->path, "libgcc_s"));
	dlclose(library);
	modules_refresh();
	if (dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_NOLOAD))
		return; /* something else of this program has it, too */
	ck_assert_ptr_null(modules_find_code((uintptr_t)function));
}
END_TEST

static atomic_bool enough;

static void *
refresh_again_and_again(void *unused)
{
	while (!enough)
		modules_refresh();
	return unused;
}

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info, (void)size, (void)arg;
	return 0;
}

START_TEST(a_child_that_is_forked_meanwhile_can_use_the_loader)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, refresh_again_and_again, NULL), 0);
	for (int i = 0; i < FORKS; i++) {
		int status;
		pid_t child = fork();

		if (!child) {
			alarm(SECONDS);
			dl_iterate_phdr(visit, NULL);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	enough = true;
	pthread_join(thread, NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("modules");
	TCase *tcase = tcase_create("modules");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, memory_start, NULL);
	tcase_add_test(tcase, it_is_what_the_loader_lists);
	tcase_add_test(tcase, what_is_loaded_later_is_found_and_is_gone_afterwards);
	tcase_add_test(tcase, a_child_that_is_forked_meanwhile_can_use_the_loader);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
