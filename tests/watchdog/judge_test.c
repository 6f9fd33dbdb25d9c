/* Why this file exists: who is taken for stuck, case by case, with no process and no clock: the judge sees answers and
 * passing time alone. And what the table of states does with each event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watchdog/judge.h"
#include "watchdog/machine.h"

#define INTERVAL_MS 100

static struct ftsi_watch_process process;
static struct ftsi_judge judge;

static int setup(void **state)
{
	(void)state;
	memset(&process, 0, sizeof(process));
	process.limits =
	    (struct ftsi_watch_limits){.silent_ms = 1000, .stall_ms = 1000, .overrun_ms = 300, .start_ms = 5000};
	ftsi_judge_init(&judge, &process, INTERVAL_MS);
	return 0;
}

static enum ftsi_verdict verdict(char *out_detail, size_t size_bytes)
{
	uint32_t used;
	return ftsi_judge_decide(&judge, out_detail, size_bytes, &used);
}

static struct ftsi_judge_answer answer_of(uint64_t moved, uint32_t waiting)
{
	struct ftsi_judge_answer answer = {.strand_count = 1, .ready = true};
	snprintf(answer.strands[0].name, sizeof(answer.strands[0].name), "loop");
	answer.strands[0].moved = moved;
	answer.strands[0].waiting = waiting;
	return answer;
}

/* Time passes, and it answers the same or moves. Returns the verdict after it. */
static enum ftsi_verdict live(unsigned intervals, uint64_t *moved, uint64_t moves, uint32_t waiting)
{
	char detail[200];
	enum ftsi_verdict last = FTSI_VERDICT_WELL;
	for (unsigned i = 0; i < intervals && last == FTSI_VERDICT_WELL; i++) {
		*moved += moves;
		struct ftsi_judge_answer answer = answer_of(*moved, waiting);
		ftsi_judge_pass(&judge, INTERVAL_MS);
		ftsi_judge_hear(&judge, &answer);
		last = verdict(detail, sizeof(detail));
	}
	return last;
}

static void what_moves_is_never_stuck(void **state)
{
	uint64_t moved = 0;
	(void)state;
	assert_int_equal(live(1000, &moved, 1, 4000000), FTSI_VERDICT_WELL); /* however long its queue */
}

static void what_has_no_work_need_not_move(void **state)
{
	uint64_t moved = 7;
	(void)state;
	assert_int_equal(live(1000, &moved, 0, 0), FTSI_VERDICT_WELL);
}

static void work_that_waits_on_what_does_not_move(void **state)
{
	uint64_t moved = 7;
	char detail[200];
	(void)state;
	assert_int_equal(live(10, &moved, 0, 3), FTSI_VERDICT_WELL);
	assert_int_equal(live(2, &moved, 0, 3), FTSI_VERDICT_STALLED);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_STALLED);
	assert_non_null(strstr(detail, "loop has not moved for 1000 ms, and 3 wait for it"));
	assert_int_equal(live(1, &moved, 1, 3), FTSI_VERDICT_WELL); /* it moves again */
}

static void a_strand_may_be_given_more_time(void **state)
{
	uint64_t moved = 7;
	(void)state;
	process.limits.strand_count = 1;
	snprintf(process.limits.strands[0].name, sizeof(process.limits.strands[0].name), "loop");
	process.limits.strands[0].stall_ms = 3000;
	assert_int_equal(live(30, &moved, 0, 3), FTSI_VERDICT_WELL);
	assert_int_equal(live(2, &moved, 0, 3), FTSI_VERDICT_STALLED);
}

static void its_own_longest_time_counts(void **state)
{
	char detail[200];
	struct ftsi_judge_answer answer = answer_of(7, 1);
	(void)state;
	answer.strands[0].longest_ms = 2000;
	for (int i = 0; i < 20; i++) {
		ftsi_judge_pass(&judge, INTERVAL_MS);
		ftsi_judge_hear(&judge, &answer);
		assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	}
	ftsi_judge_pass(&judge, INTERVAL_MS);
	ftsi_judge_hear(&judge, &answer);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_STALLED);
}

static void silence_counts_from_the_first_answer(void **state)
{
	char detail[200];
	uint64_t moved = 0;
	(void)state;
	for (int i = 0; i < 1000; i++)
		ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL); /* it never said a word: no fts program */
	assert_int_equal(live(3, &moved, 1, 1), FTSI_VERDICT_WELL);
	for (int i = 0; i < 10; i++)
		ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_SILENT);
}

static void a_required_answer_has_a_time_limit(void **state)
{
	char detail[200];
	(void)state;
	process.health = FTSI_WATCH_HEALTH_REQUIRED;
	for (int i = 0; i < 49; i++)
		ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_SILENT);
	process.health = FTSI_WATCH_HEALTH_OFF;
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
}

/* A node, or what has answered in an earlier run: it hangs at its start when no answer comes. */
static void what_is_known_to_answer_has_to_begin(void **state)
{
	char detail[200];
	(void)state;
	judge.speaks = true;
	for (int i = 0; i < 49; i++)
		ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_SILENT);
	assert_non_null(strstr(detail, "none since it was started"));
	process.health = FTSI_WATCH_HEALTH_OFF;
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
}

/* It was heard by the watchdog before this one: its silence counts from this one's first moment. */
static void what_an_earlier_watchdog_heard(void **state)
{
	char detail[200];
	(void)state;
	judge.answered_before = true;
	for (int i = 0; i < 9; i++)
		ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	ftsi_judge_pass(&judge, INTERVAL_MS);
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_SILENT);
	assert_string_equal(detail, "no answer for 1000 ms");
}

