/* SPDX-License-Identifier: MIT */
/*
 * Whether a command can carry the probe: from its name to a file as execvp() goes, from
 * there along #! lines to a program as the kernel goes, and then a look into its ELF
 * headers. Reads by pread() with every bound checked: the file is anybody's.
 */

#include "config.h"

#include "cli/carry.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/command.h"

#define MAX_SCRIPTS 5
#define MAX_HEADERS 1024
#define MAX_NOTES_BYTES 65536
#define MAX_NAMES_BYTES (1 << 20)

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define NATIVE_MACHINE EM_PPC64
#elif defined(__s390x__)
#define NATIVE_MACHINE EM_S390
#elif defined(__i386__)
#define NATIVE_MACHINE EM_386
#elif defined(__arm__)
#define NATIVE_MACHINE EM_ARM
#else
#error "unknown machine"
#endif
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif
#define NATIVE_CLASS (__ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32)

struct carry_user
carry_this_user(void)
{
	return (struct carry_user){
		getuid(), getgid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1};
}

/* Read exactly `size` bytes. */
static bool
read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX - size &&
	       pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* Whether a note segment has the build id that Go's linker writes. */
static bool
has_go_note(int fd, const ElfW(Phdr) * segment)
{
	uint64_t offset = 0, size = segment->p_filesz;

	if (size > MAX_NOTES_BYTES)
		return false;
	while (size - offset >= sizeof(ElfW(Nhdr)) + 4) {
		struct {
			ElfW(Nhdr) header;
			char name[4];
		} note;

		if (!read_at(fd, &note, sizeof note, segment->p_offset + offset))
			return false;
		if (note.header.n_namesz == 4 && !memcmp(note.name, "Go\0", 4))
			return true;
		offset += sizeof note.header +
			  (((uint64_t)note.header.n_namesz + 3) & ~3ull) +
			  (((uint64_t)note.header.n_descsz + 3) & ~3ull);
		if (offset > size)
			return false;
	}
	return false;
}

/* Whether there is a section that Go's linker writes. */
static bool
has_go_section(int fd, const ElfW(Ehdr) * header)
{
	ElfW(Shdr) section, names;
	char name[sizeof ".note.go.buildid"];

	if (header->e_shentsize != sizeof section || header->e_shnum > MAX_HEADERS ||
		header->e_shstrndx >= header->e_shnum ||
		!read_at(fd, &names, sizeof names,
			header->e_shoff +
				header->e_shstrndx * (uint64_t)sizeof section) ||
		names.sh_size > MAX_NAMES_BYTES)
		return false;
	for (unsigned i = 1; i < header->e_shnum; i++) {
		ssize_t length;

		if (!read_at(fd, &section, sizeof section,
			    header->e_shoff + i * (uint64_t)sizeof section))
			return false;
		if (section.sh_name >= names.sh_size ||
			names.sh_offset > INT64_MAX - names.sh_size)
			continue;
		length = pread(fd, name, sizeof name - 1,
			(off_t)(names.sh_offset + section.sh_name));
		name[length > 0 ? length : 0] = '\0';
		if (!strcmp(name, ".go.buildinfo") || !strcmp(name, ".note.go.buildid"))
			return true;
	}
	return false;
}

