/* Why this file exists: what is read of draws: lists and exports in pages, winners kept, scanned and asked for by many
 * at once; and the key that lies beside the store. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lottery/state.h"
#include "lottery/winners.h"
#include "world.h"

#define GOOD "Juan;Perez;30904465;1999-03-17;7574"
#define LOSER "Ana;Gomez;20304050;1980-01-01;1"

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

/* ---- Pages ---- */

static void draws_are_listed_in_pages(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__ListRequest request = FTS__LOTTERY__V1__LIST_REQUEST__INIT;
	const Fts__Lottery__V1__ListResponse *response;
	char after[65] = "", name[32];
	int seen = 0;
	for (int i = 0; i < 25; i++) {
		(void)snprintf(name, sizeof name, "draw-%d", 25 - i);
		assert_int_equal(world_draw_open(world, name, 1, 0), FTS_OK);
	}
	world_commit(world);
	request.limit = 10;
	for (bool end = false; !end;) {
		request.after = after;
		assert_int_equal(world_read(world, fts_lottery_list_method, &request.base, &response), FTS_OK);
		for (size_t i = 0; i < response->n_draws; i++, seen++) {
			(void)snprintf(name, sizeof name, "draw-%d", 25 - seen);
			assert_string_equal(response->draws[i]->draw, name);
		}
		assert_true(response->n_draws <= 10);
		end = response->end;
		(void)snprintf(after, sizeof after, "%s", response->draws[response->n_draws - 1]->draw);
	}
	assert_int_equal(seen, 25);
	request.after = (char[]){"unknown"};
	assert_int_equal(world_read(world, fts_lottery_list_method, &request.base, &response), FTS_NOT_FOUND);
}

static void an_export_has_pages_that_meet(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__ExportRequest request = FTS__LOTTERY__V1__EXPORT_REQUEST__INIT;
	const Fts__Lottery__V1__ExportResponse *response;
	uint64_t bets = 0, pages = 0;
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	request.draw = (char[]){"d"};
	world_commit(world);
	assert_int_equal(world_read(world, fts_lottery_export_method, &request.base, &response),
			 FTS_FAILED_PRECONDITION);
	for (int i = 0; i < 30; i++)
		assert_int_equal(world_bet(world, "d", 1, GOOD, NULL), FTS_OK);
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	world_commit(world);
	request.limit = 7;
	for (bool end = false; !end; pages++) {
		assert_int_equal(world_read(world, fts_lottery_export_method, &request.base, &response), FTS_OK);
		assert_int_equal(response->status->bets, 30);
		for (size_t i = 0; i < response->n_records; i++) {
			if (response->records[i]->n_bets > 0)
				assert_int_equal(response->records[i]->first_ticket, bets + 1);
			bets += response->records[i]->n_bets;
		}
		request.from_record = response->next_record;
		end = response->end;
	}
	assert_int_equal(bets, 30);
	assert_int_equal(pages, 5); /* 34 records: OPEN, 30 of BETS, CLOSE, SEAL, DRAW */
	request.from_record = 1000000;
	assert_int_equal(world_read(world, fts_lottery_export_method, &request.base, &response), FTS_OK);
	assert_true(response->end && response->n_records == 0);
}

static void winners_come_in_pages(void **state)
{
	struct world *world = *state;
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	const Fts__Lottery__V1__WinnersResponse *response;
	char bet[64], document[32];
	assert_int_equal(world_draw_open(world, "d", 1, 7574), FTS_OK);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(bet, sizeof bet, "A;B;%d;1999-01-01;7574", 100 + i);
		assert_int_equal(world_bet(world, "d", 1, bet, NULL), FTS_OK);
	}
	assert_int_equal(world_agency_close(world, "d", 1, ""), FTS_OK);
	world_commit(world);
	request.draw = (char[]){"d"};
	request.agency = 1;
	request.limit = 4;
	for (request.from = 0; request.from < 10; request.from += 4) {
		assert_int_equal(world_read(world, fts_lottery_winners_method, &request.base, &response), FTS_OK);
		assert_int_equal(response->total, 10);
		assert_int_equal(response->n_documents, request.from == 8 ? 2 : 4);
		for (size_t i = 0; i < response->n_documents; i++) {
			(void)snprintf(document, sizeof document, "%zu", 100 + (size_t)request.from + i);
			assert_string_equal(response->documents[i], document);
		}
	}
}

