/* SPDX-License-Identifier: MIT */
/*
 * cli/carry.c: programs are made here byte by byte, so that the verdict depends on nothing
 * that happens to be installed.
 */

#include "config.h"

#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/carry.h"

#define LOADER "/lib/ld-test.so.1"

static const struct carry_user user = {1000, 1000, false};
static const struct stat plain = {.st_mode = S_IFREG | 0755, .st_uid = 0, .st_gid = 0};
static char directory[] = "/tmp/check_carry.XXXXXX";

/* A program in parts; what is not set is not in the file. */
struct program {
	ElfW(Ehdr) header;
	ElfW(Phdr) segments[2];
	char loader[sizeof LOADER];
	struct {
		ElfW(Nhdr) header;
		char name[4];
		char id[4];
	} note;
	ElfW(Shdr) sections[2];
	char names[32];
};

/* A dynamic program for this machine: its header is taken from this very test. */
static struct program
dynamic_program(void)
{
	struct program p = {.loader = LOADER};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, &p.header, sizeof p.header), sizeof p.header);
	close(fd);
	p.header.e_phoff = offsetof(struct program, segments);
	p.header.e_phnum = 2;
	p.header.e_shnum = 0;
	p.segments[0].p_type = PT_INTERP;
	p.segments[0].p_offset = offsetof(struct program, loader);
	p.segments[0].p_filesz = sizeof p.loader;
	p.segments[1].p_type = PT_NOTE;
	p.segments[1].p_offset = offsetof(struct program, note);
	p.segments[1].p_filesz = sizeof p.note;
	p.note.header = (ElfW(Nhdr)){.n_namesz = 4, .n_descsz = 4, .n_type = 3};
	strcpy(p.note.name, "GNU");
	return p;
}

/* Give the program a section of that name. */
static void
add_section(struct program *p, const char *name)
{
	p->header.e_shoff = offsetof(struct program, sections);
	p->header.e_shentsize = sizeof(ElfW(Shdr));
	p->header.e_shnum = 2;
	p->header.e_shstrndx = 0;
	p->sections[0].sh_offset = offsetof(struct program, names);
	p->sections[0].sh_size = sizeof p->names;
	p->sections[1].sh_name = 1;
	strcpy(p->names + 1, name);
}

/* An open file with these bytes. */
static int
file_of(const void *bytes, size_t size)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), size);
	return fd;
}

static enum carry_verdict
judge_as(const struct program *p, size_t size, const struct stat *st, bool capabilities,
	const struct carry_user *who)
{
	char loader[PATH_MAX];
	int fd = file_of(p, size);
	enum carry_verdict verdict = carry_judge(fd, st, capabilities, who, loader);

	close(fd);
	return verdict;
}

static enum carry_verdict
judge(const struct program *p)
{
	return judge_as(p, sizeof *p, &plain, false, &user);
}

START_TEST(a_dynamic_program_carries_it_whatever_its_loader)
{
	struct program p = dynamic_program();
	char loader[PATH_MAX];
	int fd = file_of(&p, sizeof p);

	ck_assert_int_eq(carry_judge(fd, &plain, false, &user, loader), CARRY_YES);
	ck_assert_str_eq(loader, LOADER);
	close(fd);
}
END_TEST

START_TEST(a_program_without_a_loader_is_static)
{
	struct program p = dynamic_program();

	p.segments[0].p_type = PT_NULL;
	ck_assert_int_eq(judge(&p), CARRY_STATIC);
}
END_TEST

START_TEST(another_machine_class_or_byte_order_is_named_first)
{
	struct program p = dynamic_program();

	p.segments[0].p_type = PT_NULL;
	p.header.e_machine = p.header.e_machine == EM_S390 ? EM_68K : EM_S390;
	ck_assert_int_eq(judge(&p), CARRY_MACHINE);
	p = dynamic_program();
	p.header.e_ident[EI_CLASS] ^= ELFCLASS32 ^ ELFCLASS64;
	ck_assert_int_eq(judge(&p), CARRY_MACHINE);
	p = dynamic_program();
	p.header.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB;
	ck_assert_int_eq(judge(&p), CARRY_MACHINE);
}
END_TEST

