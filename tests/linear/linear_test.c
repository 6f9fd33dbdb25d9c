/* Why this file exists: the judge of all fault tests is judged first: what it must refuse, what it must accept, and
 * thousands of small random histories on which a search through all orders must agree with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/linear/models.h"

#define NEVER UINT64_MAX
#define OPERATIONS_MAX 10

#define READ(who, from, to, value)                                                                                     \
	{                                                                                                              \
		.client = who, .kind = LINEAR_READ, .known = true, .output = {value}, .invoke_ns = from,               \
		.return_ns = to                                                                                        \
	}
#define WRITE(who, from, to, value)                                                                                    \
	{                                                                                                              \
		.client = who, .kind = LINEAR_WRITE, .known = (uint64_t)(to) != NEVER, .input = {value},               \
		.invoke_ns = from, .return_ns = to                                                                     \
	}
#define CAS(who, from, to, expected, value, swapped, after)                                                            \
	{                                                                                                              \
		.client = who, .kind = LINEAR_CAS, .known = (uint64_t)(to) != NEVER, .input = {expected, value},       \
		.output = {swapped, after}, .invoke_ns = from, .return_ns = to                                         \
	}
#define ADD(who, from, to, delta, sum)                                                                                 \
	{                                                                                                              \
		.client = who, .kind = LINEAR_ADD, .known = (uint64_t)(to) != NEVER, .input = {delta},                 \
		.output = {sum}, .invoke_ns = from, .return_ns = to                                                    \
	}
#define MOVE(who, from, to, ply, move, done)                                                                           \
	{                                                                                                              \
		.client = who, .kind = LINEAR_MOVE, .known = (uint64_t)(to) != NEVER, .input = {ply, move},            \
		.output = {done}, .invoke_ns = from, .return_ns = to                                                   \
	}

struct history_case {
	const char *name;
	enum linear_verdict expected;
	struct linear_operation operations[OPERATIONS_MAX]; /* up to the one with no end */
};

static const struct history_case register_cases[] = {
    /* To be refused. */
    {"a stale read", LINEAR_VIOLATION, {WRITE(1, 1, 2, 7), WRITE(1, 3, 4, 8), READ(2, 5, 6, 7)}},
    {"a lost write", LINEAR_VIOLATION, {WRITE(1, 1, 2, 7), READ(2, 3, 4, 0)}},
    {"a write lost after it was read", LINEAR_VIOLATION, {WRITE(1, 1, NEVER, 7), READ(2, 3, 4, 7), READ(3, 5, 6, 0)}},
    {"two winners of one cas",
     LINEAR_VIOLATION,
     {WRITE(1, 1, 2, 1), CAS(2, 3, 10, 1, 2, 1, 2), CAS(3, 3, 10, 1, 3, 1, 3)}},
    {"a value that nobody wrote", LINEAR_VIOLATION, {WRITE(1, 1, 2, 7), READ(2, 1, 9, 9)}},
    {"clients that disagree on the order of two writes",
     LINEAR_VIOLATION,
     {WRITE(1, 1, 20, 1), WRITE(2, 1, 20, 2), READ(3, 2, 3, 1), READ(4, 4, 5, 2), READ(3, 6, 7, 1)}},
    {"a read before its write began", LINEAR_VIOLATION, {READ(1, 1, 2, 7), WRITE(2, 3, 4, 7)}},
    {"an unknown write read before it began", LINEAR_VIOLATION, {READ(1, 1, 2, 7), WRITE(2, 3, NEVER, 7)}},
    {"an unknown write that happens twice",
     LINEAR_VIOLATION,
     {WRITE(1, 1, NEVER, 7), READ(2, 2, 3, 7), WRITE(3, 4, 5, 8), READ(2, 6, 7, 8), READ(2, 8, 9, 7)}},
    {"an add that ran twice", LINEAR_VIOLATION, {ADD(1, 1, 2, 1, 1), ADD(1, 3, 4, 1, 3)}},
    {"an add that was lost", LINEAR_VIOLATION, {ADD(1, 1, 2, 1, 1), ADD(1, 3, 4, 1, 1)}},
    {"a cas refused although it fits", LINEAR_VIOLATION, {WRITE(1, 1, 2, 1), CAS(2, 3, 4, 1, 2, 0, 1)}},
    {"a paused leader's read",
     LINEAR_VIOLATION,
     {WRITE(1, 1, 2, 1), READ(2, 3, 4, 1), WRITE(3, 5, 6, 2), READ(2, 7, 8, 1)}},
    /* To be accepted. */
    {"nothing at all", LINEAR_OK, {{0}}},
    {"a read of either while a write is under way",
     LINEAR_OK,
     {WRITE(1, 1, 10, 7), READ(2, 2, 3, 0), READ(3, 4, 5, 7)}},
    {"an unknown write that never happens", LINEAR_OK, {WRITE(1, 1, NEVER, 7), READ(2, 5, 6, 0)}},
    {"an unknown write that happens long after",
     LINEAR_OK,
     {WRITE(1, 1, NEVER, 7), READ(2, 5, 6, 0), WRITE(3, 7, 8, 9), READ(2, 9, 10, 9), READ(2, 11, 12, 7)}},
    {"an unknown cas that explains a value",
     LINEAR_OK,
     {WRITE(1, 1, 2, 1), CAS(2, 3, NEVER, 1, 2, 0, 0), READ(3, 9, 10, 1), READ(3, 11, 12, 2)}},
    {"an unknown cas that would not have fitted",
     LINEAR_OK,
     {WRITE(1, 1, 2, 1), CAS(2, 3, NEVER, 5, 6, 0, 0), READ(3, 9, 10, 1)}},
    {"a cas through an unknown write", LINEAR_OK, {WRITE(1, 1, NEVER, 4), CAS(2, 3, 4, 4, 5, 1, 5), READ(3, 5, 6, 5)}},
    {"writes in an order that only later reads tell",
     LINEAR_OK,
     {WRITE(1, 1, 20, 1), WRITE(2, 1, 20, 2), READ(3, 2, 3, 2), READ(4, 4, 5, 1), READ(3, 6, 7, 1)}},
    {"an unknown add between two known ones",
     LINEAR_OK,
     {ADD(1, 1, 2, 1, 1), ADD(2, 3, NEVER, 1, 0), ADD(1, 5, 6, 1, 3)}},
    {"calls that meet in one moment", LINEAR_OK, {WRITE(1, 1, 5, 7), READ(2, 5, 6, 0)}},
};

