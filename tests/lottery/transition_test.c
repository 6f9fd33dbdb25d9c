/* Why this file exists: every command in every state of a draw, as pure functions, with nothing but memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lottery/batch.h"

enum { DAY = 20261121 };
#define NOW_MS INT64_C(1795219200000)

struct table {
	struct ftsi_lottery lottery;
	struct ftsi_draw draw;
	struct ftsi_commitments commitments;
	struct ftsi_agency agencies[4]; /* from 1 */
	struct ftsi_step step;
	struct fts_arena_pool *pool;
	struct fts_arena *arena;
	uint64_t index;
	int64_t time_ms;
};

static void next(struct table *table)
{
	memset(&table->step, 0, sizeof table->step);
	table->step.index = ++table->index;
	table->step.time_ms = table->time_ms;
	fts_arena_reset(table->arena);
}

static enum fts_status open_draw(struct table *table, const char *name, uint32_t agencies, int number,
				 int64_t close_by_ms)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	request.draw = (char *)(uintptr_t)name;
	request.agencies = agencies;
	request.fixed = number >= 0;
	request.number = number >= 0 ? (uint32_t)number : 0;
	request.close_by_ms = close_by_ms;
	next(table);
	return ftsi_open(&request, &table->step, &table->lottery, &table->draw, &table->commitments);
}

static struct table *table_make(int number, int64_t close_by_ms)
{
	struct table *table = calloc(1, sizeof *table);
	table->lottery.next_id = 1;
	table->time_ms = NOW_MS;
	table->pool = fts_arena_pool_create(64 << 20);
	table->arena = fts_arena_acquire(table->pool, 32 << 20);
	assert_int_equal(open_draw(table, "d", 3, number, close_by_ms), FTS_OK);
	return table;
}

static void table_free(struct table *table)
{
	fts_arena_release(table->arena);
	fts_arena_pool_destroy(table->pool);
	free(table);
}

static enum fts_status close_agency(struct table *table, uint32_t agency)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	struct ftsi_agency none = {0};
	request.agency = agency;
	next(table);
	return ftsi_close(&request, &table->step, &table->draw, agency < 4 ? &table->agencies[agency] : &none);
}

static enum fts_status commit(struct table *table, const char *node, uint8_t fill)
{
	Fts__Lottery__V1__Commitment commitment = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t secret[FTSI_HASH_BYTES], hash[FTSI_HASH_BYTES];
	memset(secret, fill, sizeof secret);
	ftsi_secret_hash(secret, hash);
	commitment.node = (char *)(uintptr_t)node;
	commitment.hash = (ProtobufCBinaryData){sizeof hash, hash};
	next(table);
	return ftsi_commit(&commitment, &table->step, &table->draw, &table->commitments);
}

static enum fts_status reveal(struct table *table, const char *node, uint8_t fill)
{
	Fts__Lottery__V1__RevealCommand command = FTS__LOTTERY__V1__REVEAL_COMMAND__INIT;
	uint8_t secret[FTSI_HASH_BYTES];
	memset(secret, fill, sizeof secret);
	command.node = (char *)(uintptr_t)node;
	command.secret = (ProtobufCBinaryData){sizeof secret, secret};
	next(table);
	return ftsi_reveal(&command, &table->step, &table->draw, &table->commitments);
}

static enum fts_status expire(struct table *table, uint64_t seal_index, bool *out_waited)
{
	Fts__Lottery__V1__ExpireCommand command = FTS__LOTTERY__V1__EXPIRE_COMMAND__INIT;
	command.seal_index = seal_index;
	next(table);
	return ftsi_expire(&command, &table->step, &table->draw, out_waited);
}

static enum fts_status check_bets(struct table *table, uint32_t agency)
{
	next(table);
	return ftsi_batch_check_open(&table->draw, agency, &table->agencies[agency], &table->step);
}

static void close_all(struct table *table)
{
	for (uint32_t agency = 1; agency <= 3; agency++)
		assert_int_equal(close_agency(table, agency), FTS_OK);
}

/* ---- Cases ---- */

