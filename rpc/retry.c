/* Why this file exists: see retry.h. */
#include "rpc/retry.h"

#define NS_PER_MS UINT64_C(1000000)

static bool may_be_repeated(const struct ftsi_outcome *outcome)
{
	bool is_advised = outcome->status == FTS_UNAVAILABLE && outcome->retry_after_ms > 0;
	if (outcome->kind != FTSI_OUTCOME_ANSWERED) return true;
	if (outcome->executed == FTS_EXECUTED_YES && !is_advised) return false;
	if (outcome->status == FTS_RESOURCE_EXHAUSTED) return outcome->retry_after_ms > 0;
	return outcome->status == FTS_UNAVAILABLE;
}

static bool is_refused(const struct ftsi_outcome *outcome)
{
	return outcome->kind == FTSI_OUTCOME_ANSWERED && outcome->status == FTS_UNAVAILABLE;
}

static bool moves_at_once(const struct ftsi_retry *retry, const struct ftsi_outcome *outcome)
{
	if (retry->moves >= FTSI_RETRY_MOVES_MAX) return false;
	if (outcome->kind == FTSI_OUTCOME_BROKEN) return !retry->broken || outcome->is_untried;
	return is_refused(outcome) && outcome->is_hinted && outcome->is_untried;
}

static uint64_t jittered_ns(uint64_t base_ns, uint64_t random)
{
	return base_ns + random % (base_ns / 4);
}

/* 0: no pause. */
static uint64_t pause_ns(const struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t random)
{
	uint64_t base_ns = outcome->retry_after_ms * NS_PER_MS;
	if (!is_refused(outcome) || outcome->retry_after_ms > FTSI_RETRY_ADVICE_PAUSE_MS) return 0;
	if (base_ns == 0 && outcome->is_hinted) base_ns = FTSI_RETRY_PAUSE_MS * NS_PER_MS;
	if (base_ns == 0) return 0;
	if (base_ns < retry->paused_ns / 8) base_ns = retry->paused_ns / 8;
	uint64_t wait_ns = jittered_ns(base_ns, random);
	bool is_spent =
	    retry->pauses >= FTSI_RETRY_PAUSES_MAX || retry->paused_ns + wait_ns > FTSI_RETRY_PAUSED_MAX_MS * NS_PER_MS;
	return is_spent ? 0 : wait_ns;
}

static uint64_t back_off_ns(const struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t random)
{
	uint64_t base_ms = UINT64_C(1) * FTSI_RETRY_FIRST_MS << retry->waits;
	if (base_ms > FTSI_RETRY_LONGEST_MS) base_ms = FTSI_RETRY_LONGEST_MS;
	bool is_pause_over = is_refused(outcome) && outcome->retry_after_ms <= FTSI_RETRY_ADVICE_PAUSE_MS;
	if (outcome->kind == FTSI_OUTCOME_ANSWERED && outcome->retry_after_ms > 0 && !is_pause_over)
		base_ms = outcome->retry_after_ms;
	return jittered_ns(base_ms * NS_PER_MS, random);
}

struct ftsi_decision ftsi_retry_decide(struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t left_ns,
				       uint64_t random)
{
	struct ftsi_decision give_up = {.action = FTSI_RETRY_GIVE_UP};
	if (left_ns == 0 || !may_be_repeated(outcome)) return give_up;
	if (moves_at_once(retry, outcome)) {
		retry->moves++;
		retry->broken = retry->broken || outcome->kind == FTSI_OUTCOME_BROKEN;
		return (struct ftsi_decision){.action = FTSI_RETRY_MOVE};
	}
	uint64_t wait_ns = pause_ns(retry, outcome, random);
	if (wait_ns > 0) {
		if (wait_ns >= left_ns) return give_up;
		retry->pauses++;
		retry->paused_ns += wait_ns;
		return (struct ftsi_decision){.action = FTSI_RETRY_PAUSE, .delay_ns = wait_ns};
	}
	wait_ns = back_off_ns(retry, outcome, random);
	if (retry->waits + 1u >= FTSI_RETRY_TRIES_MAX || wait_ns >= left_ns) return give_up;
	retry->waits++;
	return (struct ftsi_decision){.action = FTSI_RETRY_WAIT, .delay_ns = wait_ns};
}

void ftsi_retry_extend(struct ftsi_retry *retry, uint64_t extra_ns)
{
	retry->paused_ns += extra_ns;
}
