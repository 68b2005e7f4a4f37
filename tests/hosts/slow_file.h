/* SPDX-License-Identifier: MIT */
/* A file whose fsync() takes as long as one wishes, by a file system of our own. */
#ifndef LOOPLAG_TESTS_HOSTS_SLOW_FILE_H
#define LOOPLAG_TESTS_HOSTS_SLOW_FILE_H

/* Make it in a new directory "slow" below that one, in a mount namespace of this process, served by a
 * child. Returns its descriptor, or -1 with errno. */
int
slow_file_open(const char *directory, unsigned milliseconds);

#endif
