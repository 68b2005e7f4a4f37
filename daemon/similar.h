/* SPDX-License-Identifier: MIT */
/* Finds the name that was probably meant. Pure. */
#ifndef LOOPLAG_DAEMON_SIMILAR_H
#define LOOPLAG_DAEMON_SIMILAR_H

#include <stddef.h>

/* The one of `names` that `name` is probably a slip of, or a part of; NULL if none is. */
const char *
similar_find(const char *name, const char *const *names, size_t count);

#endif
