/* SPDX-License-Identifier: MIT */
/*
 * A program whose event loop is interrupted by signals.
 *
 * usage: signals jump      SIGALRM leaves the wait by siglongjmp, and the loop goes on in a
 *                          deeper function; then the loop is busy for 100 ms, once
 *        signals handler   SIGALRM calls poll() inside the wait
 *        signals storm     the same every 100 us for a second; says "polls N" too
 */

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tests/hosts/counted.h"

static int loop;
static sigjmp_buf out_of_wait;
static volatile uint64_t polls;

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
alarm_every_us(suseconds_t first, suseconds_t interval)
{
	struct itimerval timer = {.it_interval = {0, interval}, .it_value = {0, first}};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void
jump(int number)
{
	siglongjmp(out_of_wait, 1);
}

/* Turn the loop with much more stack in use than before. */
__attribute__((noinline)) static void
turn_deeper(int times)
{
	volatile char stack[16384];

	stack[0] = stack[sizeof(stack) - 1] = 0;
	counted_turn(loop, times);
}

static void
run_jump(void)
{
	signal(SIGALRM, jump);
	for (volatile int i = 0; i < 5; i++) {
		if (sigsetjmp(out_of_wait, 1) == 0) {
			alarm_every_us(5000, 0);
			counted_epoll(loop, -1);
		}
		turn_deeper(3);
	}
	for (uint64_t end = now_ms() + 100; now_ms() < end;)
		;
	turn_deeper(3);
}

static void
poll_in_handler(int number)
{
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};

	polls++;
	poll(fds, 2, 0);
}

static void
run_handler(void)
{
	signal(SIGALRM, poll_in_handler);
	for (int i = 0; i < 30; i++) {
		alarm_every_us(2000, 0);
		counted_epoll(loop, -1);
	}
}

static void
run_storm(void)
{
	uint64_t end = now_ms() + 1000;

	signal(SIGALRM, poll_in_handler);
	alarm_every_us(100, 100);
	while (now_ms() < end)
		counted_turn(loop, 100);
	alarm_every_us(0, 0);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	counted_init();
	loop = counted_create();
	counted_turn(loop, 10);
	if (strcmp(argv[1], "jump") == 0)
		run_jump();
	else if (strcmp(argv[1], "handler") == 0)
		run_handler();
	else if (strcmp(argv[1], "storm") == 0)
		run_storm();
	else
		return 2;
	counted_turn(loop, 10);
	printf("polls %llu\n", (unsigned long long)polls);
	counted_finish(loop);
	return 0;
}
