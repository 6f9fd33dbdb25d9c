/* Why this file exists: commands and reads over a store: exactly once, imports, what is refused and how it is said,
 * what a node does of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lottery/state.h"
#include "world.h"

#define GOOD "Juan;Perez;30904465;1999-03-17;7574"
#define LOSER "Ana;Gomez;20304050;1980-01-01;1"
#define DRAWN FTS__LOTTERY__V1__DRAW_STATE__DRAWN
#define SEALED FTS__LOTTERY__V1__DRAW_STATE__SEALED
#define OPEN FTS__LOTTERY__V1__DRAW_STATE__OPEN

static int setup(void **state)
{
	struct world *world = malloc(sizeof *world);
	world_open(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

/* ---- Batches of text ---- */

struct rows {
	Fts__Lottery__V1__Bet *bets[8];
	size_t count;
};

/* Bets separated by '|'. */
static struct rows rows_make(const char *text)
{
	struct rows rows = {.count = 0};
	char *copy = strdup(text), *rest = copy;
	while (rest != NULL)
		rows.bets[rows.count++] = world_bet_make(strsep(&rest, "|"));
	free(copy);
	return rows;
}

struct outcome {
	enum fts_status status;
	uint32_t stored, already, refused;
	uint64_t first_ticket;
	char first_verdict[256];
};

static struct outcome batch(struct world *world, const char *text, const char *import, uint64_t first_row,
			    uint64_t after_row, bool all_or_nothing)
{
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	const Fts__Lottery__V1__StoreBatchResponse *response;
	struct rows rows = rows_make(text);
	struct outcome outcome = {0};
	request.draw = (char[]){"d"};
	request.agency = 1;
	request.bets = rows.bets;
	request.n_bets = rows.count;
	request.import = (char *)(uintptr_t)import;
	request.first_row = first_row;
	request.after_row = after_row;
	request.all_or_nothing = all_or_nothing;
	outcome.status = world_apply(world, fts_lottery_store_batch_method, &request.base, &response);
	if (outcome.status == FTS_OK) {
		outcome.stored = response->stored;
		outcome.already = response->already;
		outcome.refused = response->refused;
		outcome.first_ticket = response->first_ticket;
		assert_int_equal(response->n_verdicts, response->refused);
		if (response->refused > 0)
			(void)snprintf(outcome.first_verdict, sizeof outcome.first_verdict, "%u %s: %s",
				       response->verdicts[0]->row, response->verdicts[0]->faults[0]->field,
				       response->verdicts[0]->faults[0]->reason);
	}
	for (size_t i = 0; i < rows.count; i++)
		world_bet_free(rows.bets[i]);
	return outcome;
}

static enum fts_status winners(struct world *world, const char *draw, uint32_t agency, bool no_wait,
			       const Fts__Lottery__V1__WinnersResponse **out)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	request.draw = (char *)(uintptr_t)draw;
	request.agency = agency;
	request.no_wait = no_wait;
	world_commit(world);
	return world_read(world, fts_lottery_winners_method, &request.base, out);
}

/* ---- Cases ---- */

static void identical_bets_are_both_kept(void **state)
{
	struct world *world = *state;
	uint64_t ticket;
	const Fts__Lottery__V1__WinnersResponse *answer;
	assert_int_equal(world_draw_open(world, "d", 2, 7574), FTS_OK);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(world_bet(world, "d", 1, GOOD, &ticket), FTS_OK);
		assert_int_equal(ticket, i);
	}
	assert_int_equal(world_bet(world, "d", 2, LOSER, &ticket), FTS_OK);
	assert_int_equal(winners(world, "d", 1, false, &answer), FTS_UNAVAILABLE);
	assert_true(world->waits);
	assert_int_equal(winners(world, "d", 1, true, &answer), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(world->detail, "2 of 2 agencies have not closed"));
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	assert_int_equal(world_bet(world, "d", 1, GOOD, NULL), FTS_FAILED_PRECONDITION);
	assert_int_equal(world_agency_close(world, "d", 2, ""), FTS_OK);
	assert_int_equal(winners(world, "d", 1, false, &answer), FTS_OK);
	assert_int_equal(answer->number, 7574);
	assert_int_equal(answer->n_documents, 3);
	assert_string_equal(answer->documents[2], "30904465");
	assert_int_equal(winners(world, "d", 2, false, &answer), FTS_OK);
	assert_int_equal(answer->n_documents, 0);
	assert_int_equal(winners(world, "d", 3, false, &answer), FTS_INVALID_ARGUMENT);
}

