/* Why this file exists: the one timer of a channel (channel_internal.h): back-offs that are over, time limits that
 * have passed, connections to be looked at, and the callbacks of calls that were ended on a caller's thread.
 *
 * It is armed for the earliest thing to do, and at least every 500 ms while there is a connection; since calls
 * usually have seconds, starting and ending one costs no timer operation, and the table is scanned only when it fires.
 * While calls are made it fires every 100 ms for channel_probe.c: also when none is open just then, or the next call
 * would have to start it again. */
#include "rpc/channel_internal.h"

#include "base/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define CHECK_NS (500 * NS_PER_MS)

static void sleep_until(struct fts_channel *channel, uint64_t due_ns, uint64_t now_ns)
{
	channel->timer_state = FTSI_TIMER_SLEEPING;
	channel->timer_due_ns = due_ns;
	uint32_t left_ms = fts_clock_left_ms(now_ns, due_ns);
	nng_sleep_aio(left_ms > 3600000 ? 3600000 : (nng_duration)left_ms, channel->timer);
}

void ftsi_timer_want(struct fts_channel *channel, uint64_t due_ns)
{
	switch (channel->timer_state) {
	case FTSI_TIMER_IDLE:
		sleep_until(channel, due_ns, fts_clock_monotonic_ns());
		return;
	case FTSI_TIMER_SLEEPING:
		if (due_ns >= channel->timer_due_ns) return;
		channel->timer_state = FTSI_TIMER_FIRING;
		nng_aio_abort(channel->timer, NNG_ECANCELED);
		return;
	case FTSI_TIMER_FIRING:  /* looks at everything soon */
	case FTSI_TIMER_RUNNING: /* looks again before it sleeps */
		return;
	}
}

static void wake_call(struct fts_channel *channel, struct ftsi_open_call *call, uint64_t now_ns)
{
	if (now_ns >= call->deadline_ns) {
		ftsi_engine_expire(channel, call);
	} else if (call->state == FTSI_CALL_QUEUED) {
		ftsi_engine_slow(channel, call);
	} else {
		ftsi_call_go(channel, call, now_ns);
	}
}

static void wake_calls(struct fts_channel *channel, uint64_t now_ns)
{
	for (uint32_t i = 0; i < channel->used_count; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (ftsi_call_is_pending(call) && call->wake_ns <= now_ns) wake_call(channel, call, now_ns);
	}
}

static void check_links(struct fts_channel *channel, uint64_t now_ns)
{
	bool is_round = now_ns >= channel->next_check_ns;
	if (is_round) channel->next_check_ns = now_ns + CHECK_NS;
	for (uint32_t i = 0; i < channel->link_count; i++)
		ftsi_link_check(channel->links[i], is_round, now_ns);
}

/* When to run next; UINT64_MAX: not needed. */
static uint64_t next_due_ns(struct fts_channel *channel)
{
	uint64_t due_ns = UINT64_MAX;
	for (uint32_t i = 0; i < channel->link_count; i++) {
		uint64_t link_due_ns = ftsi_link_due_ns(channel->links[i], channel->next_check_ns);
		if (link_due_ns < due_ns) due_ns = link_due_ns;
	}
	for (uint32_t i = 0; i < channel->used_count; i++) {
		const struct ftsi_open_call *call = &channel->calls[i];
		if (ftsi_call_is_pending(call) && call->wake_ns < due_ns) due_ns = call->wake_ns;
	}
	uint64_t probe_due_ns = ftsi_probe_due_ns(channel);
	if (probe_due_ns < due_ns) due_ns = probe_due_ns;
	return channel->warm_at_ns < due_ns ? channel->warm_at_ns : due_ns;
}

void ftsi_timer_fired(void *arg)
{
	struct fts_channel *channel = arg;
	pthread_mutex_lock(&channel->mutex);
	channel->timer_state = FTSI_TIMER_RUNNING;
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint64_t send_count = channel->send_count;
	if (channel->is_leader_found) ftsi_engine_unpark(channel);
	wake_calls(channel, now_ns);
	check_links(channel, now_ns);
	ftsi_warm_check(channel, now_ns);
	ftsi_probe_check(channel, now_ns);
	ftsi_channel_deliver(channel);
	uint64_t due_ns = next_due_ns(channel);
	uint64_t look_ns = ftsi_probe_first_look_ns(channel, now_ns);
	if (channel->send_count != channel->seen_send_count && look_ns < due_ns) due_ns = look_ns;
	channel->seen_send_count = send_count;
	if (due_ns == UINT64_MAX) {
		channel->timer_state = FTSI_TIMER_IDLE;
	} else {
		sleep_until(channel, due_ns, fts_clock_monotonic_ns());
	}
	pthread_mutex_unlock(&channel->mutex);
}