static const struct history_case match_cases[] = {
    {"two moves at one ply", LINEAR_VIOLATION, {MOVE(1, 1, 9, 1, 5, 1), MOVE(2, 1, 9, 1, 6, 1)}},
    {"a move lost", LINEAR_VIOLATION, {MOVE(1, 1, 2, 1, 5, 1), MOVE(1, 3, 4, 1, 6, 1)}},
    {"a move done twice", LINEAR_VIOLATION, {MOVE(1, 1, 2, 1, 5, 1), MOVE(2, 3, 4, 3, 6, 1)}},
    {"one of two at a ply", LINEAR_OK, {MOVE(1, 1, 9, 1, 5, 1), MOVE(2, 1, 9, 1, 6, 0)}},
    {"a move of unknown outcome that others build on", LINEAR_OK, {MOVE(1, 1, NEVER, 1, 5, 0), MOVE(2, 3, 4, 2, 6, 1)}},
    {"a move of unknown outcome that was not", LINEAR_OK, {MOVE(1, 1, NEVER, 1, 5, 0), MOVE(2, 3, 4, 1, 6, 1)}},
};

static size_t count_of(const struct history_case *one)
{
	size_t count = 0;
	while (count < OPERATIONS_MAX && one->operations[count].return_ns != 0)
		count++;
	return count;
}

static void run_cases(const struct linear_model *model, const struct history_case *cases, size_t case_count)
{
	for (size_t i = 0; i < case_count; i++) {
		struct linear_report report;
		enum linear_verdict verdict =
		    linear_check(model, cases[i].operations, count_of(&cases[i]), NULL, &report);
		if (verdict != cases[i].expected)
			fail_msg("%s: %s\n%s", cases[i].name, linear_verdict_name(verdict), report.text);
		if (verdict == LINEAR_VIOLATION) assert_non_null(strstr(report.text, "stuck"));
	}
}

static void known_register_histories(void **state)
{
	(void)state;
	run_cases(&linear_register, register_cases, sizeof(register_cases) / sizeof(register_cases[0]));
}

static void known_match_histories(void **state)
{
	(void)state;
	run_cases(&linear_match, match_cases, sizeof(match_cases) / sizeof(match_cases[0]));
}

