/* SPDX-License-Identifier: MIT */
/* The drop-in on disk: there is the old one, or the new one, whatever happens. */
#ifndef LOOPLAG_CLI_DROPIN_FILE_H
#define LOOPLAG_CLI_DROPIN_FILE_H

#include <stdbool.h>

/* Read it. Returns 0 with a text that caller frees, NULL if there is no such file; or
 * -errno. */
__attribute__((warn_unused_result)) int
dropin_file_read(const char *path, char **ret_text);

/* Whether its directory is there. */
bool
dropin_file_has_directory(const char *path);

/* Write it as a whole; the directory that it lies in is made if need be, those above are
 * not. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
dropin_file_write(const char *path, const char *text);

/* Remove it, and the directory, too, if it is empty then. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
dropin_file_remove(const char *path, bool directory);

#endif