static const struct {
	const char *name;
	const char *draw;
	uint32_t agencies;
	int number;
	int64_t close_by_ms;
	enum fts_status status;
} opens[] = {
    {"fixed", "draw-1", 5, 7574, 0, FTS_OK},
    {"drawn", "A.b_c-9", 1, -1, 0, FTS_OK},
    {"most agencies", "d", 10000, 0, NOW_MS + 1, FTS_OK},
    {"no name", "", 5, 0, 0, FTS_INVALID_ARGUMENT},
    {"name with a space", "a b", 5, 0, 0, FTS_INVALID_ARGUMENT},
    {"long name", "0123456789012345678901234567890123456789012345678901234567890123x", 5, 0, 0, FTS_INVALID_ARGUMENT},
    {"no agency", "d", 0, 0, 0, FTS_INVALID_ARGUMENT},
    {"too many", "d", 10001, 0, 0, FTS_INVALID_ARGUMENT},
    {"number", "d", 5, 10000, 0, FTS_INVALID_ARGUMENT},
    {"time limit passed", "d", 5, 0, NOW_MS, FTS_INVALID_ARGUMENT},
    {"time limit negative", "d", 5, 0, -1, FTS_INVALID_ARGUMENT},
};

static void terms_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
		struct table *table = table_make(0, 0);
		if (open_draw(table, opens[i].draw, opens[i].agencies, opens[i].number, opens[i].close_by_ms) !=
		    opens[i].status)
			fail_msg("%s", opens[i].name);
		assert_true((table->step.error.detail[0] != '\0') == (opens[i].status != FTS_OK));
		table_free(table);
	}
}

static void watched_draws_are_bounded(void **state)
{
	struct table *table = table_make(0, 0);
	(void)state;
	table->lottery.watched_count = FTSI_WATCHED_COUNT_MAX;
	assert_int_equal(open_draw(table, "e", 1, -1, 0), FTS_RESOURCE_EXHAUSTED);
	table_free(table);
}

static void opening_again_names_the_term_that_differs(void **state)
{
	struct table *table = table_make(7, NOW_MS + 5);
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	(void)state;
	request.draw = (char[]){"d"};
	request.agencies = 3;
	request.fixed = true;
	request.number = 7;
	request.close_by_ms = NOW_MS + 5;
	next(table);
	assert_int_equal(ftsi_open_again(&request, &table->draw, &table->step), FTS_OK);
	request.agencies = 4;
	assert_int_equal(ftsi_open_again(&request, &table->draw, &table->step), FTS_ALREADY_EXISTS);
	assert_non_null(strstr(table->step.error.detail, "3 agencies, not 4"));
	request.agencies = 3;
	request.number = 8;
	assert_int_equal(ftsi_open_again(&request, &table->draw, &table->step), FTS_ALREADY_EXISTS);
	assert_non_null(strstr(table->step.error.detail, "number 7, not 8"));
	request.fixed = false;
	assert_int_equal(ftsi_open_again(&request, &table->draw, &table->step), FTS_ALREADY_EXISTS);
	request.fixed = true;
	request.number = 7;
	request.close_by_ms = 0;
	assert_int_equal(ftsi_open_again(&request, &table->draw, &table->step), FTS_ALREADY_EXISTS);
	assert_non_null(strstr(table->step.error.detail, "close_by_ms"));
	table_free(table);
}

static void the_last_close_seals(void **state)
{
	struct table *table = table_make(7574, 0);
	(void)state;
	assert_int_equal(close_agency(table, 2), FTS_OK);
	assert_int_equal(table->step.events[0].agency_closed, 2);
	assert_int_equal(table->draw.state, FTS__LOTTERY__V1__DRAW_STATE__OPEN);
	assert_int_equal(check_bets(table, 2), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(table->step.error.detail, "agency 2 of draw d has closed"));
	assert_int_equal(check_bets(table, 1), FTS_OK);
	assert_int_equal(close_agency(table, 2), FTS_OK); /* again */
	assert_int_equal(table->step.record_count + table->step.event_count, 0);
	assert_int_equal(close_agency(table, 0), FTS_INVALID_ARGUMENT);
	assert_int_equal(close_agency(table, 4), FTS_INVALID_ARGUMENT);
	assert_int_equal(close_agency(table, 1), FTS_OK);
	assert_int_equal(close_agency(table, 3), FTS_OK);
	assert_int_equal(table->draw.state, FTS__LOTTERY__V1__DRAW_STATE__SEALED);
	assert_int_equal(table->step.record_count, 2);
	assert_true(ftsi_number_is_due(&table->draw, &table->commitments, false));
	ftsi_number_make(&table->step, &table->draw, NULL);
	assert_int_equal(table->draw.number, 7574);
	assert_int_equal(table->step.event_count, 2);
	assert_int_equal(table->step.events[0].state, FTS__LOTTERY__V1__DRAW_STATE__SEALED);
	assert_int_equal(table->step.events[0].agency_closed, 3);
	assert_int_equal(table->step.events[1].state, FTS__LOTTERY__V1__DRAW_STATE__DRAWN);
	table_free(table);
}

