/* SPDX-License-Identifier: MIT */
/* What the kernel says of this very process: /proc/self, as Prometheus' clients read it. */

#include "config.h"

#include "daemon/process.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.2 and later tell by a size; before, those in /proc/self/fd are counted without the
 * one that reads it. */
static double
count_descriptors(void)
{
	const struct dirent *entry;
	double count = -1;
	struct stat size;
	DIR *dir;

	if (!stat("/proc/self/fd", &size) && size.st_size)
		return (double)size.st_size;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return NAN;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			count++;
	closedir(dir);
	return count;
}

/* When the machine was booted, in seconds since the epoch. */
static double
boot_time_seconds(void)
{
	FILE *file = fopen("/proc/stat", "re");
	double seconds = NAN;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return NAN;
	while (getline(&line, &size, file) > 0)
		if (sscanf(line, "btime %lf", &seconds) == 1)
			break;
	free(line);
	fclose(file);
	return seconds;
}

/* Fields 20 to 24 of /proc/self/stat; they stand behind the command's closing bracket. */
static void
read_stat(struct process_stats *stats)
{
	FILE *file = fopen("/proc/self/stat", "re");
	unsigned long long start_ticks, virtual_bytes;
	char line[1024], *end = NULL;
	long threads, pages;

	if (!file)
		return;
	if (fgets(line, sizeof(line), file))
		end = strrchr(line, ')');
	fclose(file);
	if (!end || sscanf(end,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
			    "%*d %*d "
			    "%*d %ld %*d %llu %llu %ld",
			    &threads, &start_ticks, &virtual_bytes, &pages) != 4)
		return;
	stats->threads = (double)threads;
	stats->virtual_bytes = (double)virtual_bytes;
	stats->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
	stats->start_time_seconds =
		boot_time_seconds() + (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
}

struct process_stats
process_read(void)
{
	struct process_stats stats = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	struct timespec cpu;
	struct rlimit limit;

	if (!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu))
		stats.cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		stats.max_fds = limit.rlim_cur == RLIM_INFINITY ? INFINITY
								: (double)limit.rlim_cur;
	stats.open_fds = count_descriptors();
	read_stat(&stats);
	return stats;
}
