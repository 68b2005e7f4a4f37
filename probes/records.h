/* SPDX-License-Identifier: MIT */
/* Capture records: whose turn it is to be overwritten, and how a stack is put into one. */
#ifndef LOOPLAG_PROBES_RECORDS_H
#define LOOPLAG_PROBES_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "probes/segment.h"
#include "probes/slots.h"

/* Claim the record that was filled longest ago, empty but for its sequence, which is odd
 * now. NULL: all are being filled in, or it is by V8. Makes no system call. */
struct segment_capture *
records_claim(const struct segment *segment, uint64_t now_ns);

/* It is whole: readers may have it. */
void
records_publish(struct segment_capture *record);

/* Add native frames, with the objects that they lie in. The list of those is modules.h's. */
void
records_add_natives(struct segment_capture *record, const uint64_t *pcs, size_t count);

#endif