static void shows_of_a_match(void **state)
{
	struct linear_operation operations[] = {MOVE(1, 1, 2, 1, 5, 1),
						MOVE(2, 3, 4, 2, 6, 1),
						{.kind = LINEAR_SHOW, .known = true, .invoke_ns = 5, .return_ns = 6}};
	struct linear_report report;
	(void)state;
	operations[2].output[0] = 2;
	operations[2].output[1] = linear_match_hash(linear_match_hash(0, 5), 6);
	assert_int_equal(linear_check(&linear_match, operations, 3, NULL, &report), LINEAR_OK);
	operations[2].output[1] = linear_match_hash(linear_match_hash(0, 6), 5);
	assert_int_equal(linear_check(&linear_match, operations, 3, NULL, &report), LINEAR_VIOLATION);
}

/* A fault in one key is found among many that are well, and is named. */
static void keys_are_apart(void **state)
{
	struct linear_operation operations[64];
	struct linear_report report;
	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		struct linear_operation write = WRITE(1, 1 + i, (uint64_t)100 + i, 1 + i), read = READ(2, 200, 300, 0);
		read.output[0] = (int64_t)(i - i % 2) + 1;
		operations[i] = i % 2 == 0 ? write : read;
		operations[i].key = i / 2;
	}
	assert_int_equal(linear_check(&linear_register, operations, 64, NULL, &report), LINEAR_OK);
	assert_int_equal(report.key_count, 32);
	operations[41].output[0]++;
	assert_int_equal(linear_check(&linear_register, operations, 64, NULL, &report), LINEAR_VIOLATION);
	assert_int_equal(report.key, 20);
}

/* Many unknown writes at once, all of them seen in the end: exponential without a limit; it must say that it gave up.
 */
static void limits_are_kept(void **state)
{
	enum { COUNT = 40 };
	struct linear_operation operations[COUNT + 1];
	struct linear_limits limits = {.steps_max = 20000};
	struct linear_report report;
	(void)state;
	for (uint32_t i = 0; i < COUNT; i++)
		operations[i] = (struct linear_operation)ADD(i, 1, NEVER, (int64_t)1 << i, 0);
	operations[COUNT] = (struct linear_operation)READ(99, 2, 3, -5);
	assert_int_equal(linear_check(&linear_register, operations, COUNT + 1, &limits, &report), LINEAR_UNDECIDED);
	assert_true(report.steps <= limits.steps_max);
	limits = (struct linear_limits){.memo_bytes_max = 1 << 16};
	assert_int_equal(linear_check(&linear_register, operations, COUNT + 1, &limits, &report), LINEAR_UNDECIDED);
	limits = (struct linear_limits){.time_max_ms = 1};
	assert_int_equal(linear_check(&linear_register, operations, COUNT + 1, &limits, &report), LINEAR_UNDECIDED);
}

