/* SPDX-License-Identifier: MIT */
/* Reads a file of an administrator's as a whole. */
#ifndef LOOPLAG_DAEMON_TEXT_FILE_H
#define LOOPLAG_DAEMON_TEXT_FILE_H

#include <stddef.h>
#include <stdio.h>

#define TEXT_FILE_BYTES_MAX 1048576

/* Returns 0 with the text, which caller frees and behind which stands a NUL, or -errno:
 * -EINVAL if it is no regular file, -EFBIG if it is absurdly long. */
__attribute__((warn_unused_result)) int
text_file_read(const char *path, char **ret_text, size_t *ret_length);

/* The same; says on `err` why it cannot be read. */
__attribute__((warn_unused_result)) int
text_file_load(const char *path, FILE *err, char **ret_text, size_t *ret_length);

/* What such an error means, in words. */
const char *
text_file_error(int error);

#endif
