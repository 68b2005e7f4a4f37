/* SPDX-License-Identifier: MIT */
/* The configuration that is in use; see reload.h. */

#include "config.h"

#include "daemon/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/configuration.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

struct reload {
	const char *path;
	bool must_exist;
	bool from_file; /* what is in use */
	struct configuration *config;
	bool successful; /* the last time */
	double success_seconds;
};

/* Read the file, or take the defaults where there may be none. Mistakes are logged, as errors
 * before we serve, as warnings afterwards. */
static int
read_file(const struct reload *reload, log_fn log, struct configuration **ret_config,
	bool *ret_from_file)
{
	char *mistakes = NULL;
	size_t length = 0;
	FILE *err = open_memstream(&mistakes, &length);
	int r = -ENOMEM;

	if (err)
		r = configuration_load(reload->path, err, ret_config);
	if (err && fclose(err) == EOF)
		length = 0;
	*ret_from_file = r == 0;
	if (r == -ENOENT && !reload->must_exist) {
		*ret_config = configuration_default();
		r = *ret_config ? 0 : -ENOMEM;
	} else if (length) {
		log_lines(log, "config", mistakes);
	}
	if (r == -ENOMEM)
		log("config", "cannot read %s: out of memory", reload->path);
	free(mistakes);
	return r;
}

static void
succeed(struct reload *reload)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	reload->successful = true;
	reload->success_seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct reload *
reload_open(const char *path, bool must_exist)
{
	struct reload *reload = calloc(1, sizeof(*reload));

	if (!reload) {
		log_error("config", "cannot read %s: out of memory", path);
		return NULL;
	}
	reload->path = path;
	reload->must_exist = must_exist;
	if (read_file(reload, log_error, &reload->config, &reload->from_file) < 0) {
		log_error("config",
			"cannot start with %s; mend it, and try it with --config.check",
			path);
		free(reload);
		return NULL;
	}
	if (reload->from_file)
		log_info("config", "configured by %s", path);
	succeed(reload);
	return reload;
}

void
reload_close(struct reload *reload)
{
	if (!reload)
		return;
	configuration_free(reload->config);
	free(reload);
}

const struct configuration *
reload_configuration(const struct reload *reload)
{
	return reload->config;
}

int
reload_again(struct reload *reload,
	void (*use)(void *arg, const struct configuration *config), void *arg)
{
	struct configuration *config = NULL, *before = reload->config;
	bool from_file;
	int r = read_file(reload, log_warn, &config, &from_file);

	if (r < 0) {
		reload->successful = false;
		log_warn("config",
			"%s was not loaded; what was loaded before stays in use",
			reload->path);
		return r;
	}
	succeed(reload);
	if (!from_file && !reload->from_file) {
		log_info("config", "nothing to load again: there is no %s", reload->path);
		configuration_free(config);
		return 0;
	}
	use(arg, config);
	reload->config = config;
	reload->from_file = from_file;
	configuration_free(before);
	if (from_file)
		log_info("config", "loaded %s again", reload->path);
	else
		log_info("config", "%s is gone; back to the defaults", reload->path);
	return 0;
}

bool
reload_is_good(const struct reload *reload, double *ret_read_seconds)
{
	*ret_read_seconds = reload->success_seconds;
	return reload->successful;
}

void
reload_collect(const struct reload *reload, struct metrics *metrics)
{
	metrics_family(metrics, METRIC_GAUGE, "looplag_config_last_reload_successful",
		"Whether the configuration file was good when it was last read.");
	metrics_add(metrics, &(struct metric_sample){.value = reload->successful});
	metrics_family(metrics, METRIC_GAUGE,
		"looplag_config_last_reload_success_timestamp_seconds",
		"When the configuration in use was read, in seconds since the epoch.");
	metrics_add(metrics, &(struct metric_sample){.value = reload->success_seconds});
}