static void refusals_say_what_is_wrong(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_bet(world, "d", 1, GOOD, NULL), FTS_NOT_FOUND);
	assert_string_equal(world->detail, "there is no draw d");
	assert_int_equal(world_bet(world, "no such name", 1, GOOD, NULL), FTS_INVALID_ARGUMENT);
	assert_int_equal(world_draw_open(world, "d", 5, 7574), FTS_OK);
	assert_int_equal(world_draw_open(world, "d", 5, 7574), FTS_OK);
	assert_int_equal(world_draw_open(world, "d", 6, 7574), FTS_ALREADY_EXISTS);
	assert_int_equal(world_bet(world, "d", 6, GOOD, NULL), FTS_INVALID_ARGUMENT);
	assert_string_equal(world->detail, "agency: 6 is not one of the 5 agencies of draw d (from 1)");
	assert_int_equal(world_bet(world, "d", 1, "a:b;;12a;1999-02-30;10000", NULL), FTS_INVALID_ARGUMENT);
	assert_string_equal(world->detail, "first_name: has ';' or ':'; last_name: is missing; document: has something "
					   "other than digits; birthdate: 1999-02-30 is not a day of the calendar; "
					   "number: 10000 is not a number from 0 to 9999");
	assert_int_equal(world_status(world, "d")->bets, 0);
	assert_int_equal(world_agency_close(world, "x", 1, ""), FTS_NOT_FOUND);
}

static void the_answer_to_open_tells_whether_it_existed(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	const Fts__Lottery__V1__OpenResponse *response;
	request.draw = (char[]){"d"};
	request.agencies = 2;
	assert_int_equal(world_apply(world, fts_lottery_open_method, &request.base, &response), FTS_OK);
	assert_false(response->existed);
	assert_int_equal(response->status->n_commitments, 1);
	assert_string_equal(response->status->commitments[0]->node, "n1");
	assert_int_equal(response->status->commitments[0]->secret.len, 0);
	assert_int_equal(world_apply(world, fts_lottery_open_method, &request.base, &response), FTS_OK);
	assert_true(response->existed);
	assert_int_equal(response->status->n_agencies, 2);
}

static void what_a_caller_commits_to_is_replaced(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__Commitment forged = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t hash[FTSI_HASH_BYTES] = {0};
	forged.node = (char[]){"evil"};
	forged.hash = (ProtobufCBinaryData){sizeof hash, hash};
	request.draw = (char[]){"d"};
	request.agencies = 1;
	request.commitment = &forged;
	assert_int_equal(world_apply(world, fts_lottery_open_method, &request.base, NULL), FTS_OK);
	assert_string_equal(world_status(world, "d")->commitments[0]->node, "n1");
	request.draw = (char[]){"e"};
	request.fixed = true;
	assert_int_equal(world_apply(world, fts_lottery_open_method, &request.base, NULL), FTS_OK);
	assert_int_equal(world_status(world, "e")->n_commitments, 0);
}

static void rows_of_an_import_are_stored_once(void **state)
{
	struct world *world = *state;
	struct outcome outcome;
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	outcome = batch(world, GOOD "|A;B;x;1999-01-01;1|" LOSER, "file", 1, 0, false);
	assert_true(outcome.stored == 2 && outcome.already == 0 && outcome.refused == 1 && outcome.first_ticket == 1);
	assert_string_equal(outcome.first_verdict, "1 document: has something other than digits");
	outcome = batch(world, GOOD "|A;B;5;1999-01-01;1|" LOSER, "file", 1, 0, false); /* row 2 corrected */
	assert_true(outcome.stored == 1 && outcome.already == 2 && outcome.refused == 0 && outcome.first_ticket == 3);
	outcome = batch(world, LOSER, "file", 1, 0, false);
	assert_true(outcome.stored == 0 && outcome.refused == 1);
	assert_non_null(strstr(outcome.first_verdict, "row 1 of import file was stored before with other content"));
	outcome = batch(world, GOOD, "other", 1, 0, false); /* another import knows nothing of it */
	assert_true(outcome.stored == 1);
	outcome = batch(world, GOOD, "", 0, 0, false); /* nor does a batch without one */
	assert_true(outcome.stored == 1);
	assert_int_equal(world_status(world, "d")->bets, 5);
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	outcome = batch(world, GOOD "|A;B;5;1999-01-01;1|" LOSER, "file", 1, 0, false);
	assert_true(outcome.status == FTS_OK &&
		    outcome.already == 3); /* a replay changes nothing: no reason to refuse */
	assert_int_equal(batch(world, GOOD, "file", 4, 0, false).status, FTS_FAILED_PRECONDITION);
	assert_int_equal(batch(world, GOOD, "", 0, 0, false).status, FTS_FAILED_PRECONDITION);
}