static void bets(void **state)
{
	static const enum linear_told told[] = {LINEAR_TOLD_STORED, LINEAR_TOLD_REFUSED, LINEAR_TOLD_NOTHING};
	static const struct {
		bool good;
		size_t count, found[3];
	} cases[] = {
	    {true, 1, {0}},     {true, 2, {2, 0}},     {false, 0, {0}},    {false, 2, {0, 0}},
	    {false, 2, {0, 1}}, {false, 3, {0, 2, 2}}, {false, 2, {0, 3}},
	};
	char text[LINEAR_REPORT_MAX_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (linear_bets_check(told, 3, cases[i].found, cases[i].count, text) != cases[i].good)
			fail_msg("case %zu: %s", i, text);
}

/* ---- Against a search through all orders ---- */

/* Is there an order of what is left? done: bits of what has been placed. */
static bool brute_force(const struct linear_operation *operations, size_t count, uint32_t done, int64_t value)
{
	bool known_left = false;
	uint64_t first_end_ns = NEVER;
	for (size_t i = 0; i < count; i++) {
		if ((done & 1u << i) != 0 || !operations[i].known) continue;
		known_left = true;
		if (operations[i].return_ns < first_end_ns) first_end_ns = operations[i].return_ns;
	}
	if (!known_left) return true;
	for (size_t i = 0; i < count; i++) {
		int64_t after;
		if ((done & 1u << i) != 0 || operations[i].invoke_ns > first_end_ns) continue;
		if (linear_register.step(&value, &operations[i], &after) &&
		    brute_force(operations, count, done | 1u << i, after))
			return true;
	}
	return false;
}

/* Answers as a real register would give them, but for one in a while; times overlap. */
static size_t random_history(struct harness_random *random, struct linear_operation *operations, bool adds)
{
	size_t count = 2 + harness_random_below(random, 7);
	int64_t value = 0;
	for (size_t i = 0; i < count; i++) {
		struct linear_operation *one = &operations[i];
		uint64_t at_ns = 10 + 4 * i;
		*one = (struct linear_operation){.client = (uint32_t)i,
						 .kind = harness_random_below(random, adds ? 4 : 3),
						 .known = harness_random_below(random, 4) != 0};
		one->invoke_ns = at_ns - harness_random_below(random, 10);
		one->return_ns = one->known ? at_ns + harness_random_below(random, 10) : NEVER;
		/* Values that are unique without adds, so that pruning may be tried too. */
		one->input[0] =
		    one->kind == LINEAR_CAS ? (int64_t)harness_random_below(random, (uint32_t)i + 1) : (int64_t)i + 1;
		one->input[1] = (int64_t)i + 1;
		struct linear_operation asked = *one;
		int64_t after = value;
		asked.known = false;
		if (one->known || harness_random_below(random, 2) == 0)
			(void)linear_register.step(&value, &asked, &after);
		one->output[0] = one->kind == LINEAR_CAS ? after != value || value == one->input[0] : after;
		one->output[1] = after;
		if (harness_random_below(random, 10) == 0) one->output[0] = harness_random_below(random, 4);
		value = after;
	}
	return count;
}

static void agrees_with_brute_force(void **state)
{
	struct harness_random random = {20};
	size_t verdicts[2] = {0, 0}, pruned = 0;
	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		struct linear_operation operations[OPERATIONS_MAX];
		struct linear_report report;
		bool adds = i % 2 == 0;
		size_t count = random_history(&random, operations, adds);
		bool fits = brute_force(operations, count, 0, 0);
		enum linear_verdict verdict = linear_check(&linear_register, operations, count, NULL, &report);
		if (verdict != (fits ? LINEAR_OK : LINEAR_VIOLATION))
			fail_msg("history %u: %s, all orders say %s", i, linear_verdict_name(verdict),
				 fits ? "fits" : "does not");
		verdicts[fits]++;
		if (adds) continue;
		size_t kept = linear_register_prune(operations, count);
		pruned += count - kept;
		if (brute_force(operations, kept, 0, 0) != fits) fail_msg("history %u: pruning changes it", i);
	}
	assert_true(verdicts[0] > 5000 && verdicts[1] > 5000 && pruned > 5000);
}

/* A long history of a register that works, with unknown outcomes, is accepted within the limits. */
static void long_histories(void **state)
{
	enum { COUNT = 3000, CLIENTS = 8 };
	static struct linear_operation operations[COUNT];
	struct harness_random random = {5};
	struct linear_report report;
	int64_t value = 0;
	(void)state;
	for (uint32_t i = 0; i < COUNT; i++) {
		uint64_t at_ns = 100 + 10 * (uint64_t)i;
		int64_t after;
		struct linear_operation *one = &operations[i];
		*one = (struct linear_operation){.key = i / 500,
						 .client = i % CLIENTS,
						 .kind = harness_random_below(&random, 3),
						 .input = {i + 1, i + 1}};
		if (i % 500 == 0) value = 0;
		if (one->kind == LINEAR_CAS) one->input[0] = value;
		(void)linear_register.step(&value, one, &after);
		one->output[0] = one->kind == LINEAR_CAS ? 1 : after;
		one->output[1] = value = after;
		one->known = harness_random_below(&random, 50) != 0;
		one->invoke_ns = at_ns - harness_random_below(&random, 40);
		one->return_ns = one->known ? at_ns + harness_random_below(&random, 40) : NEVER;
	}
	size_t kept = linear_register_prune(operations, COUNT);
	enum linear_verdict verdict = linear_check(&linear_register, operations, kept, NULL, &report);
	if (verdict != LINEAR_OK) fail_msg("%s\n%s", linear_verdict_name(verdict), report.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_register_histories), cmocka_unit_test(known_match_histories),
	    cmocka_unit_test(shows_of_a_match),         cmocka_unit_test(keys_are_apart),
	    cmocka_unit_test(limits_are_kept),          cmocka_unit_test(bets),
	    cmocka_unit_test(agrees_with_brute_force),  cmocka_unit_test(long_histories),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
