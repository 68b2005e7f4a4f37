/* SPDX-License-Identifier: MIT */
/* What tells builds of a program or library from each other (ld --build-id). */
#ifndef LOOPLAG_DAEMON_BUILD_ID_H
#define LOOPLAG_DAEMON_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

/* Find it among the notes of an ELF file, which may be anything. Returns its bytes; 0 if
 * there is none, or one of more than `max`. */
size_t
build_id_in_notes(const char *notes, size_t size, uint8_t *ret_id, size_t max);

#endif
