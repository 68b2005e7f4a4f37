/* SPDX-License-Identifier: MIT */
/*
 * looplag top: asks looplagd each second and shows one of three screens:
 *
 *	        enter             ?
 *	group <------- list <----------> help
 *	      ------->       any key
 *	        escape
 */

#include "config.h"

#include "cli/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/fetch.h"
#include "cli/minute.h"
#include "cli/output.h"
#include "cli/screen.h"
#include "cli/style.h"
#include "cli/top_group.h"
#include "cli/top_list.h"
#include "cli/top_options.h"
#include "cli/top_text.h"

#define PERIOD_MS 1000
#define PAUSE_MS 200     /* at least, between an answer and the next question */
#define PATIENCE_MS 3000 /* for an answer */
#define KEY_MS 300       /* the same when a key waits */
#define LINE_BYTES 512
#define FRAME_ROWS 2 /* the first row and the last one */

struct top {
	const char *url;
	struct style style;
	struct fetch *fetch;
	struct minute *minute;
	struct top_list list;
	struct top_group group;
	enum { LIST, GROUP, HELP } screen;
	char trouble[FETCH_ERROR_BYTES]; /* empty: looplagd answers */
	int64_t asked_ms;                /* when a page was asked for last */
	int64_t next_ms;                 /* when to ask for all again */
	bool ended;
};

static volatile sig_atomic_t signalled;

