/* Why this file exists: two members of a cluster that are stuck at once: the second is ended only once the nodes have
 * noticed that the first is gone. What is asked and done is the test's: its own clock, no process, no cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watchdog/watched.h"

#define NS_PER_MS ((uint64_t)1000000)

static const struct ftsi_watched *ended; /* last */
static unsigned ended_count, asked_count;

enum ftsi_verdict __wrap_ftsi_judge_decide(const struct ftsi_judge *judge, char *out_detail, size_t size_bytes,
					   uint32_t *out_used_percent);
enum ftsi_verdict __wrap_ftsi_judge_decide(const struct ftsi_judge *judge, char *out_detail, size_t size_bytes,
					   uint32_t *out_used_percent)
{
	(void)judge;
	(void)snprintf(out_detail, size_bytes, "a reader has not moved");
	*out_used_percent = 0;
	return FTSI_VERDICT_STALLED;
}

enum ftsi_quorum __wrap_ftsi_outside_quorum(struct ftsi_outside *outside, const char *member, char *out_detail);
enum ftsi_quorum __wrap_ftsi_outside_quorum(struct ftsi_outside *outside, const char *member, char *out_detail)
{
	(void)outside, (void)member, (void)out_detail;
	return FTSI_QUORUM_KEPT; /* as the nodes say for a while after a member has gone, too */
}

void __wrap_ftsi_outside_ask_quorum(struct ftsi_outside *outside, const char *member, bool takes_no_part);
void __wrap_ftsi_outside_ask_quorum(struct ftsi_outside *outside, const char *member, bool takes_no_part)
{
	(void)outside, (void)member, (void)takes_no_part;
	asked_count++;
}

uint64_t __wrap_ftsi_process_starved_ns(pid_t pid);
uint64_t __wrap_ftsi_process_starved_ns(pid_t pid)
{
	(void)pid;
	return 0;
}

void __wrap_ftsi_watched_tell(struct ftsi_watched *watched, const char *action, const char *detail);
void __wrap_ftsi_watched_tell(struct ftsi_watched *watched, const char *action, const char *detail)
{
	(void)watched, (void)action, (void)detail;
}

void __wrap_ftsi_watched_handle(struct ftsi_watched *watched, enum ftsi_watch_event event);
void __wrap_ftsi_watched_handle(struct ftsi_watched *watched, enum ftsi_watch_event event)
{
	assert_int_equal(event, FTSI_WATCH_STUCK);
	watched->state = FTSI_WATCH_STOPPING;
	ended = watched;
	ended_count++;
}

/* Time goes by, and what still runs is judged at each tick. */
static void pass(struct ftsi_watch *watch, uint32_t ms)
{
	for (uint32_t passed_ms = 0; passed_ms < ms; passed_ms += 100) {
		watch->now_ns += 100 * NS_PER_MS;
		for (size_t i = 0; i < watch->count; i++)
			if (watch->list[i].state == FTSI_WATCH_RUNNING) ftsi_watched_judge(&watch->list[i]);
	}
}

static void the_second_waits_until_the_first_is_missed(void **state)
{
	static struct ftsi_watch watch;
	static struct ftsi_watch_config config = {.cluster = "127.0.0.1:7400"};
	static struct ftsi_watch_process whats[] = {{.name = "n1", .member = "n1"}, {.name = "n2", .member = "n2"}};
	static char outside; /* only that there is one */
	(void)state;
	watch = (struct ftsi_watch){
	    .config = &config, .outside = (struct ftsi_outside *)(void *)&outside, .count = 2, .now_ns = NS_PER_MS};
	for (size_t i = 0; i < watch.count; i++)
		watch.list[i] = (struct ftsi_watched){.what = &whats[i], .watch = &watch, .state = FTSI_WATCH_RUNNING};
	pass(&watch, 300);
	assert_int_equal(ended_count, 1);
	assert_ptr_equal(ended, &watch.list[0]);
	pass(&watch, 2000);
	assert_int_equal(ended_count, 1);
	unsigned asked_before = asked_count;
	pass(&watch, 2000);
	assert_int_equal(ended_count, 2);
	assert_ptr_equal(ended, &watch.list[1]);
	assert_true(asked_count > asked_before); /* what was said before does not count */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_second_waits_until_the_first_is_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
