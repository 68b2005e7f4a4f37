/* SPDX-License-Identifier: MIT */
/* See output.h. */

#include "config.h"

#include "cli/output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
output_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
}

int
output_flush(void)
{
	return fflush(stdout) ? -errno : 0;
}

int
output_line(const char *text)
{
	return puts(text) == EOF || fflush(stdout) ? -errno : 0;
}

int
output_status(int error)
{
	if (!error || error == -EPIPE)
		return EXIT_SUCCESS;
	if (error == -ENOMEM)
		fputs("looplag: out of memory\n", stderr);
	else
		fprintf(stderr, "looplag: cannot write to standard output: %s\n",
			strerror(-error));
	return EXIT_FAILURE;
}
