/* SPDX-License-Identifier: MIT */
/*
 * A program with an event loop in its main thread and in others.
 *
 * usage: threads short N AT_ONCE   N threads that come and go, so many at once
 *        threads shared            three threads that wait on one instance
 *        threads cancel            a thread that is cancelled in its wait
 */

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/hosts/counted.h"

#define THREADS 3

static int loop;
static pthread_barrier_t all_alive;

static void
sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* A short life with a loop: an epoll instance, or a place that calls poll(). */
static void *
live_shortly(void *arg)
{
	int epfd = -1;

	if ((intptr_t)arg % 2) {
		for (int i = 0; i < 20; i++)
			counted_poll(2, 0);
	} else {
		epfd = counted_create();
		counted_turn(epfd, 5);
	}
	pthread_barrier_wait(&all_alive);
	close(epfd);
	return NULL;
}

static void
run_short(int count, int at_once)
{
	pthread_t *threads = calloc((size_t)at_once, sizeof(*threads));

	pthread_barrier_init(&all_alive, NULL, (unsigned)at_once);
	for (int done = 0; done < count; done += at_once) {
		for (int i = 0; i < at_once; i++)
			if (pthread_create(&threads[i], NULL, live_shortly,
				    (void *)(intptr_t)(done + i)))
				abort();
		for (int i = 0; i < at_once; i++)
			pthread_join(threads[i], NULL);
	}
	free(threads);
}

/* The jobs of the shared instance, one pipe for each: how many ms to be busy, and whether
 * in poll(). */
struct job {
	uint8_t ms, in_poll;
};

static int pipes[THREADS][2];
static int shared;

static void *
work(void *arg)
{
	for (;;) {
		struct epoll_event event;
		struct job job;

		__atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
		if (epoll_wait(shared, &event, 1, -1) != 1)
			continue;
		if (read(pipes[event.data.u32][0], &job, sizeof(job)) != sizeof(job))
			abort();
		if (job.in_poll)
			counted_poll(0, job.ms);
		else
			sleep_ms(job.ms);
		event.events = EPOLLIN | EPOLLONESHOT;
		epoll_ctl(shared, EPOLL_CTL_MOD, pipes[event.data.u32][0], &event);
	}
	return NULL;
}

static void
give_job(unsigned i, struct job job)
{
	if (write(pipes[i][1], &job, sizeof(job)) != sizeof(job))
		abort();
}

/* Five times one thread is busy while two wait, three times all of them are. */
static void
run_shared(void)
{
	pthread_t thread;

	shared = counted_create();
	for (unsigned i = 0; i < THREADS; i++) {
		struct epoll_event event = {
			.events = EPOLLIN | EPOLLONESHOT, .data = {.u32 = i}};

		if (pipe(pipes[i]) ||
			epoll_ctl(shared, EPOLL_CTL_ADD, pipes[i][0], &event) ||
			pthread_create(&thread, NULL, work, NULL))
			abort();
	}
	for (unsigned i = 0; i < 2 * THREADS; i++) {
		give_job(i % THREADS, (struct job){0, 0});
		sleep_ms(5);
	}
	for (unsigned i = 0; i < 5; i++) {
		give_job(i % THREADS, (struct job){60, 1});
		sleep_ms(80);
	}
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned j = 0; j < THREADS; j++)
			give_job(j, (struct job){100, 0});
		sleep_ms(150);
	}
}

static void
note_cleanup(void *arg)
{
	printf("cleaned up\n");
}

static void *
wait_for_ever(void *arg)
{
	int epfd = counted_create();

	counted_turn(epfd, 5);
	pthread_cleanup_push(note_cleanup, NULL);
	counted_epoll(epfd, -1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void
run_cancel(void)
{
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, wait_for_ever, NULL))
		abort();
	sleep_ms(50);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("%s\n", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	counted_init();
	loop = counted_create();
	counted_turn(loop, 10);
	if (strcmp(argv[1], "short") == 0 && argc == 4)
		run_short(atoi(argv[2]), atoi(argv[3]));
	else if (strcmp(argv[1], "shared") == 0)
		run_shared();
	else if (strcmp(argv[1], "cancel") == 0)
		run_cancel();
	else
		return 2;
	counted_turn(loop, 10);
	counted_finish(loop);
	return 0;
}