static void time_the_watchdog_slept_through_is_nobodys(void **state)
{
	char detail[200];
	uint64_t moved = 0;
	(void)state;
	assert_int_equal(live(3, &moved, 1, 1), FTSI_VERDICT_WELL);
	ftsi_judge_pass(&judge, 3600000); /* the machine was asleep */
	assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	assert_int_equal(live(3, &moved, 1, 1), FTSI_VERDICT_WELL);
}

static void one_handler_that_runs_on(void **state)
{
	char detail[200];
	struct ftsi_judge_answer answer = answer_of(0, 1);
	enum ftsi_verdict last = FTSI_VERDICT_WELL;
	(void)state;
	snprintf(answer.overrun_method, sizeof(answer.overrun_method), "a.B/C");
	for (uint32_t i = 0; i < 10 && last == FTSI_VERDICT_WELL; i++) {
		answer.strands[0].moved++; /* all else moves */
		answer.overrun_ms = 5000 + i * INTERVAL_MS;
		ftsi_judge_pass(&judge, INTERVAL_MS);
		ftsi_judge_hear(&judge, &answer);
		last = verdict(detail, sizeof(detail));
	}
	assert_int_equal(last, FTSI_VERDICT_OVERRUN);
	assert_non_null(strstr(detail, "a.B/C has been running for 5300 ms"));
}

/* Now this call runs long, now that one: each ends. */
static void other_handlers_each_time_are_slow_not_stuck(void **state)
{
	char detail[200];
	struct ftsi_judge_answer answer = answer_of(0, 1);
	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		answer.strands[0].moved++;
		snprintf(answer.overrun_method, sizeof(answer.overrun_method), "a.B/%c", i % 2 == 0 ? 'C' : 'D');
		answer.overrun_ms = 5000;
		ftsi_judge_pass(&judge, INTERVAL_MS);
		ftsi_judge_hear(&judge, &answer);
		assert_int_equal(verdict(detail, sizeof(detail)), FTSI_VERDICT_WELL);
	}
}

static void expect_step(enum ftsi_watch_state from, enum ftsi_watch_event event, enum ftsi_watch_state to,
			enum ftsi_watch_act act)
{
	struct ftsi_watch_step step = ftsi_watch_next(from, event);
	if (step.state != to || step.act != act)
		fail_msg("state %d, event %d: state %d act %d", from, event, step.state, step.act);
}

static void a_life(void **state)
{
	(void)state;
	expect_step(FTSI_WATCH_BACKOFF, FTSI_WATCH_DUE, FTSI_WATCH_STARTING, FTSI_WATCH_ACT_START);
	expect_step(FTSI_WATCH_STARTING, FTSI_WATCH_READY, FTSI_WATCH_RUNNING, FTSI_WATCH_ACT_TELL);
	expect_step(FTSI_WATCH_RUNNING, FTSI_WATCH_STUCK, FTSI_WATCH_STOPPING, FTSI_WATCH_ACT_CAPTURE);
	expect_step(FTSI_WATCH_STOPPING, FTSI_WATCH_GONE, FTSI_WATCH_STOPPING, FTSI_WATCH_ACT_DECIDE);
	expect_step(FTSI_WATCH_STOPPING, FTSI_WATCH_AGAIN, FTSI_WATCH_BACKOFF, FTSI_WATCH_ACT_BACK_OFF);
	expect_step(FTSI_WATCH_STOPPING, FTSI_WATCH_ENOUGH, FTSI_WATCH_QUARANTINED, FTSI_WATCH_ACT_SHUT_AWAY);
	expect_step(FTSI_WATCH_QUARANTINED, FTSI_WATCH_START, FTSI_WATCH_STARTING, FTSI_WATCH_ACT_START);
}

/* Nothing is started twice: only from states in which nothing runs. */
static void nothing_is_doubled(void **state)
{
	(void)state;
	for (int from = 0; from < FTSI_WATCH_STATE_COUNT; from++)
		for (int event = 0; event < FTSI_WATCH_EVENT_COUNT; event++) {
			struct ftsi_watch_step step =
			    ftsi_watch_next((enum ftsi_watch_state)from, (enum ftsi_watch_event)event);
			bool runs =
			    from == FTSI_WATCH_STARTING || from == FTSI_WATCH_RUNNING || from == FTSI_WATCH_STOPPING;
			if (step.act == FTSI_WATCH_ACT_START) assert_false(runs);
			if (runs && step.state != FTSI_WATCH_STOPPING && step.state != FTSI_WATCH_RUNNING &&
			    (int)step.state != from)
				assert_int_equal(from, FTSI_WATCH_STOPPING); /* what runs ends by way of STOPPING */
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_moves_is_never_stuck, setup),
	    cmocka_unit_test_setup(what_has_no_work_need_not_move, setup),
	    cmocka_unit_test_setup(work_that_waits_on_what_does_not_move, setup),
	    cmocka_unit_test_setup(a_strand_may_be_given_more_time, setup),
	    cmocka_unit_test_setup(its_own_longest_time_counts, setup),
	    cmocka_unit_test_setup(silence_counts_from_the_first_answer, setup),
	    cmocka_unit_test_setup(a_required_answer_has_a_time_limit, setup),
	    cmocka_unit_test_setup(what_is_known_to_answer_has_to_begin, setup),
	    cmocka_unit_test_setup(what_an_earlier_watchdog_heard, setup),
	    cmocka_unit_test_setup(time_the_watchdog_slept_through_is_nobodys, setup),
	    cmocka_unit_test_setup(one_handler_that_runs_on, setup),
	    cmocka_unit_test_setup(other_handlers_each_time_are_slow_not_stuck, setup),
	    cmocka_unit_test(a_life),
	    cmocka_unit_test(nothing_is_doubled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
