/* SPDX-License-Identifier: MIT */
/* What the kernel says of this very process. */
#ifndef LOOPLAG_DAEMON_PROCESS_H
#define LOOPLAG_DAEMON_PROCESS_H

/* NAN: could not be read. */
struct process_stats {
	double cpu_seconds;
	double open_fds;
	double max_fds;
	double virtual_bytes;
	double resident_bytes;
	double start_time_seconds; /* since the epoch */
	double threads;
};

struct process_stats
process_read(void);

#endif
