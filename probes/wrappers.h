/* SPDX-License-Identifier: MIT */
/*
 * The functions that the probe stands in front of: epoll_wait, epoll_pwait, epoll_pwait2,
 * poll, ppoll, __poll_chk, __ppoll_chk, select, pselect, epoll_create, epoll_create1.
 * Their results and errno are those of the real ones.
 */
#ifndef LOOPLAG_PROBES_WRAPPERS_H
#define LOOPLAG_PROBES_WRAPPERS_H

/* Find the real functions now, so that no wrapper has to later. */
void
wrappers_resolve(void);

/* Tell whether the descriptor is an epoll instance, by a call of the real epoll_wait that
 * cannot take an event from it. Keeps errno. */
int
wrappers_is_epoll(int descriptor);

#endif
