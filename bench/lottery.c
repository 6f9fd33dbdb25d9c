/* Why this file exists: see lottery.h. Each agency has a channel of its own and keeps its share of --outstanding
 * batches in flight, each started from the callback of the one before. At the end the draw is closed and the
 * winners of one agency are asked for, twice: the second answer comes from a warm node. */
#include "bench/lottery.h"

#include "bench/measure.h"
#include "bench/node.h"

#include <fts/rpc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fts/lottery/v1/lottery.fts.h"

struct agency {
	uint32_t number;
	const struct bench_options *options;
	const char *draw;
	struct fts_channel *channel;
	uint64_t end_ns;
	atomic_uint running;
	pthread_mutex_t lock;
	struct measure measure; /* guarded by lock */
};

struct chain {
	struct agency *agency;
	uint64_t sent_ns;
	uint64_t seed;
	Fts__Lottery__V1__Bet *bets; /* one a row of the batch */
	Fts__Lottery__V1__Bet **rows;
};

static void on_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBatchResponse *response,
                    const struct fts_error *error);

static void on_read(void *ctx, enum fts_status status, const Fts__Lottery__V1__StatusResponse *response,
                    const struct fts_error *error);

static enum fts_status start_read(struct chain *chain)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	request.draw = (char *)chain->agency->draw;
	return fts_lottery_status_start(chain->agency->channel, &request, NULL, on_read, chain, NULL);
}

static enum fts_status start_batch(struct chain *chain)
{
	struct agency *agency = chain->agency;
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	request.draw = (char *)agency->draw;
	request.agency = agency->number;
	request.n_bets = agency->options->batch;
	request.bets = chain->rows;
	for (uint32_t row = 0; row < agency->options->batch; row++)
		chain->bets[row].number = (uint32_t)(chain->seed++ * 7919 % 10000);
	return fts_lottery_store_batch_start(agency->channel, &request, NULL, on_done, chain, NULL);
}

static void chain_next(struct chain *chain)
{
	struct agency *agency = chain->agency;
	chain->sent_ns = measure_now_ns();
	if (chain->sent_ns < agency->end_ns &&
	    (agency->options->reads ? start_read(chain) : start_batch(chain)) == FTS_OK)
		return;
	atomic_fetch_sub(&agency->running, 1);
}

static void chain_done(struct chain *chain, bool ok)
{
	struct agency *agency = chain->agency;
	pthread_mutex_lock(&agency->lock);
	if (ok)
		measure_add(&agency->measure, measure_now_ns() - chain->sent_ns);
	else
		agency->measure.error_count++;
	pthread_mutex_unlock(&agency->lock);
	chain_next(chain);
}

static void on_read(void *ctx, enum fts_status status, const Fts__Lottery__V1__StatusResponse *response,
                    const struct fts_error *error)
{
	(void)response;
	(void)error;
	chain_done(ctx, status == FTS_OK);
}

static void on_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBatchResponse *response,
                    const struct fts_error *error)
{
	struct chain *chain = ctx;
	(void)error;
	chain_done(chain, status == FTS_OK && response->stored == chain->agency->options->batch);
}

static bool chain_init(struct chain *chain, struct agency *agency, uint64_t seed)
{
	uint32_t batch = agency->options->batch;
	*chain = (struct chain){.agency = agency, .seed = seed};
	chain->bets = calloc(batch, sizeof *chain->bets);
	chain->rows = calloc(batch, sizeof(Fts__Lottery__V1__Bet *));
	if (chain->bets == NULL || chain->rows == NULL) return false;
	for (uint32_t row = 0; row < batch; row++) {
		fts__lottery__v1__bet__init(&chain->bets[row]);
		chain->bets[row].first_name = (char *)"Santiago Lionel";
		chain->bets[row].last_name = (char *)"Lorca";
		chain->bets[row].document = (char *)"30904465";
		chain->bets[row].birthdate = (char *)"1999-03-17";
		chain->rows[row] = &chain->bets[row];
	}
	return true;
}

static void chain_fini(struct chain *chain)
{
	free(chain->bets);
	free(chain->rows);
}

