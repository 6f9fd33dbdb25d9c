/* Why this file exists: signals are taken by one thread in sigwait(), so that no code of ours ever runs inside a
 * signal handler; see interrupt.h. The signals are blocked before any other thread exists, and inherited so. */
#include "client/cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held over on_interrupt, so that release waits for it */
static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken_cond;   /* on CLOCK_MONOTONIC */
static bool claimed;                /* guarded by lock */
static void (*callback)(void *ctx); /* guarded by lock */
static void *callback_ctx;          /* guarded by lock */
static bool signalled;              /* guarded by state_lock */
static bool woken;                  /* guarded by state_lock */

static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

static void wake(bool by_signal)
{
	pthread_mutex_lock(&state_lock);
	woken = true;
	signalled = signalled || by_signal;
	pthread_cond_broadcast(&woken_cond);
	pthread_mutex_unlock(&state_lock);
}

void ftsi_interrupt_wake(void)
{
	wake(false);
}

/* The signal does what it does to programs that know nothing of it. */
static void die_of(int number)
{
	sigset_t set;

	fill_signals(&set);
	signal(number, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
}

static void *take_signals(void *ctx)
{
	sigset_t set;
	int number = 0;

	(void)ctx;
	fill_signals(&set);
	for (bool first = true;; first = false) {
		if (sigwait(&set, &number) != 0) continue;
		pthread_mutex_lock(&lock);
		if (!claimed || !first) die_of(number);
		wake(true);
		if (callback) callback(callback_ctx);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

bool ftsi_interrupt_start(void)
{
	pthread_condattr_t attributes;
	pthread_t thread;
	sigset_t set;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&woken_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	fill_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, take_signals, NULL) != 0) {
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		return false;
	}
	pthread_detach(thread);
	return true;
}

void ftsi_interrupt_claim(void (*on_interrupt)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&lock);
	claimed = true;
	callback = on_interrupt;
	callback_ctx = ctx;
	pthread_mutex_unlock(&lock);
}

void ftsi_interrupt_release(void)
{
	pthread_mutex_lock(&lock);
	claimed = false;
	callback = NULL;
	pthread_mutex_unlock(&lock);
}

bool ftsi_interrupted(void)
{
	pthread_mutex_lock(&state_lock);
	bool result = signalled;
	pthread_mutex_unlock(&state_lock);
	return result;
}

bool ftsi_interrupt_wait(uint32_t timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&state_lock);
	while (!woken && pthread_cond_timedwait(&woken_cond, &state_lock, &until) == 0)
		;
	bool result = woken;
	pthread_mutex_unlock(&state_lock);
	return result;
}
