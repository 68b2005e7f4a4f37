/* SPDX-License-Identifier: MIT */
/* See config_check.h. */

#include "config.h"

#include "daemon/config_check.h"

#include "daemon/configuration.h"
#include "daemon/web_access.h"

static bool
tell(bool good, const char *path, FILE *out)
{
	if (good)
		fprintf(out, "%s is good\n", path);
	return good;
}

bool
config_check(const char *path, FILE *out, FILE *err)
{
	struct configuration *config = NULL;
	int r = configuration_load(path, err, &config);

	configuration_free(config);
	return tell(r == 0, path, out);
}

bool
config_check_web(const char *path, FILE *out, FILE *err)
{
	return tell(web_access_check(path, err), path, out);
}