static bool open_draw(struct fts_channel *channel, const char *draw, uint32_t agencies)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	struct fts_error error;
	request.draw = (char *)draw;
	request.agencies = agencies;
	request.fixed = true;
	request.number = 7574;
	bool ok = fts_lottery_open(channel, &request, NULL, &response, &error) == FTS_OK;
	if (!ok) fprintf(stderr, "fts-bench: %s\n", error.detail);
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
	return ok;
}

static void close_agency(struct agency *agency)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	Fts__Lottery__V1__AgencyCloseResponse *response = NULL;
	request.draw = (char *)agency->draw;
	request.agency = agency->number;
	if (fts_lottery_agency_close(agency->channel, &request, NULL, &response, NULL) != FTS_OK)
		fprintf(stderr, "fts-bench: agency %u could not be closed\n", agency->number);
	fts__lottery__v1__agency_close_response__free_unpacked(response, NULL);
}

static void ask_winners(struct agency *agency)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	Fts__Lottery__V1__WinnersResponse *response = NULL;
	request.draw = (char *)agency->draw;
	request.agency = agency->number;
	uint64_t start_ns = measure_now_ns();
	if (fts_lottery_winners(agency->channel, &request, NULL, &response, NULL) == FTS_OK)
		fprintf(stderr, "fts: %zu winners of agency %u in %.2f ms\n", response->n_documents, agency->number,
		        (double)(measure_now_ns() - start_ns) / 1e6);
	fts__lottery__v1__winners_response__free_unpacked(response, NULL);
}

static void wait_for(struct agency *agency)
{
	const struct timespec step = {.tv_nsec = 1000000};
	while (atomic_load(&agency->running) > 0) nanosleep(&step, NULL);
}

static bool start_agency(struct agency *agency, struct chain *chains, const char *endpoint)
{
	const struct bench_options *options = agency->options;
	struct fts_channel_options channel_options = {.endpoints = endpoint};
	struct fts_error error;
	pthread_mutex_init(&agency->lock, NULL);
	if (fts_channel_open(&channel_options, &agency->channel, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		return false;
	}
	if (agency->number == 1 && !open_draw(agency->channel, agency->draw, options->clients)) return false;
	agency->end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	for (uint32_t i = agency->number - 1; i < options->outstanding; i += options->clients) {
		if (!chain_init(&chains[i], agency, i * 1009ull)) return false;
		atomic_fetch_add(&agency->running, 1);
		chain_next(&chains[i]);
	}
	return true;
}

static bool run(const struct bench_options *options, const char *endpoint, struct measure *out_measure)
{
	struct agency *agencies = calloc(options->clients, sizeof *agencies);
	struct chain *chains = calloc(options->outstanding, sizeof *chains);
	char draw[64];
	snprintf(draw, sizeof draw, "bench-%llx", (unsigned long long)measure_now_ns());
	bool ok = agencies != NULL && chains != NULL;
	for (uint32_t i = 0; ok && i < options->clients; i++) {
		agencies[i] = (struct agency){.number = i + 1, .options = options, .draw = draw};
		ok = start_agency(&agencies[i], chains, endpoint);
	}
	for (uint32_t i = 0; agencies != NULL && i < options->clients && agencies[i].channel != NULL; i++) {
		wait_for(&agencies[i]);
		measure_merge(out_measure, &agencies[i].measure);
		if (ok) close_agency(&agencies[i]);
	}
	for (int twice = 0; ok && !options->reads && twice < 2; twice++) ask_winners(&agencies[0]);
	for (uint32_t i = 0; agencies != NULL && i < options->clients; i++) fts_channel_close(agencies[i].channel);
	for (uint32_t i = 0; chains != NULL && i < options->outstanding; i++) chain_fini(&chains[i]);
	free(chains);
	free(agencies);
	return ok;
}

int bench_lottery(const struct bench_options *options)
{
	struct bench_node node = {0};
	if (options->endpoints == NULL && !bench_node_start(&node)) return 1;
	const char *endpoint = options->endpoints ? options->endpoints : node.endpoint;
	struct measure measure = {0};
	double cpu_before_s = measure_cpu_s(node.pid);
	bool ok = run(options, endpoint, &measure);
	double cpu_s = measure_cpu_s(node.pid) - cpu_before_s;
	bench_node_stop(&node);
	if (!options->reads) measure.op_count *= options->batch; /* bets */
	if (ok) measure_print(&measure, "fts", options->seconds, cpu_s, options->json);
	return ok && measure.error_count == 0 ? 0 : 1;
}
