/* SPDX-License-Identifier: MIT */
/* A service, or a template of services, that is to be changed. */
#ifndef LOOPLAG_CLI_SERVICE_H
#define LOOPLAG_CLI_SERVICE_H

#include <stdbool.h>

#include "cli/unit_name.h"

struct unit_properties;

struct service {
	char unit[UNIT_NAME_BYTES]; /* whose drop-ins are to be changed */
	char asked
		[UNIT_NAME_BYTES]; /* of which the properties are: an instance of a template */
	bool imaginary;            /* there is no such instance */
	struct unit_properties *properties;
};

/* Find what a word names. Returns 0, -EINVAL if it can be no service's name, -ENOENT if there
 * is none, or -EIO if systemd does not answer; then the names alone are valid. */
__attribute__((warn_unused_result)) int
service_find(const char *word, struct service *ret_service);
void
service_fini(struct service *service);

/* Whether it runs, or an instance does. */
bool
service_runs(const struct service *service);

/* Whether its main process has the probe loaded. Returns 1, 0, or -errno if that cannot be
 * told. */
__attribute__((warn_unused_result)) int
service_carries(const struct service *service);

/* Start those anew that run. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
service_restart(const struct service *service);

#endif
