/* SPDX-License-Identifier: MIT */
/*
 * Finds functions in the objects that the dynamic loader has mapped, by reading their hash
 * tables. The probe cannot use dlsym: glibc moved it from libdl to libc, with a new symbol
 * version, and a library that asks for either fails to load on half of all systems.
 *
 * Only to be called at start-up, or on the way to a function that was called before it:
 * takes the loader's lock, allocates nothing, touches no errno.
 */
#ifndef LOOPLAG_PROBES_SYMBOLS_H
#define LOOPLAG_PROBES_SYMBOLS_H

#include <stddef.h>

/* The function of that name in the first object after our own, in load order (what
 * dlsym's RTLD_NEXT gives). NULL if there is none. */
void *
symbols_next(const char *name);

/* The function of that name in libc itself (or in its libpthread or libdl), whoever else
 * may interpose it. NULL if there is none. */
void *
symbols_libc(const char *name);

/* The function or variable of that name in the first object that has it, and its size if that is asked
 * for. NULL if there is none. */
void *
symbols_find(const char *name, size_t *ret_bytes);

/* The size of a function that symbols_libc() finds; 0 if it does not. */
size_t
symbols_libc_bytes(const char *name);

/* Whether any mapped object exports that name. */
int
symbols_exported(const char *name);

#endif