START_TEST(go_is_known_by_its_note_and_by_its_sections)
{
	struct program p = dynamic_program();

	memcpy(p.note.name, "Go\0", 4);
	ck_assert_int_eq(judge(&p), CARRY_GO);
	p.segments[0].p_type = PT_NULL;
	ck_assert_int_eq(judge(&p), CARRY_GO);

	p = dynamic_program();
	add_section(&p, ".go.buildinfo");
	ck_assert_int_eq(judge(&p), CARRY_GO);
	add_section(&p, ".note.go.buildid");
	ck_assert_int_eq(judge(&p), CARRY_GO);
	memset(p.names, 0, sizeof p.names);
	add_section(&p, ".text");
	ck_assert_int_eq(judge(&p), CARRY_YES);
}
END_TEST

START_TEST(a_go_note_is_found_behind_others)
{
	struct program p = dynamic_program();
	struct {
		struct program p;
		ElfW(Nhdr) first;
		char first_name[8], first_id[4];
		ElfW(Nhdr) second;
		char second_name[4], second_id[4];
	} file = {.p = p,
		.first = {.n_namesz = 5, .n_descsz = 1, .n_type = 1},
		.first_name = "stap",
		.second = {.n_namesz = 4, .n_descsz = 4, .n_type = 4},
		.second_name = "Go\0"};
	char loader[PATH_MAX];
	int fd;

	file.p.segments[1].p_offset = offsetof(__typeof__(file), first);
	file.p.segments[1].p_filesz = sizeof file - offsetof(__typeof__(file), first);
	fd = file_of(&file, sizeof file);
	ck_assert_int_eq(carry_judge(fd, &plain, false, &user, loader), CARRY_GO);
	close(fd);
}
END_TEST

START_TEST(set_user_id_matters_to_everybody_but_its_owner)
{
	struct program p = dynamic_program();
	struct stat st = plain;
	struct carry_user who = user;

	st.st_mode |= S_ISUID;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &who), CARRY_SETUID);
	who.uid = st.st_uid;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &who), CARRY_YES);
	who = user;
	who.no_new_privileges = true;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &who), CARRY_YES);
}
END_TEST

START_TEST(set_group_id_matters_if_the_group_may_run_it)
{
	struct program p = dynamic_program();
	struct stat st = plain;
	struct carry_user who = user;

	st.st_mode |= S_ISGID;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &who), CARRY_SETUID);
	who.gid = st.st_gid;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &who), CARRY_YES);
	st.st_mode &= ~(mode_t)S_IXGRP;
	ck_assert_int_eq(judge_as(&p, sizeof p, &st, false, &user), CARRY_YES);
}
END_TEST

START_TEST(file_capabilities_matter_to_all_but_root)
{
	struct program p = dynamic_program();
	struct carry_user root = {0, 0, false};

	ck_assert_int_eq(judge_as(&p, sizeof p, &plain, true, &user), CARRY_CAPABILITIES);
	ck_assert_int_eq(judge_as(&p, sizeof p, &plain, true, &root), CARRY_YES);
}
END_TEST

/* Whatever the bytes, there is an answer; the sanitizers look on. */
START_TEST(cut_and_garbled_files_are_survived)
{
	struct program p = dynamic_program();

	add_section(&p, ".go.buildinfo");
	for (size_t size = 0; size <= sizeof p; size++)
		judge_as(&p, size, &plain, false, &user);
	srand(1);
	for (int round = 0; round < 20000; round++) {
		struct program bad = p;

		for (int i = 0; i < 4; i++) {
			size_t at =
				sizeof bad.header.e_ident +
				(size_t)rand() % (sizeof bad - sizeof bad.header.e_ident);

			((unsigned char *)&bad)[at] =
				rand() % 2 ? 0xff : (unsigned char)rand();
		}
		judge_as(&bad, sizeof bad, &plain, false, &user);
	}
}
END_TEST

/* The path of a file in the test's directory, borrowed until the next call but three. */
static const char *
path_of(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return path;
}

static void
put_file(const char *name, const void *bytes, size_t size, mode_t mode)
{
	int fd = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), size);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void
put_script(const char *name, const char *text)
{
	put_file(name, text, strlen(text), 0755);
}

static void
make_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void
remove_directory(void)
{
	static const char *const names[] = {
		"program", "static", "script", "second", "env", "ld-x.so.2"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path_of(names[i]));
	rmdir(directory);
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
}