static void commitments_come_before_the_seal_and_secrets_after(void **state)
{
	struct table *table = table_make(-1, 0);
	(void)state;
	assert_int_equal(commit(table, "n2", 2), FTS_OK);
	assert_int_equal(commit(table, "n1", 1), FTS_OK);
	assert_string_equal(table->commitments.of[0].node, "n1"); /* by name */
	assert_int_equal(commit(table, "n1", 1), FTS_OK);         /* again */
	assert_int_equal(table->step.record_count, 0);
	assert_int_equal(commit(table, "n1", 3), FTS_FAILED_PRECONDITION);
	assert_int_equal(commit(table, "", 3), FTS_INVALID_ARGUMENT);
	assert_int_equal(reveal(table, "n1", 1), FTS_FAILED_PRECONDITION);
	close_all(table);
	assert_false(ftsi_number_is_due(&table->draw, &table->commitments, false));
	assert_int_equal(commit(table, "n3", 3), FTS_FAILED_PRECONDITION);
	assert_int_equal(reveal(table, "n3", 3), FTS_NOT_FOUND);
	assert_int_equal(reveal(table, "n1", 2), FTS_INVALID_ARGUMENT); /* not what it committed to */
	assert_int_equal(reveal(table, "n1", 1), FTS_OK);
	assert_int_equal(reveal(table, "n1", 1), FTS_OK); /* again */
	assert_int_equal(table->step.record_count, 0);
	assert_false(ftsi_number_is_due(&table->draw, &table->commitments, false));
	assert_true(ftsi_number_is_due(&table->draw, &table->commitments, true));
	assert_int_equal(reveal(table, "n2", 2), FTS_OK);
	assert_true(ftsi_number_is_due(&table->draw, &table->commitments, false));
	table_free(table);
}

static void a_fixed_number_takes_no_commitments(void **state)
{
	struct table *table = table_make(1, 0);
	(void)state;
	assert_int_equal(commit(table, "n1", 1), FTS_FAILED_PRECONDITION);
	table_free(table);
}

static void commitments_are_bounded(void **state)
{
	struct table *table = table_make(-1, 0);
	char node[16];
	(void)state;
	for (int i = 0; i < FTSI_COMMITMENT_COUNT_MAX; i++) {
		(void)snprintf(node, sizeof node, "node-%d", i * 37 % 64);
		assert_int_equal(commit(table, node, (uint8_t)i), FTS_OK);
	}
	assert_int_equal(commit(table, "one-more", 1), FTS_RESOURCE_EXHAUSTED);
	for (uint32_t i = 1; i < table->commitments.count; i++)
		assert_true(strcmp(table->commitments.of[i - 1].node, table->commitments.of[i].node) < 0);
	table_free(table);
}

static void time_limits_pass_only_when_the_log_says_so(void **state)
{
	struct table *table = table_make(-1, NOW_MS + 1000);
	bool waited;
	(void)state;
	assert_int_equal(commit(table, "n1", 1), FTS_OK);
	table->time_ms = NOW_MS + 999;
	assert_int_equal(expire(table, 0, &waited), FTS_FAILED_PRECONDITION);
	assert_int_equal(check_bets(table, 1), FTS_OK);
	table->time_ms = NOW_MS + 1000;
	assert_int_equal(check_bets(table, 1), FTS_FAILED_PRECONDITION); /* even before the seal */
	assert_int_equal(expire(table, 0, &waited), FTS_OK);
	assert_int_equal(table->draw.state, FTS__LOTTERY__V1__DRAW_STATE__SEALED);
	assert_int_equal(expire(table, 0, &waited), FTS_OK); /* again */
	assert_int_equal(table->step.record_count, 0);
	assert_int_equal(close_agency(table, 1), FTS_OK); /* no error, and no more of it */
	assert_int_equal(table->step.record_count, 0);
	table->time_ms = NOW_MS + 1000 + FTSI_REVEAL_WAIT_MS - 1;
	assert_int_equal(expire(table, table->draw.seal_index, &waited), FTS_FAILED_PRECONDITION);
	table->time_ms++;
	assert_int_equal(expire(table, table->draw.seal_index + 1, &waited), FTS_FAILED_PRECONDITION);
	assert_int_equal(expire(table, table->draw.seal_index, &waited), FTS_OK);
	assert_true(waited && ftsi_number_is_due(&table->draw, &table->commitments, waited));
	table_free(table);
}

