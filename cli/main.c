/* SPDX-License-Identifier: MIT */
/* looplag: finds the verb and hands over to its file. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_config.h"
#include "cli/completion.h"
#include "cli/disable.h"
#include "cli/doctor.h"
#include "cli/enable.h"
#include "cli/hist.h"
#include "cli/ps.h"
#include "cli/run.h"
#include "cli/stalls.h"
#include "cli/top.h"

#define EXIT_USAGE 2
#define LONGEST_VERB 16

static int
help_main(int argc, char *argv[]);
static int
version_main(int argc, char *argv[]);

/* In the order of the help text. */
static const struct verb {
	const char *name;
	int (*main)(int argc, char *argv[]);
	const char *summary; /* NULL: an option's other name */
} verbs[] = {
	{"run", run_main, "run a command and report how late its event loops were"},
	{"ps", ps_main, "show all loops and how late they are now"},
	{"top", top_main, "the same on a screen that goes on, with stacks"},
	{"hist", hist_main, "show how the delay of a group's loops is spread"},
	{"stalls", stalls_main, "show when loops were stuck, why, and in which line"},
	{"doctor", doctor_main, "tell whether a program can carry the probe, or why not"},
	{"enable", enable_main, "have a systemd service load the probe"},
	{"disable", disable_main, "take that back"},
	{"check-config", check_config_main, "tell all mistakes in a file for looplagd"},
	{"completion", completion_main, "have a shell complete all this"},
	{"help", help_main, "show this text, or that of a command"},
	{"--help", help_main, NULL},
	{"-h", help_main, NULL},
	{"--version", version_main, NULL},
};
#define VERBS (sizeof verbs / sizeof *verbs)

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* How many letters have to be put in, left out or changed to make b of a. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[LONGEST_VERB + 1], columns = strlen(b);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (; *a; a++) {
		size_t diagonal = row[0]++;

		for (size_t j = 1; j <= columns; j++) {
			size_t best = diagonal + (*a != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[columns];
}

/* Complain about a word that is no verb, with the verb that was perhaps meant. */
static int
unknown_verb(const char *word)
{
	const char *nearest = NULL;
	size_t least = strlen(word) < 3 ? 2 : 3;

	for (size_t i = 0; i < VERBS; i++) {
		size_t letters = distance(word, verbs[i].name);

		if (letters < least) {
			least = letters;
			nearest = verbs[i].name;
		}
	}
	if (nearest)
		fprintf(stderr, "looplag: unknown command '%s'; did you mean '%s'?\n",
			word, nearest);
	else
		fprintf(stderr, "looplag: unknown command '%s'; see 'looplag help'\n",
			word);
	return EXIT_USAGE;
}

static int
help_main(int argc, char *argv[])
{
	if (argc > 1 && argv[0][0] != '-') {
		const struct verb *verb = find_verb(argv[1]);
		char option[] = "--help", *help[] = {argv[1], option, NULL};

		if (!verb)
			return unknown_verb(argv[1]);
		if (verb->main != help_main)
			return verb->main(2, help);
	}
	puts("Example: looplag run node server.js\n"
	     "\n"
	     "Usage: looplag COMMAND [ARGUMENT...]\n");
	for (size_t i = 0; i < VERBS; i++)
		if (verbs[i].summary)
			printf("  %-12s %s\n", verbs[i].name, verbs[i].summary);
	puts("\n"
	     "'looplag help COMMAND' tells more; --version shows the version. See "
	     "looplag(1).");
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int
version_main(int argc, char *argv[])
{
	puts(PACKAGE_STRING);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
	const struct verb *verb;

	if (argc < 2) {
		fputs("looplag: no command; see 'looplag help'\n", stderr);
		return EXIT_USAGE;
	}
	verb = find_verb(argv[1]);
	return verb ? verb->main(argc - 1, argv + 1) : unknown_verb(argv[1]);
}