static void batches_of_an_import_keep_their_order(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	assert_int_equal(batch(world, GOOD, "file", 3, 2, false).status, FTS_ABORTED);
	assert_int_equal(world_status(world, "d")->bets, 0);
	assert_int_equal(batch(world, GOOD "|A;B;x;1999-01-01;1", "file", 1, 0, false).stored, 1);
	assert_int_equal(batch(world, GOOD, "file", 3, 2, false).stored, 1); /* a refused row was judged, too */
	assert_int_equal(batch(world, GOOD, "file", 9, 4, false).status, FTS_ABORTED);
	assert_int_equal(batch(world, GOOD, "file", 3, 3, false).status, FTS_INVALID_ARGUMENT);
	assert_int_equal(batch(world, GOOD, "file", 0, 0, false).status, FTS_INVALID_ARGUMENT);
	assert_int_equal(batch(world, GOOD, "", 1, 0, false).status, FTS_INVALID_ARGUMENT);
	assert_int_equal(batch(world, GOOD, "a\nb", 1, 0, false).status, FTS_INVALID_ARGUMENT);
	assert_int_equal(batch(world, GOOD, "file", UINT64_MAX, 0, false).status, FTS_INVALID_ARGUMENT);
}

static void all_or_nothing_stores_nothing(void **state)
{
	struct world *world = *state;
	struct outcome outcome;
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	outcome = batch(world, GOOD "|A;B;x;1999-01-01;1", "", 0, 0, true);
	assert_true(outcome.status == FTS_OK && outcome.stored == 0 && outcome.refused == 1);
	outcome = batch(world, GOOD "|A;B;x;1999-01-01;1", "file", 1, 0, true);
	assert_true(outcome.stored == 0 && outcome.refused == 1);
	assert_int_equal(batch(world, GOOD, "file", 3, 2, false).status, FTS_ABORTED);
	outcome = batch(world, GOOD "|" GOOD, "file", 1, 0, true);
	assert_true(outcome.stored == 2 && outcome.first_ticket == 1);
}

static void batches_are_bounded(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	const Fts__Lottery__V1__StoreBatchResponse *response;
	static Fts__Lottery__V1__Bet *rows[FTSI_BATCH_COUNT_MAX + 1];
	Fts__Lottery__V1__Bet *bet = world_bet_make(GOOD), *bad = world_bet_make(";;;;10000");
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	for (int i = 0; i <= FTSI_BATCH_COUNT_MAX; i++)
		rows[i] = bet;
	request.draw = (char[]){"d"};
	request.agency = 1;
	request.bets = rows;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, NULL), FTS_INVALID_ARGUMENT);
	request.n_bets = FTSI_BATCH_COUNT_MAX + 1;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, NULL), FTS_INVALID_ARGUMENT);
	request.n_bets = FTSI_BATCH_COUNT_MAX;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->stored, FTSI_BATCH_COUNT_MAX);
	for (int i = 0; i < FTSI_BATCH_COUNT_MAX; i++)
		rows[i] = bad;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->refused, FTSI_BATCH_COUNT_MAX);
	assert_int_equal(response->verdicts[FTSI_BATCH_COUNT_MAX - 1]->n_faults, 5);
	assert_true(protobuf_c_message_get_packed_size(&response->base) < FTS_MESSAGE_MAX - 4096);
	world_bet_free(bet);
	world_bet_free(bad);
}

static void events_tell_each_change(void **state)
{
	struct world *world = *state;
	const Fts__Lottery__V1__DrawEvent *event;
	const Fts__Lottery__V1__BetsEvent *bets;
	assert_int_equal(world_draw_open(world, "d", 2, 7574), FTS_OK);
	(void)batch(world, GOOD "|" GOOD, "", 0, 0, false);
	assert_int_equal(world_agency_close(world, "d", 2, ""), FTS_OK);
	assert_int_equal(world_agency_close(world, "d", 2, ""), FTS_OK);
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	assert_int_equal(world->event_count, 5);
	assert_string_equal(world->events[1].topic, "lottery.bets");
	bets = (const void *)world->events[1].event;
	assert_true(bets->stored == 2 && bets->first_ticket == 1 && bets->agency == 1);
	event = (const void *)world->events[2].event;
	assert_true(event->state == OPEN && event->agency_closed == 2 && event->root.len == 0 && event->bets == 2);
	event = (const void *)world->events[3].event;
	assert_true(event->state == SEALED && event->agency_closed == 1 && event->root.len == 32 && event->number == 0);
	event = (const void *)world->events[4].event;
	assert_true(event->state == DRAWN && event->number == 7574);
}

/* ---- Commit and reveal ---- */

