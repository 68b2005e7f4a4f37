/* SPDX-License-Identifier: MIT */
/* Names for native frames: of this very program, and of files that are none. */

#include "config.h"

#include "daemon/symbolizer.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "daemon/capture.h"
#include "daemon/elf_file.h"

static struct symbolizer *symbolizer;
static struct capture *capture;
static char directory[] = "symbolizer-test-XXXXXX";

__attribute__((noinline)) static unsigned
known_line(unsigned x);

static void
set_up(void)
{
	strcpy(directory, "symbolizer-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	symbolizer = symbolizer_new();
	capture = capture_new();
}

static void
tear_down(void)
{
	char command[128];

	symbolizer_free(symbolizer);
	capture_free(capture);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* The module that has this address, as a segment would tell of it. */
struct search {
	uintptr_t address;
	uint64_t bias;
	struct capture_module *module;
};

static int
look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;
	bool found = false;

	for (int i = 0; i < info->dlpi_phnum; i++)
		found = found || (info->dlpi_phdr[i].p_type == PT_LOAD &&
					 search->address - info->dlpi_addr -
							 info->dlpi_phdr[i].p_vaddr <
						 info->dlpi_phdr[i].p_memsz);
	for (int i = 0; found && i < info->dlpi_phnum; i++) {
		const char *note =
			(const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		const char *end = note + info->dlpi_phdr[i].p_memsz;

		while (info->dlpi_phdr[i].p_type == PT_NOTE && note < end) {
			const ElfW(Nhdr) *head = (const void *)note;
			const char *bytes =
				note + sizeof(*head) + ((head->n_namesz + 3) & ~3u);

			if (head->n_type == NT_GNU_BUILD_ID) {
				search->module->build_id_bytes = head->n_descsz;
				memcpy(search->module->build_id, bytes, head->n_descsz);
			}
			note = bytes + ((head->n_descsz + 3) & ~3u);
		}
	}
	search->bias = info->dlpi_addr;
	return found;
}

/* A frame at that address of this process. */
static void
add(const void *address)
{
	struct search search = {.address = (uintptr_t)address,
		.module = &capture->modules[capture->module_count]};
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	Dl_info info;

	ck_assert(dl_iterate_phdr(look_at, &search));
	ck_assert(dladdr(address, &info));
	exe[n] = 0;
	search.module->path = strdup(strchr(info.dli_fname, '.') == info.dli_fname ||
						     !strstr(info.dli_fname, ".so")
					     ? exe
					     : info.dli_fname);
	capture->natives[capture->native_count].offset = search.address - search.bias;
	capture->native_modules[capture->native_count++] =
		(uint32_t)capture->module_count++;
}

START_TEST(a_function_of_this_program_has_its_name_and_line)
{
	const struct stall_frame *frame = &capture->natives[0];

	add((const char *)known_line + 1);
	symbolizer_name(symbolizer, capture, getpid());
	ck_assert_ptr_nonnull(frame->function);
	ck_assert_str_eq(frame->function, "known_line");
#ifdef HAVE_LIBDW
	ck_assert_ptr_nonnull(frame->file);
	ck_assert_ptr_nonnull(strstr(frame->file, "check_symbolizer.c"));
	ck_assert_uint_gt(frame->line, 200);
#endif
}
END_TEST

/* As systemd does with RestrictSUIDSGID=. For good: each test is a process of its own. */
static void
take_openat2_away(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(a_sandbox_without_openat2_takes_no_names_away)
{
	take_openat2_away();
	add((const char *)known_line + 1);
	symbolizer_name(symbolizer, capture, getpid());
	ck_assert_ptr_nonnull(capture->natives[0].function);
	ck_assert_str_eq(capture->natives[0].function, "known_line");
}
END_TEST

START_TEST(a_function_of_a_stripped_library_has_its_dynamic_name)
{
	add((const char *)dlsym(RTLD_DEFAULT, "fsync") + 1);
	symbolizer_name(symbolizer, capture, 0);
	ck_assert_str_eq(capture->natives[0].function, "fsync");
}
END_TEST

START_TEST(another_file_at_the_path_gives_no_name)
{
	add((const char *)known_line + 1);
	capture->modules[0].build_id[0] ^= 1;
	symbolizer_name(symbolizer, capture, getpid());
	ck_assert_ptr_null(capture->natives[0].function);
}
END_TEST

START_TEST(what_is_no_plain_file_is_not_opened)
{
	char path[4096], link[4200];

	ck_assert_ptr_nonnull(realpath(directory, path));
	ck_assert_int_lt(elf_file_open_path(path, 0), 0);
	snprintf(link, sizeof(link), "%s/fifo", path);
	ck_assert_int_eq(mkfifo(link, 0600), 0);
	ck_assert_int_lt(elf_file_open_path(link, 0), 0);
	snprintf(link, sizeof(link), "%s/link", path);
	ck_assert_int_eq(symlink("/dev/zero", link), 0);
	ck_assert_int_lt(elf_file_open_path(link, 0), 0);
	ck_assert_int_lt(elf_file_open_path("/proc/self/exe", 0), 0);
	ck_assert_int_lt(elf_file_open_path("/dev/null", 0), 0);
	ck_assert_int_lt(elf_file_open_path("", 0), 0);
	ck_assert_int_lt(elf_file_open_path("[vdso]", 0), 0);
	ck_assert_int_lt(elf_file_open_path("/nowhere/at/all", 0), 0);
}
END_TEST

/* This program, with some bytes changed and cut short. */
static int
spoiled(unsigned seed)
{
	static unsigned char bytes[1 << 20];
	char path[64];
	int from = open("/proc/self/exe", O_RDONLY), to;
	ssize_t size = read(from, bytes, sizeof(bytes));

	close(from);
	srandom(seed);
	for (int i = 0; i < 40; i++)
		bytes[random() % 64] = (unsigned char)random();
	memcpy(bytes, ELFMAG, SELFMAG);
	bytes[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	bytes[EI_DATA] = __BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	for (int i = 0; i < 200; i++)
		bytes[(size_t)random() % (size_t)size] = (unsigned char)random();
	snprintf(path, sizeof(path), "%s/spoiled", directory);
	to = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	ck_assert_int_eq(write(to, bytes, (size_t)random() % (size_t)size + 64) > 0, 1);
	return to;
}

/* This program, whose section headers were changed. */
static int
misdirected(unsigned seed)
{
	static unsigned char bytes[1 << 22];
	ElfW(Ehdr) *header = (void *)bytes;
	char path[64];
	int from = open("/proc/self/exe", O_RDONLY), to;
	ssize_t size = read(from, bytes, sizeof(bytes));
	size_t table;

	close(from);
	srandom(seed);
	table = header->e_shoff;
	for (int i = 0; i < 30 && table < (size_t)size; i++)
		bytes[table + (size_t)random() % ((size_t)size - table)] =
			(unsigned char)random();
	snprintf(path, sizeof(path), "%s/misdirected", directory);
	to = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	ck_assert_int_eq(write(to, bytes, (size_t)size), size);
	return to;
}

START_TEST(files_that_lie_do_no_harm)
{
	char name[ELF_FILE_NAME_BYTES];

	for (unsigned seed = 0; seed < 200; seed++) {
		int fd = seed % 2 ? spoiled(seed) : misdirected(seed);
		struct elf_file *file = elf_file_new(fd);

		if (!file) {
			close(fd);
			continue;
		}
		for (uint64_t offset = 0; offset < 0x8000; offset += 0x123)
			(void)elf_file_find(file, offset, name);
		elf_file_free(file);
	}
}
END_TEST

START_TEST(a_file_that_is_cut_short_meanwhile_loses_its_names_and_nothing_else)
{
	char name[ELF_FILE_NAME_BYTES], command[256];
	struct elf_file *file;
	int fd;

	snprintf(command, sizeof(command), "cp /proc/%d/exe %s/copy", (int)getpid(),
		directory);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command), "%s/copy", directory);
	fd = open(command, O_RDWR);
	/* Its headers are read now, its symbols later. */
	file = elf_file_new(fd);
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ftruncate(fd, 5000), 0);
	for (uint64_t offset = 0; offset < 0x8000; offset += 0x123)
		ck_assert(!elf_file_find(file, offset, name));
	elf_file_free(file);
}
END_TEST

START_TEST(more_modules_than_are_kept_open_do_no_harm)
{
	int before = dup(0);

	close(before);
	for (int i = 0; i < 100; i++) {
		capture_free(capture);
		capture = capture_new();
		add((const char *)known_line + 1);
		capture->modules[0].build_id[0] = (uint8_t)i;
		symbolizer_name(symbolizer, capture, 0);
	}
	symbolizer_free(symbolizer);
	symbolizer = NULL;
	ck_assert_int_eq(dup(0), before);
}
END_TEST

unsigned
known_line(unsigned x)
{
	for (unsigned i = 0; i < 3; i++)
		x = x * 31 + i;
	return x;
}

int
main(void)
{
	Suite *suite = suite_create("symbolizer");
	TCase *tcase = tcase_create("symbolizer");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_function_of_this_program_has_its_name_and_line);
	tcase_add_test(tcase, a_sandbox_without_openat2_takes_no_names_away);
	tcase_add_test(tcase, a_function_of_a_stripped_library_has_its_dynamic_name);
	tcase_add_test(tcase, another_file_at_the_path_gives_no_name);
	tcase_add_test(tcase, what_is_no_plain_file_is_not_opened);
	tcase_add_test(tcase, files_that_lie_do_no_harm);
	tcase_add_test(tcase,
		a_file_that_is_cut_short_meanwhile_loses_its_names_and_nothing_else);
	tcase_add_test(tcase, more_modules_than_are_kept_open_do_no_harm);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
