/* Why this file exists: what one bet costs between the log and the store: decode, validate, hash, store, on one core,
 * in batches. Not a test: it prints nanoseconds. Usage: lottery_apply_bench [BETS [BATCH [import]]] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "world.h"

enum { COMMIT_EVERY = 64 }; /* commands in one batch of the store, as group commit makes them */

static void fill(Fts__Lottery__V1__Bet *bet, uint32_t i)
{
	char text[128];
	(void)snprintf(text, sizeof text, "Santiago Lionel;Lorca;%u;19%02u-03-%02u;%u", 30000000 + i, 50 + i % 50,
		       1 + i % 28, i * 7919 % 10000);
	*bet = *world_bet_make(text); /* kept until the process ends */
}

int main(int argc, char **argv)
{
	uint32_t total = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	uint32_t size = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100;
	bool import = argc > 3;
	Fts__Lottery__V1__Bet *bets = calloc(size, sizeof *bets);
	Fts__Lottery__V1__Bet **rows = calloc(size, sizeof *rows);
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	Fts__Lottery__V1__WinnersRequest winners = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	const Fts__Lottery__V1__WinnersResponse *answer;
	struct world world;
	uint64_t begin_ns, end_ns;
	for (uint32_t i = 0; i < size; i++) {
		fill(&bets[i], i);
		rows[i] = &bets[i];
	}
	world_open(&world);
	(void)world_draw_open(&world, "bench", 1, 7574);
	request.draw = winners.draw = (char[]){"bench"};
	request.agency = winners.agency = 1;
	request.bets = rows;
	request.n_bets = size;
	request.import = import ? (char[]){"file"} : request.import;
	begin_ns = fts_clock_monotonic_ns();
	for (uint32_t i = 0; i < total / size; i++) {
		request.first_row = import ? 1 + (uint64_t)i * size : 0;
		if (world_apply(&world, fts_lottery_store_batch_method, &request.base, NULL) != FTS_OK) return 1;
		if (i % COMMIT_EVERY == COMMIT_EVERY - 1) world_commit(&world);
	}
	world_commit(&world);
	end_ns = fts_clock_monotonic_ns();
	(void)printf("apply    %.0f ns a bet, %.0f bets/s (%u in batches of %u, packing included)\n",
		     (double)(end_ns - begin_ns) / total, total * 1e9 / (double)(end_ns - begin_ns), total, size);
	(void)world_agency_close(&world, "bench", 1, "");
	world_commit(&world);
	for (int i = 0; i < 3; i++) {
		begin_ns = fts_clock_monotonic_ns();
		if (world_read(&world, fts_lottery_winners_method, &winners.base, &answer) != FTS_OK) return 1;
		end_ns = fts_clock_monotonic_ns();
		(void)printf("winners  %.1f us (%s), %zu winners\n", (double)(end_ns - begin_ns) / 1e3,
			     i == 0 ? "scan" : "kept", answer->n_documents);
	}
	world_close(&world);
	return 0;
}
