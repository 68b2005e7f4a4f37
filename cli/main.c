/* SPDX-License-Identifier: MIT */
/* looplagd. */

#include "config.h"

int
main(void)
{
	return 0;
}
