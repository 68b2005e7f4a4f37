/* SPDX-License-Identifier: MIT */
/* See screen.h. */

#include "config.h"

#include "cli/screen.h"

#include <errno.h>
#include <stdio.h>

#ifdef HAVE_NCURSESW

#include <unistd.h>

#include <curses.h>
#include <term.h>

#define ESCAPE_MS 25 /* a key's sequence comes faster than that, even from afar */

enum { PAIR_LATE = 1, PAIR_STALLED };

static SCREEN *terminal;
static bool coloured;

bool
screen_is_possible(void)
{
	return true;
}

int
screen_open(bool colours)
{
	int error;

	/* newterm() leaves memory behind for a terminal that it does not know. */
	if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
		return -ENODEV;
	del_curterm(cur_term);
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return -ENODEV;
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	coloured = colours && has_colors();
	if (coloured) {
		start_color();
		use_default_colors();
		init_pair(PAIR_LATE, COLOR_YELLOW, -1);
		init_pair(PAIR_STALLED, COLOR_RED, -1);
	}
	return 0;
}

void
screen_close(void)
{
	endwin();
	delscreen(terminal);
	terminal = NULL;
}

size_t
screen_rows(void)
{
	return LINES > 0 ? (size_t)LINES : 0;
}

size_t
screen_columns(void)
{
	return COLS > 0 ? (size_t)COLS : 0;
}

int
screen_key(int timeout_ms)
{
	int key;

	timeout(timeout_ms);
	key = getch();
	switch (key) {
	case ERR:
		return SCREEN_NONE;
	case '\r':
	case KEY_ENTER:
		return SCREEN_ENTER;
	case KEY_UP:
		return SCREEN_UP;
	case KEY_DOWN:
		return SCREEN_DOWN;
	case KEY_PPAGE:
		return SCREEN_PAGE_UP;
	case KEY_NPAGE:
		return SCREEN_PAGE_DOWN;
	case KEY_HOME:
		return SCREEN_HOME;
	case KEY_END:
		return SCREEN_END;
	case KEY_RESIZE:
		return SCREEN_RESIZED;
	default:
		return key;
	}
}

void
screen_clear(void)
{
	erase();
}

void
screen_put(size_t row, size_t column, const char *text, unsigned look)
{
	attr_t attributes = A_NORMAL;

	if (row >= screen_rows() || column >= screen_columns())
		return;
	if (look & SCREEN_BOLD)
		attributes |= A_BOLD;
	if (look & SCREEN_REVERSE)
		attributes |= A_REVERSE;
	if (coloured && look & SCREEN_STALLED)
		attributes |= COLOR_PAIR(PAIR_STALLED);
	else if (coloured && look & SCREEN_LATE)
		attributes |= COLOR_PAIR(PAIR_LATE);
	attrset(attributes);
	mvaddstr((int)row, (int)column, text);
	attrset(A_NORMAL);
}

void
screen_show(void)
{
	refresh();
}

#else

bool
screen_is_possible(void)
{
	return false;
}

int
screen_open(bool colours)
{
	return -ENODEV;
}

void
screen_close(void)
{
}

size_t
screen_rows(void)
{
	return 0;
}

size_t
screen_columns(void)
{
	return 0;
}

int
screen_key(int timeout_ms)
{
	return SCREEN_NONE;
}

void
screen_clear(void)
{
}

void
screen_put(size_t row, size_t column, const char *text, unsigned look)
{
}

void
screen_show(void)
{
}

#endif
