/* SPDX-License-Identifier: MIT */
/*
 * A program with loops of its own that wait in nothing that the probe knows, and so tells
 * it by looplag.h: "render" in the main thread, 20 turns of 2 ms, one of them nested, and
 * then one of 50 ms; "audio" in another thread, 10 turns; "gone", which is over. Says
 * "done" in render's last wait. Built by its test, as a user would.
 */

#include <looplag.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static void
sleep_ms(long ms)
{
	struct timespec time = {0, ms * 1000000};

	nanosleep(&time, NULL);
}

static void
turn(struct looplag_loop *loop, long busy_ms)
{
	looplag_wait_begin(loop);
	sleep_ms(1);
	looplag_wait_end(loop, 3);
	sleep_ms(busy_ms);
}

static void *
play(void *unused)
{
	struct looplag_loop *loop = looplag_register("audio");

	for (int i = 0; i < 10; i++)
		turn(loop, 1);
	looplag_wait_begin(loop);
	for (;;)
		sleep_ms(900);
	return NULL;
}

int
main(void)
{
	struct looplag_loop *loop = looplag_register("render");
	struct looplag_loop *gone = looplag_register("gone");
	pthread_t thread;

	pthread_create(&thread, NULL, play, NULL);
	turn(gone, 1);
	looplag_unregister(gone);
	looplag_wait_begin(NULL);
	looplag_wait_end(NULL, 1);
	for (int i = 0; i < 20; i++) {
		turn(loop, 2);
		if (i == 10)
			poll(NULL, 0, 20);
	}
	turn(loop, 50);
	looplag_wait_begin(loop);
	puts("done");
	fflush(stdout);
	for (;;)
		sleep_ms(900);
	return 0;
}
