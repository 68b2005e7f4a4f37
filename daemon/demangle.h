/* SPDX-License-Identifier: MIT */
/*
 * The readable name of a C++ function: what it is called, with its namespaces and classes,
 * but without template arguments and parameters: _ZN2v88internal10JsonParserIhE5ParseEv is
 * v8::internal::JsonParser::Parse. That is all that a stack needs, and less than a whole
 * demangler, whose output a hostile name could make grow without bound; this one's never
 * grows. Follows the Itanium C++ ABI, 5.1.
 */
#ifndef LOOPLAG_DAEMON_DEMANGLE_H
#define LOOPLAG_DAEMON_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/* Returns whether the name was one of C++ that is understood; `size` bytes at most are
 * written, with the 0. Otherwise the name is its own best form. */
bool
demangle(const char *name, char *ret_name, size_t size);

#endif