static void without_a_time_limit_nothing_expires(void **state)
{
	struct table *table = table_make(-1, 0);
	bool waited;
	(void)state;
	table->time_ms += INT64_C(1) << 40;
	assert_int_equal(expire(table, 0, &waited), FTS_FAILED_PRECONDITION);
	table_free(table);
}

/* ---- Rows of a batch ---- */

static Fts__Lottery__V1__Bet good = {.base = {.descriptor = &fts__lottery__v1__bet__descriptor},
				     .first_name = (char[]){"A"},
				     .last_name = (char[]){"B"},
				     .document = (char[]){"1"},
				     .birthdate = (char[]){"1999-01-01"},
				     .number = 5};

static void rows_are_judged_each_by_itself(void **state)
{
	struct table *table = table_make(0, 0);
	Fts__Lottery__V1__Bet bad = good, worse = good;
	Fts__Lottery__V1__Bet *rows[] = {&good, &bad, &good, &worse};
	struct ftsi_batch batch = {.bets = rows, .count = 4};
	char text[256];
	uint64_t ticket;
	(void)state;
	bad.number = 10000;
	worse.first_name = (char[]){";"};
	worse.birthdate = (char[]){"1999-02-29"};
	next(table);
	assert_int_equal(ftsi_batch_read(&batch, DAY, table->arena), FTS_OK);
	assert_int_equal(batch.stored_count, 2);
	assert_int_equal(batch.refused_count, 2);
	assert_int_equal(batch.verdicts[0]->row, 1);
	assert_int_equal(batch.verdicts[1]->row, 3);
	ftsi_verdict_text(batch.verdicts[1], text, sizeof text);
	assert_string_equal(text, "first_name: has ';' or ':'; birthdate: 1999-02-29 is not a day of the calendar");
	assert_int_equal(
	    ftsi_batch_add(&batch, &table->draw, 1, &table->agencies[1], &table->step, table->arena, &ticket), FTS_OK);
	assert_int_equal(ticket, 1);
	assert_int_equal(table->draw.tree.count, 2);
	assert_int_equal(table->agencies[1].bet_count, 2);
	table_free(table);
}

static void a_row_of_an_import_is_stored_once(void **state)
{
	struct table *table = table_make(0, 0);
	struct ftsi_page pages[2] = {{.number = 0}, {.number = 1}};
	Fts__Lottery__V1__Bet other = good, bad = good;
	Fts__Lottery__V1__Bet *first[] = {&good, &bad, &good}, *second[] = {&good, &good, &other};
	struct ftsi_batch batch = {.bets = first, .count = 3, .first_row = 255, .pages = pages, .page_count = 2};
	struct ftsi_batch again = batch;
	(void)state;
	bad.number = 10000;
	other.number = 6;
	again.bets = second;
	again.import = (struct fts_bytes){(const uint8_t *)"file", 4};
	next(table);
	assert_int_equal(ftsi_batch_read(&batch, DAY, table->arena), FTS_OK);
	assert_int_equal(batch.stored_count, 2); /* rows 255 and 257: one a page */
	assert_true(pages[0].changed && pages[1].changed);
	assert_int_equal(ftsi_batch_read(&again, DAY, table->arena), FTS_OK);
	assert_int_equal(again.already_count, 1); /* 255 */
	assert_int_equal(again.stored_count, 1);  /* 256, refused before, now corrected */
	assert_int_equal(again.refused_count, 1); /* 257 has changed */
	assert_string_equal(again.verdicts[0]->faults[0]->field, "row");
	assert_non_null(strstr(again.verdicts[0]->faults[0]->reason, "row 257 of import file"));
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(terms_are_checked),
	    cmocka_unit_test(watched_draws_are_bounded),
	    cmocka_unit_test(opening_again_names_the_term_that_differs),
	    cmocka_unit_test(the_last_close_seals),
	    cmocka_unit_test(commitments_come_before_the_seal_and_secrets_after),
	    cmocka_unit_test(a_fixed_number_takes_no_commitments),
	    cmocka_unit_test(commitments_are_bounded),
	    cmocka_unit_test(time_limits_pass_only_when_the_log_says_so),
	    cmocka_unit_test(without_a_time_limit_nothing_expires),
	    cmocka_unit_test(rows_are_judged_each_by_itself),
	    cmocka_unit_test(a_row_of_an_import_is_stored_once),
	};
	if (sodium_init() < 0) return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
