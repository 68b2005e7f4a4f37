/* SPDX-License-Identifier: MIT */
/* The whole terminal as a screen: ncurses behind a few functions. There is one. */
#ifndef LOOPLAG_CLI_SCREEN_H
#define LOOPLAG_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Keys that are no character; a character is itself. */
enum screen_key {
	SCREEN_NONE = -1, /* the time is over, or a signal came */
	SCREEN_ENTER = 10,
	SCREEN_ESCAPE = 27,
	SCREEN_UP = 0x10000,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_HOME,
	SCREEN_END,
	SCREEN_RESIZED
};

/* How a text looks; may be added up. */
enum screen_look {
	SCREEN_PLAIN = 0,
	SCREEN_BOLD = 1,
	SCREEN_REVERSE = 2,
	SCREEN_LATE = 4,    /* yellow */
	SCREEN_STALLED = 8, /* red */
};

/* Whether this looplag was built with a library that can. */
bool
screen_is_possible(void);

/* Take over the terminal, with colours or without. Returns 0, or -ENODEV if nobody knows
 * how it works. */
__attribute__((warn_unused_result)) int
screen_open(bool colours);
void
screen_close(void);

/* Its size now. */
size_t
screen_rows(void);
size_t
screen_columns(void);

/* Wait for a key. */
int
screen_key(int timeout_ms);

/* Empty it; put a text, in UTF-8 and without control characters, that ends in that row;
 * show all that was put. What lies outside is left out. */
void
screen_clear(void);
void
screen_put(size_t row, size_t column, const char *text, unsigned look);
void
screen_show(void);

#endif
