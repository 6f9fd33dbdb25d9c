/* Why this file exists: see bundle_make.h. */
#include "bundle_make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "rpc/json.h"
#include "tests/lottery/world.h"

static void second_node(struct world *world, bool reveals)
{
	Fts__Lottery__V1__CommitCommand commit = FTS__LOTTERY__V1__COMMIT_COMMAND__INIT;
	Fts__Lottery__V1__RevealCommand reveal = FTS__LOTTERY__V1__REVEAL_COMMAND__INIT;
	Fts__Lottery__V1__Commitment commitment = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t secret[32] = {42}, hash[32];
	(void)crypto_generichash(hash, sizeof hash, secret, sizeof secret, NULL, 0);
	commitment.node = reveal.node = (char[]){"node-0"};
	commitment.hash = (ProtobufCBinaryData){sizeof hash, hash};
	reveal.secret = (ProtobufCBinaryData){sizeof secret, secret};
	commit.draw = reveal.draw = (char[]){"proof"};
	commit.commitment = &commitment;
	if (reveals)
		assert_int_equal(world_apply(world, fts_lottery_log_reveal_method, &reveal.base, NULL), FTS_OK);
	else
		assert_int_equal(world_apply(world, fts_lottery_log_commit_method, &commit.base, NULL), FTS_OK);
}

static void store_batch(struct world *world, uint32_t agency)
{
	static const char *const texts[] = {"Tiago Nicolás;Rivera;34407251;2001-08-29;1033",
					    "Ciro;Hernández;37187440;1991-08-10;7574", "A;B;1;1900-01-01;9999",
					    "Martina;\\\"Borges/;21073376;1994-09-01;7574"};
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	Fts__Lottery__V1__Bet *bets[4];
	for (size_t i = 0; i < 4; i++)
		bets[i] = world_bet_make(texts[i]);
	request.draw = (char[]){"proof"};
	request.agency = agency;
	request.bets = bets;
	request.n_bets = 4;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, NULL), FTS_OK);
	for (size_t i = 0; i < 4; i++)
		world_bet_free(bets[i]);
}

static void play(struct world *world, bool fixed, bool stop_at_seal, const char *salt)
{
	assert_int_equal(world_draw_open(world, "proof", 3, fixed ? 7574 : -1), FTS_OK);
	if (!fixed) second_node(world, false);
	world->time_ms += 5;
	store_batch(world, 1);
	assert_int_equal(world_bet(world, "proof", 2, "Ana;Gomez;20304050;1980-01-01;7574", NULL), FTS_OK);
	assert_int_equal(world_agency_close(world, "proof", 2, salt), FTS_OK);
	store_batch(world, 3);
	assert_int_equal(world_agency_close(world, "proof", 1, ""), FTS_OK);
	assert_int_equal(world_agency_close(world, "proof", 3, "more salt"), FTS_OK);
	if (fixed || stop_at_seal) return;
	world_commit(world);
	world_turn(world, true);
	world_apply_proposals(world);
	second_node(world, true);
}

static void add_line(struct bundle_lines *out, const char *before, const ProtobufCMessage *message, const char *behind)
{
	char *text = NULL;
	struct fts_error error;
	size_t size;
	assert_int_equal(fts_json_encode(message, NULL, &text, &size, &error), FTS_OK);
	assert_true(out->count < BUNDLE_LINE_MAX);
	size += strlen(before) + strlen(behind) + 1;
	out->lines[out->count] = malloc(size);
	(void)snprintf(out->lines[out->count++], size, "%s%s%s", before, text, behind);
	free(text);
}

void bundle_make(struct bundle_lines *out, bool fixed, bool stop_at_seal, const char *salt)
{
	Fts__Lottery__V1__ExportRequest request = FTS__LOTTERY__V1__EXPORT_REQUEST__INIT;
	const Fts__Lottery__V1__ExportResponse *response;
	struct world *world = malloc(sizeof *world);
	world_open(world);
	play(world, fixed, stop_at_seal, salt);
	world_commit(world);
	request.draw = (char[]){"proof"};
	out->count = 0;
	assert_int_equal(world_read(world, fts_lottery_export_method, &request.base, &response), FTS_OK);
	assert_true(response->end);
	add_line(out, "{\"fts_draw_bundle\":1,\"status\":", &response->status->base, "}");
	for (size_t i = 0; i < response->n_records; i++)
		add_line(out, "", &response->records[i]->base, "");
	world_close(world);
	free(world);
}

void bundle_free(struct bundle_lines *bundle)
{
	for (size_t i = 0; i < bundle->count; i++)
		free(bundle->lines[i]);
	bundle->count = 0;
}

void bundle_copy(struct bundle_lines *out, const struct bundle_lines *from)
{
	out->count = from->count;
	for (size_t i = 0; i < from->count; i++)
		out->lines[i] = strdup(from->lines[i]);
}

void bundle_write(const struct bundle_lines *bundle, const char *path)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	for (size_t i = 0; i < bundle->count; i++)
		assert_true(fprintf(file, "%s\n", bundle->lines[i]) > 0);
	assert_int_equal(fclose(file), 0);
}