/* Whether running it raises privileges, so that the loader runs in its secure mode. */
static enum carry_verdict
judge_privileges(
	const struct stat *st, bool file_capabilities, const struct carry_user *user)
{
	if (user->no_new_privileges)
		return CARRY_YES;
	if ((st->st_mode & S_ISUID && st->st_uid != user->uid) ||
		((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
			st->st_gid != user->gid))
		return CARRY_SETUID;
	return file_capabilities && user->uid != 0 ? CARRY_CAPABILITIES : CARRY_YES;
}

enum carry_verdict
carry_judge(int fd, const struct stat *st, bool file_capabilities,
	const struct carry_user *user, char *ret_loader)
{
	ElfW(Ehdr) header;
	bool go = false;

	*ret_loader = '\0';
	if (!read_at(fd, &header, sizeof header, 0) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return CARRY_YES;
	if (header.e_ident[EI_CLASS] != NATIVE_CLASS ||
		header.e_ident[EI_DATA] != NATIVE_DATA ||
		header.e_machine != NATIVE_MACHINE)
		return CARRY_MACHINE;
	if (header.e_phentsize != sizeof(ElfW(Phdr)) || header.e_phnum > MAX_HEADERS)
		return CARRY_YES;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		ElfW(Phdr) segment;

		if (!read_at(fd, &segment, sizeof segment,
			    header.e_phoff + i * (uint64_t)sizeof segment))
			return CARRY_YES;
		if (segment.p_type == PT_NOTE && has_go_note(fd, &segment))
			go = true;
		if (segment.p_type == PT_INTERP && segment.p_filesz > 0 &&
			segment.p_filesz < PATH_MAX &&
			read_at(fd, ret_loader, segment.p_filesz, segment.p_offset))
			ret_loader[segment.p_filesz] = '\0';
	}
	if (go || has_go_section(fd, &header))
		return CARRY_GO;
	if (!*ret_loader)
		return CARRY_STATIC;
	return judge_privileges(st, file_capabilities, user);
}

/* The next word of a #! line, or NULL; cuts it out of the line. */
static char *
next_word(char **line)
{
	char *word = *line + strspn(*line, " \t");

	if (!*word)
		return NULL;
	*line = word + strcspn(word, " \t");
	if (**line)
		*(*line)++ = '\0';
	return word;
}

/* Whether the file is a script: then the command that interprets it. */
static bool
read_script(int fd, char *ret_command)
{
	char buffer[PATH_MAX], *rest = buffer + 2, *word;
	ssize_t length = pread(fd, buffer, sizeof buffer - 1, 0);
	const char *base;

	if (length < 2 || memcmp(buffer, "#!", 2) != 0)
		return false;
	buffer[length] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	word = next_word(&rest);
	if (!word)
		return false;
	strcpy(ret_command, word);
	base = strrchr(word, '/');
	if (strcmp(base ? base + 1 : word, "env") != 0)
		return true;
	/* env [-S] [-OPTION...] [NAME=VALUE...] COMMAND; an option's own argument is not
	 * known here and would be taken for the command, which then is not found. */
	while ((word = next_word(&rest))) {
		if (!strncmp(word, "-S", 2) && word[2])
			word += 2;
		if (*word == '-' || strchr(word, '='))
			continue;
		strcpy(ret_command, word);
		break;
	}
	return true;
}

bool
carry_is_loader(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return !strcmp(base, "ld.so") || (!strncmp(base, "ld", 2) && strstr(base, ".so"));
}

/* Judge a program; one that may be run and not read (fd < 0), by its mode alone. */
static enum carry_verdict
judge_file(const char *path, int fd, const struct carry_user *user, char *ret_loader)
{
	struct carry_user here = *user;
	enum carry_verdict verdict;
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st))
		return CARRY_YES;
	if (!statvfs(path, &fs) && fs.f_flag & ST_NOSUID)
		here.no_new_privileges = true;
	if (fd < 0)
		return judge_privileges(&st, false, &here);
	verdict = carry_judge(fd, &st, fgetxattr(fd, "security.capability", NULL, 0) > 0,
		&here, ret_loader);
	return verdict == CARRY_STATIC && carry_is_loader(path) ? CARRY_YES : verdict;
}

int
carry_check(const char *command, const char *search, const struct carry_user *user,
	struct carry *ret_carry)
{
	struct carry carry = {.verdict = CARRY_YES};
	char next[PATH_MAX];
	int r = command_find(command, search, carry.program);

	if (r)
		return r;
	for (int depth = 0;; depth++) {
		int fd =
			open(carry.program, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		bool script = fd >= 0 && depth < MAX_SCRIPTS && read_script(fd, next);

		if (!script)
			carry.verdict = judge_file(carry.program, fd, user, carry.loader);
		if (fd >= 0)
			close(fd);
		if (!script)
			break;
		if (command_find(next, search, carry.program)) {
			strcpy(carry.program, next);
			carry.dangling = true;
			break;
		}
		carry.script = true;
	}
	*ret_carry = carry;
	return 0;
}

const char *
carry_reason(enum carry_verdict verdict)
{
	switch (verdict) {
	case CARRY_STATIC:
		return "is statically linked and loads no library";
	case CARRY_SETUID:
		return "runs as another user or group, so the loader ignores LD_PRELOAD";
	case CARRY_CAPABILITIES:
		return "has file capabilities, so the loader ignores LD_PRELOAD";
	case CARRY_MACHINE:
		return "is built for another machine or word size than the probe";
	case CARRY_GO:
		return "is a Go program, which makes its system calls without libc";
	case CARRY_YES:
		break;
	}
	return "can carry it";
}