static void a_node_reveals_after_the_seal(void **state)
{
	struct world *world = *state;
	const Fts__Lottery__V1__StatusResponse *status;
	assert_int_equal(world_draw_open(world, "d", 1, -1), FTS_OK);
	world_commit(world);
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0); /* committed with Open: nothing to do */
	assert_int_equal(world_agency_close(world, "d", 1, "salt"), FTS_OK);
	status = world_status(world, "d");
	assert_int_equal(status->state, SEALED);
	assert_int_equal(status->root.len, 32);
	assert_int_equal(status->number, 0);
	world_turn(world, false);
	assert_int_equal(world->proposal_count, 1);
	assert_ptr_equal(world->proposals[0].method, fts_lottery_log_reveal_method);
	world_turn(world, false); /* nothing new, not due again yet */
	assert_int_equal(world->proposal_count, 1);
	world->time_ms += 1500;
	world_turn(world, false);
	assert_int_equal(world->proposal_count, 2); /* it did not happen */
	world_apply_proposals(world);
	status = world_status(world, "d");
	assert_int_equal(status->state, DRAWN);
	assert_int_equal(status->commitments[0]->secret.len, 32);
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
}

static void another_node_commits_when_it_sees_the_draw(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__CommitCommand command = FTS__LOTTERY__V1__COMMIT_COMMAND__INIT;
	Fts__Lottery__V1__RevealCommand reveal = FTS__LOTTERY__V1__REVEAL_COMMAND__INIT;
	Fts__Lottery__V1__Commitment commitment = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t secret[32] = {7}, hash[32];
	assert_int_equal(world_draw_open(world, "d", 1, -1), FTS_OK);
	(void)crypto_generichash(hash, sizeof hash, secret, sizeof secret, NULL, 0);
	commitment.node = (char[]){"n0"};
	commitment.hash = (ProtobufCBinaryData){sizeof hash, hash};
	command.draw = reveal.draw = (char[]){"d"};
	command.commitment = &commitment;
	assert_int_equal(world_apply(world, fts_lottery_log_commit_method, &command.base, NULL), FTS_OK);
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	world_commit(world);
	world_turn(world, true);
	world_apply_proposals(world); /* n1 reveals */
	assert_int_equal(world_status(world, "d")->state, SEALED);
	reveal.node = (char[]){"n0"};
	reveal.secret = (ProtobufCBinaryData){sizeof hash, hash};
	assert_int_equal(world_apply(world, fts_lottery_log_reveal_method, &reveal.base, NULL), FTS_INVALID_ARGUMENT);
	reveal.secret.data = secret;
	assert_int_equal(world_apply(world, fts_lottery_log_reveal_method, &reveal.base, NULL), FTS_OK);
	assert_int_equal(world_status(world, "d")->state, DRAWN);
}

static void a_node_that_lost_its_key_is_not_waited_for_for_ever(void **state)
{
	struct world *world = *state;
	assert_int_equal(world_draw_open(world, "d", 1, -1), FTS_OK);
	assert_int_equal(world_agency_close(world, "d", 1, "salt"), FTS_OK);
	world_commit(world);
	world_restart(world, true);
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0); /* what it has now is not what was committed to */
	world->time_ms += FTSI_REVEAL_WAIT_MS - 1;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
	world->time_ms += 1;
	world_turn(world, false); /* the leader's to say */
	assert_int_equal(world->proposal_count, 0);
	world->time_ms += 5000;
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 1);
	world_apply_proposals(world);
	assert_int_equal(world_status(world, "d")->state, DRAWN);
}

static void the_time_limit_closes_agencies(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	const Fts__Lottery__V1__StatusResponse *status;
	request.draw = (char[]){"d"};
	request.agencies = 3;
	request.fixed = true;
	request.close_by_ms = world->time_ms + 2000;
	assert_int_equal(world_apply(world, fts_lottery_open_method, &request.base, NULL), FTS_OK);
	assert_int_equal(world_bet(world, "d", 1, GOOD, NULL), FTS_OK);
	world_commit(world);
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
	world->time_ms += 2000;
	assert_int_equal(world_bet(world, "d", 1, GOOD, NULL), FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(world->detail, "time limit"));
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 1);
	world_apply_proposals(world);
	status = world_status(world, "d");
	assert_true(status->state == DRAWN && status->bets == 1 && status->agencies[2]->closed);
	assert_int_equal(world_agency_close(world, "d", 3, ""), FTS_OK);
	world_turn(world, true);
	assert_int_equal(world->proposal_count, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(identical_bets_are_both_kept),
	    CASE(refusals_say_what_is_wrong),
	    CASE(the_answer_to_open_tells_whether_it_existed),
	    CASE(what_a_caller_commits_to_is_replaced),
	    CASE(rows_of_an_import_are_stored_once),
	    CASE(batches_of_an_import_keep_their_order),
	    CASE(all_or_nothing_stores_nothing),
	    CASE(batches_are_bounded),
	    CASE(events_tell_each_change),
	    CASE(a_node_reveals_after_the_seal),
	    CASE(another_node_commits_when_it_sees_the_draw),
	    CASE(a_node_that_lost_its_key_is_not_waited_for_for_ever),
	    CASE(the_time_limit_closes_agencies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
