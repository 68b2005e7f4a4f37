/* SPDX-License-Identifier: MIT */
/* See scene.h. */

#include "config.h"

#include "tests/scene.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct part {
	void (*act)(void *arg);
	void *arg;
	pthread_barrier_t *played; /* where the thread stays; NULL: it ends */
};

void
scene_expect_waiters(const struct segment_slot *slot, unsigned count)
{
	ck_assert_uint_eq(slot->state & ~SEGMENT_UNTIL_MASK, SEGMENT_ATTENDED | count);
	ck_assert(!segment_is_written(slot->state, slot->sequence));
}

int
scene_owner_word(void)
{
	static const struct slots_mutex_calls calls = {
		.attr_init = pthread_mutexattr_init,
		.attr_setrobust = pthread_mutexattr_setrobust,
		.attr_setpshared = pthread_mutexattr_setpshared,
		.init = pthread_mutex_init,
		.trylock = pthread_mutex_trylock,
		.consistent = pthread_mutex_consistent,
		.unlock = pthread_mutex_unlock,
	};
	int word = slots_setup(&calls, (uint32_t)gettid());

	ck_assert_int_ge(word, 0);
	return word;
}

struct segment
scene_segment(uint32_t slots)
{
	void *memory = mmap(NULL, segment_size(slots), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return slots_format(memory, slots, scene_owner_word());
}

static void *
play(void *arg)
{
	const struct part *part = arg;

	part->act(part->arg);
	if (part->played) {
		pthread_barrier_wait(part->played);
		for (;;)
			pause();
	}
	return NULL;
}

void
scene_in_thread(void (*act)(void *arg), void *arg)
{
	struct part part = {act, arg, NULL};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, play, &part), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

void
scene_in_lasting_thread(void (*act)(void *arg), void *arg)
{
	pthread_barrier_t *played = malloc(sizeof(*played));
	struct part part = {act, arg, played};
	pthread_t thread;

	/* Never freed: the thread may not have left it when we have. */
	ck_assert_int_eq(pthread_barrier_init(played, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, play, &part), 0);
	pthread_barrier_wait(played);
}

void
scene_in_child(void (*act)(void *arg), void *arg)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		act(arg);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