static void
end_by_signal(int number)
{
	signalled = 1;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Whether not to wait for an answer any longer. */
static bool
is_wanted_elsewhere(void *arg)
{
	const struct top *top = arg;
	struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
	int64_t waited_ms = now_ms() - top->asked_ms;

	return signalled || waited_ms > PATIENCE_MS ||
	       (waited_ms > KEY_MS && poll(&keyboard, 1, 0) > 0);
}

/* Get a page, or note why there is none. */
static json_t *
get(struct top *top, const char *path, const char *array)
{
	json_t *answer = NULL;

	top->asked_ms = now_ms();
	if (ask_get(top->fetch, path, array, &answer, top->trouble) == -EINTR)
		strcpy(top->trouble, "not in time");
	return answer;
}

static int
take_histograms(struct top *top)
{
	json_t *answer = get(top, "/api/v1/histograms", "histograms");
	struct histograms histograms;
	int r;

	if (!answer)
		return 0;
	r = histograms_read(answer, &histograms);
	if (r == 0) {
		minute_add(top->minute, &histograms);
		histograms_fini(&histograms);
	}
	json_decref(answer);
	return r == -ENOMEM ? r : 0;
}

static int
take_group(struct top *top)
{
	char *path = ask_path("/api/v1/stalls", "group", top->group.groupname);
	json_t *stalls;
	int r;

	if (!path)
		return -ENOMEM;
	stalls = get(top, path, "stalls");
	r = top_group_take(&top->group, top->minute, stalls, top->style.utf8);
	json_decref(stalls);
	free(path);
	return r;
}

/* Ask for all that is to be seen. What cannot be had now is shown as it was. */
static int
ask_for_all(struct top *top)
{
	json_t *groups = get(top, "/api/v1/groups", "groups");
	int r;

	if (!groups)
		return 0;
	r = top_list_take(&top->list, groups);
	if (r) {
		json_decref(groups);
		return r;
	}
	r = take_histograms(top);
	if (!r && top->screen == GROUP && !*top->trouble)
		r = take_group(top);
	return r;
}

static int
ask(struct top *top)
{
	int64_t start_ms = now_ms();
	int r;

	*top->trouble = '\0';
	r = ask_for_all(top);
	top->next_ms = start_ms + PERIOD_MS;
	/* What was found, and what a key has done, is seen first. */
	if (top->next_ms < now_ms() + PAUSE_MS)
		top->next_ms = now_ms() + PAUSE_MS;
	return r;
}

/* The rows between the first and the last. */
static size_t
inner_rows(void)
{
	return screen_rows() > FRAME_ROWS ? screen_rows() - FRAME_ROWS : 0;
}

static void
draw_title(const struct top *top)
{
	size_t stuck = top_list_stuck(&top->list);
	char line[LINE_BYTES], moment[16];
	time_t now = time(NULL);

	strftime(moment, sizeof(moment), "%H:%M:%S", localtime(&now));
	if (*top->trouble)
		snprintf(line, sizeof(line), "%s  no answer from %s: %s; asking again",
			moment, top->url, top->trouble);
	else if (top->screen == GROUP)
		snprintf(line, sizeof(line), "%s  %s", moment, top->group.groupname);
	else
		snprintf(line, sizeof(line), "%s  %zu %s, %zu stuck, by %s%s  %s", moment,
			top->list.loops.count,
			top->list.loops.count == 1 ? "loop" : "loops", stuck,
			loops_heading(top->list.column),
			top->list.reverse ? " reversed" : "", top->url);
	top_text_put(0, 0, line, screen_columns(),
		SCREEN_BOLD | (*top->trouble || stuck ? SCREEN_STALLED : 0));
}

static void
draw_help(void)
{
	static const char *const lines[] = {
		"",
		"  up, down, page up, page down, home, end   move; also k and j",
		"  enter     how the delays of the chosen loop's group are spread,",
		"            and its last stalls with their stacks",
		"  escape    back",
		"",
		"  < >       sort by the column to the left or right",
		"  g l n     sort by group, loop, number of processes",
		"  d p m     sort by the median, p99 or maximum of the delay",
		"  a s o     sort by active share, stalls, age of an open stall",
		"  r         reverse the order",
		"",
		"  q         quit",
		"",
		"Delays are of the last minute, in milliseconds. Loops that are stuck",
		"now are on top, marked with !. LAST MINUTE has the longest delay of",
		"each of its parts, since top was started: the lowest bar is below",
		"1 ms, the highest 1 s and more.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && i < inner_rows(); i++)
		top_text_put(1 + i, 0, lines[i], screen_columns(), SCREEN_PLAIN);
}

static void
draw(struct top *top)
{
	static const char *const footers[] = {
		[LIST] = "q quit  ? help  enter group  < > sort  r reverse",
		[GROUP] = "q quit  ? help  escape back  up down scroll",
		[HELP] = "q quit  any other key goes back",
	};

	screen_clear();
	draw_title(top);
	if (top->screen == LIST)
		top_list_draw(&top->list, top->minute, top->style.utf8, 1, inner_rows());
	else if (top->screen == GROUP)
		top_group_draw(&top->group, 1, inner_rows());
	else
		draw_help();
	if (screen_rows() > 1)
		top_text_put(screen_rows() - 1, 0, footers[top->screen], screen_columns(),
			SCREEN_PLAIN);
	screen_show();
}

/* Go to the chosen group's screen. */
static int
enter_group(struct top *top)
{
	const struct loops_row *chosen = top_list_chosen(&top->list);
	int r;

	if (!chosen)
		return 0;
	r = top_group_init(&top->group, chosen->groupname);
	if (r)
		return r;
	top->screen = GROUP;
	return take_group(top);
}

static void
leave_group(struct top *top)
{
	top_group_fini(&top->group);
	top->screen = LIST;
}

/* Do what a key says. */
static int
obey(struct top *top, int key)
{
	if (key == 'q') {
		top->ended = true;
	} else if (key == SCREEN_RESIZED) {
		return top->screen == GROUP ? take_group(top) : 0;
	} else if (top->screen == HELP) {
		top->screen = top->group.groupname ? GROUP : LIST;
	} else if (key == '?' || key == 'h') {
		top->screen = HELP;
	} else if (top->screen == GROUP) {
		if (key == SCREEN_ESCAPE)
			leave_group(top);
		else
			top_group_key(&top->group, key, inner_rows());
	} else if (key == SCREEN_ENTER) {
		return enter_group(top);
	} else {
		top_list_key(&top->list, key, inner_rows());
	}
	return 0;
}

/* Whether nobody can press a key any more. */
static bool
is_hung_up(void)
{
	struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&keyboard, 1, 0) > 0 &&
	       keyboard.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* Show and ask until somebody ends it. */
static int
run(struct top *top)
{
	int r = 0;

	while (!top->ended && !signalled && !r) {
		int64_t rest_ms;
		int key;

		if (top->next_ms <= now_ms())
			r = ask(top);
		draw(top);
		rest_ms = top->next_ms - now_ms();
		key = screen_key(rest_ms > 0 ? (int)rest_ms : 0);
		if (key != SCREEN_NONE)
			r = r ? r : obey(top, key);
		else if (is_hung_up())
			break;
	}
	return r;
}

/* Have signals end it in an orderly way, wherever it waits. */
static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = end_by_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Whether there is a screen; if not, that is said. */
static bool
has_screen(void)
{
	const char *name = getenv("TERM");

	if (!screen_is_possible())
		fputs("looplag: top needs a looplag that was built with ncursesw "
		      "(libncurses-dev); 'looplag ps' shows the same once\n",
			stderr);
	else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		fputs("looplag: top needs a terminal; 'looplag ps' shows the same once\n",
			stderr);
	else if (!name || !*name)
		fputs("looplag: top needs to know the terminal; set TERM\n", stderr);
	else
		return true;
	return false;
}

/* Ask for the first time, and then on the screen. Returns an exit status. */
static int
show(struct top *top)
{
	int r;

	fetch_interrupt(top->fetch, is_wanted_elsewhere, top);
	r = ask(top);
	if (r)
		return output_status(r);
	if (!top->list.answer) {
		if (!signalled)
			fprintf(stderr,
				"looplag: no looplagd at %s (%s); start it, or name "
				"another "
				"with --url\n",
				top->url, top->trouble);
		return signalled ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (screen_open(top->style.colour)) {
		fprintf(stderr,
			"looplag: top does not know the terminal '%s'; set TERM\n",
			getenv("TERM"));
		return EXIT_FAILURE;
	}
	r = run(top);
	screen_close();
	return output_status(r);
}

int
top_main(int argc, char *argv[])
{
	struct top top = {0};
	int status;

	output_begin();
	if (top_options_parse(argc, argv, &top.url, &status))
		return status;
	if (!ask_is_possible("top", "/api/v1/groups") || !has_screen())
		return EXIT_FAILURE;
	catch_signals();
	top_list_init(&top.list);
	top.style = style_of(stdout);
	top.fetch = fetch_new(top.url);
	top.minute = minute_new();
	status = top.fetch && top.minute ? show(&top) : output_status(-ENOMEM);
	top_group_fini(&top.group);
	top_list_fini(&top.list);
	minute_free(top.minute);
	fetch_free(top.fetch);
	return status;
}
