/* Why this file exists: see retry.h. */
#include "rpc/retry.h"

#define NS_PER_MS UINT64_C(1000000)

static bool may_be_repeated(const struct ftsi_outcome *outcome)
{
	if (outcome->kind != FTSI_OUTCOME_ANSWERED) return true;
	if (outcome->executed == FTS_EXECUTED_YES) return false;
	if (outcome->status == FTS_RESOURCE_EXHAUSTED) return outcome->retry_after_ms > 0;
	return outcome->status == FTS_UNAVAILABLE;
}

static bool moves_at_once(const struct ftsi_retry *retry, const struct ftsi_outcome *outcome)
{
	if (retry->moves >= FTSI_RETRY_MOVES_MAX) return false;
	if (outcome->kind == FTSI_OUTCOME_BROKEN) return !retry->broken;
	return outcome->kind == FTSI_OUTCOME_ANSWERED && outcome->status == FTS_UNAVAILABLE && outcome->hint_is_new;
}

static uint64_t delay_ns(const struct ftsi_retry *retry, const struct ftsi_outcome *outcome, uint64_t random)
{
	uint64_t base_ms = UINT64_C(1) * FTSI_RETRY_FIRST_MS << retry->waits;
	if (base_ms > FTSI_RETRY_LONGEST_MS) base_ms = FTSI_RETRY_LONGEST_MS;
	if (outcome->kind == FTSI_OUTCOME_ANSWERED && outcome->retry_after_ms > 0) base_ms = outcome->retry_after_ms;
	uint64_t base_ns = base_ms * NS_PER_MS;
	return base_ns + random % (base_ns / 4);
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
	uint64_t wait_ns = delay_ns(retry, outcome, random);
	if (retry->waits + 1u >= FTSI_RETRY_TRIES_MAX || wait_ns >= left_ns) return give_up;
	retry->waits++;
	return (struct ftsi_decision){.action = FTSI_RETRY_WAIT, .delay_ns = wait_ns};
}