/* Check `command` with the directory as PATH; it must be found. */
static struct carry
check(const char *command)
{
	struct carry carry;

	ck_assert_int_eq(carry_check(command, directory, &user, &carry), 0);
	return carry;
}

START_TEST(a_script_is_judged_by_its_interpreter)
{
	struct program p = dynamic_program();
	char text[PATH_MAX + 64];
	struct carry carry;

	p.segments[0].p_type = PT_NULL;
	put_file("static", &p, sizeof p, 0755);
	snprintf(text, sizeof text, "#! %s -x\nhello\n", path_of("static"));
	put_script("second", text);
	snprintf(text, sizeof text, "#!%s\n", path_of("second"));
	put_script("script", text);
	carry = check("script");
	ck_assert_int_eq(carry.verdict, CARRY_STATIC);
	ck_assert(carry.script);
	ck_assert_str_eq(carry.program, path_of("static"));
}
END_TEST

START_TEST(env_in_a_script_is_looked_through)
{
	static const char *const lines[] = {"#!/usr/bin/env static\n",
		"#!/usr/bin/env -S static --flag\n", "#!/usr/bin/env -S A=1 static\n",
		"#!/usr/bin/env -Sstatic\n", "#!/usr/bin/env -S -i static\n"};
	struct program p = dynamic_program();

	p.segments[0].p_type = PT_NULL;
	put_file("static", &p, sizeof p, 0755);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct carry carry;

		put_script("script", lines[i]);
		carry = check("script");
		ck_assert_msg(carry.verdict == CARRY_STATIC, "%s", lines[i]);
		ck_assert_str_eq(carry.program, path_of("static"));
	}
}
END_TEST

START_TEST(scripts_in_a_circle_or_without_interpreter_end)
{
	char text[PATH_MAX + 64];

	snprintf(text, sizeof text, "#!%s\n", path_of("script"));
	put_script("script", text);
	ck_assert_int_eq(check("script").verdict, CARRY_YES);
	put_script("script", "#!");
	ck_assert_int_eq(check("script").verdict, CARRY_YES);
	put_script("script", "#!/nonexistent/interpreter\n");
	ck_assert_int_eq(check("script").verdict, CARRY_YES);
	put_script("script", "echo no first line\n");
	ck_assert_int_eq(check("script").verdict, CARRY_YES);
	put_script("script", "");
	ck_assert_int_eq(check("script").verdict, CARRY_YES);
}
END_TEST

START_TEST(the_loader_run_by_hand_is_no_static_program)
{
	struct program p = dynamic_program();

	p.segments[0].p_type = PT_NULL;
	put_file("ld-x.so.2", &p, sizeof p, 0755);
	ck_assert_int_eq(check("ld-x.so.2").verdict, CARRY_YES);
}
END_TEST

static Suite *
carry_suite(void)
{
	Suite *suite = suite_create("carry");
	TCase *judged = tcase_create("judge"), *files = tcase_create("files");

	tcase_add_test(judged, a_dynamic_program_carries_it_whatever_its_loader);
	tcase_add_test(judged, a_program_without_a_loader_is_static);
	tcase_add_test(judged, another_machine_class_or_byte_order_is_named_first);
	tcase_add_test(judged, go_is_known_by_its_note_and_by_its_sections);
	tcase_add_test(judged, a_go_note_is_found_behind_others);
	tcase_add_test(judged, set_user_id_matters_to_everybody_but_its_owner);
	tcase_add_test(judged, set_group_id_matters_if_the_group_may_run_it);
	tcase_add_test(judged, file_capabilities_matter_to_all_but_root);
	tcase_add_test(judged, cut_and_garbled_files_are_survived);
	tcase_set_timeout(judged, 60);
	suite_add_tcase(suite, judged);
	tcase_add_checked_fixture(files, make_directory, remove_directory);
	tcase_add_test(files, a_script_is_judged_by_its_interpreter);
	tcase_add_test(files, env_in_a_script_is_looked_through);
	tcase_add_test(files, scripts_in_a_circle_or_without_interpreter_end);
	tcase_add_test(files, the_loader_run_by_hand_is_no_static_program);
	suite_add_tcase(suite, files);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(carry_suite());

	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
