/* SPDX-License-Identifier: MIT */
/*
 * Reads the symbols of an ELF file of this machine's kind, which may be hostile: only by
 * pread, with every count and offset checked and bounded.
 */
#ifndef LOOPLAG_DAEMON_ELF_FILE_H
#define LOOPLAG_DAEMON_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ELF_FILE_NAME_BYTES 512
#define ELF_FILE_BUILD_ID_BYTES 24

struct elf_file;

/*
 * Open a file that a stranger has named, as a process of that pid sees its files (0: as we
 * do): only a plain file, without any effect on what is none. Its size is bounded. Returns
 * a descriptor to read from, or -errno.
 *
 * A file system in user space could keep us waiting, but the kernel asks one of another
 * user's only where its mounter had the administrator's leave (allow_other in FUSE).
 */
__attribute__((warn_unused_result)) int
elf_file_open_path(const char *path, pid_t pid);

/* A file's symbols; takes over the descriptor if it works. NULL when it is no such file. */
struct elf_file *
elf_file_new(int fd);
void
elf_file_free(struct elf_file *file);

/* Its descriptor, borrowed. */
int
elf_file_descriptor(const struct elf_file *file);

/* Whether this is its build id; of no bytes: that it has none. */
bool
elf_file_has_build_id(const struct elf_file *file, const uint8_t *id, size_t bytes);

/* Whether it has a table of all symbols, not only of those for the dynamic linker. */
bool
elf_file_is_complete(const struct elf_file *file);

/* Bytes of its section .debug_info, 0: there is none. */
uint64_t
elf_file_debug_bytes(const struct elf_file *file);

/* The name of the function at an offset (address less load bias). Returns whether there is
 * one. */
bool
elf_file_find(struct elf_file *file, uint64_t offset, char ret_name[ELF_FILE_NAME_BYTES]);

#endif
