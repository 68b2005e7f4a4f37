/* SPDX-License-Identifier: MIT */
/* looplagd. */

#include "config.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/looplagd.h"
#include "daemon/options.h"

#define EXIT_USAGE 2

int
main(int argc, char *argv[])
{
	struct options options;

	switch (options_parse(argc, argv, stdout, stderr, &options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_USAGE:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	log_init(options.log_level, options.log_format);
	if (options.config_check)
		return looplagd_check(&options);
	return looplagd_run(&options);
}