/* The same answers whether winners are kept, pushed out by others, or too many to be kept. */
static void winners_need_no_memory_to_be_right(void **state)
{
	struct world *world = *state;
	struct ftsi_winners *small = ftsi_winners_create(256 * 1024);
	struct fts_txn *view = NULL;
	char name[32];
	assert_non_null(small);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof name, "w%d", i);
		assert_int_equal(world_draw_open(world, name, 1, 7574), FTS_OK);
		for (int k = 0; k < (i == 50 ? 20000 : i); k++)
			assert_int_equal(world_bet(world, name, 1, k % 2 == 0 ? GOOD : LOSER, NULL), FTS_OK);
		assert_int_equal(world_agency_close(world, name, 1, ""), FTS_OK);
	}
	world_commit(world);
	assert_int_equal(fts_store_view(world->store, &view), FTS_OK);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 100; i++) {
			struct ftsi_winners_query query = {.agency = 1, .bytes_max = 1 << 20};
			struct ftsi_draw draw;
			(void)snprintf(name, sizeof name, "w%d", i);
			fts_arena_reset(world->arena);
			assert_int_equal(ftsi_draw_load(view, name, &draw), FTS_OK);
			assert_int_equal(ftsi_winners_find(small, view, &draw, &query, world->arena), FTS_OK);
			assert_int_equal(query.document_count, i == 50 ? 10000 : (i + 1) / 2);
			assert_int_equal(query.total, query.document_count);
		}
	fts_txn_abort(view);
	ftsi_winners_destroy(small);
}

struct asker {
	pthread_t thread;
	struct world *world;
	struct ftsi_winners *winners;
	size_t found;
};

static void *ask(void *data)
{
	struct asker *asker = data;
	struct fts_arena *arena = fts_arena_acquire(asker->world->pool, 4 << 20);
	struct fts_txn *view = NULL;
	struct ftsi_draw draw;
	for (int i = 0; i < 40; i++) {
		struct ftsi_winners_query query = {.agency = 1, .bytes_max = 1 << 20};
		fts_arena_reset(arena);
		if (fts_store_view(asker->world->store, &view) == FTS_OK &&
		    ftsi_draw_load(view, i % 2 == 0 ? "d" : "e", &draw) == FTS_OK &&
		    ftsi_winners_find(asker->winners, view, &draw, &query, arena) == FTS_OK)
			asker->found += query.document_count;
		fts_txn_abort(view);
		view = NULL;
	}
	fts_arena_release(arena);
	return NULL;
}

/* Many ask at once for draws that nobody has looked at, with memory for one of them only. */
static void many_may_ask_at_once(void **state)
{
	struct world *world = *state;
	struct ftsi_winners *small = ftsi_winners_create(128 * 1024);
	struct asker askers[8];
	for (int d = 0; d < 2; d++) {
		const char *name = d == 0 ? "d" : "e";
		assert_int_equal(world_draw_open(world, name, 1, 7574), FTS_OK);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(world_bet(world, name, 1, GOOD, NULL), FTS_OK);
		assert_int_equal(world_agency_close(world, name, 1, ""), FTS_OK);
	}
	world_commit(world);
	for (size_t i = 0; i < 8; i++) {
		askers[i] = (struct asker){.world = world, .winners = small};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		assert_int_equal(askers[i].found, 40 * 1000);
	}
	ftsi_winners_destroy(small);
}

/* ---- The key ---- */

static void a_key_that_others_may_read_is_refused(void **state)
{
	struct world *world = *state;
	struct fts_lottery_options options = {.data = world->data, .node = "n1"};
	struct fts_lottery *lottery;
	struct fts_error error;
	char path[HARNESS_PATH_MAX + 16];
	struct stat info;
	(void)snprintf(path, sizeof path, "%s/lottery.key", world->data);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_size, 32);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(fts_lottery_create(&options, &lottery, &error), FTS_FAILED_PRECONDITION);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(fts_lottery_create(&options, &lottery, &error), FTS_DATA_LOSS);
	assert_int_equal(unlink(path), 0);
	options.node = "";
	assert_int_equal(fts_lottery_create(&options, &lottery, &error), FTS_INVALID_ARGUMENT);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(draws_are_listed_in_pages), CASE(an_export_has_pages_that_meet),
	    CASE(winners_come_in_pages),     CASE(winners_need_no_memory_to_be_right),
	    CASE(many_may_ask_at_once),      CASE(a_key_that_others_may_read_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
