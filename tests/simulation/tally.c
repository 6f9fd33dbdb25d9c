/* Why this file exists: the machine of tally.proto, and what the simulation sees of it: each transition that runs. */
#include <string.h>

#include "simulation.h"
#include "store/key.h"

enum { TABLE_TALLY = FTS_TABLE_LOTTERY };

static struct fts_bytes key_of(struct fts_key *key, uint32_t number)
{
	fts_key_begin(key, TABLE_TALLY);
	fts_key_u32(key, number);
	return fts_key_bytes(key);
}

static enum fts_status read_value(struct fts_txn *txn, uint32_t number, uint64_t *out_value)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, key_of(&key, number), &value);
	*out_value = 0;
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return FTS_INTERNAL;
	memcpy(out_value, value.data, sizeof *out_value);
	fts_value_release(&value);
	return FTS_OK;
}

static enum fts_status publish(struct fts_apply *apply, const Fts__Test__Tally__V1__AddRequest *request, uint64_t value)
{
	Fts__Test__Tally__V1__Added event = FTS__TEST__TALLY__V1__ADDED__INIT;
	event.key = request->key;
	event.operation = request->operation;
	event.value = value;
	return fts_apply_publish(apply, "test.tally", &event.base);
}

static enum fts_status transition(struct fts_apply *apply, const Fts__Test__Tally__V1__AddRequest *request,
				  uint64_t *out_value)
{
	struct fts_key key;
	enum fts_status status = read_value(apply->txn, request->key, out_value);
	if (status != FTS_OK) return status;
	if (request->conditional && *out_value != request->only_at)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "it stands at %llu",
					(unsigned long long)*out_value);
	*out_value += request->delta;
	status = fts_txn_put(apply->txn, key_of(&key, request->key),
			     (struct fts_bytes){(const uint8_t *)out_value, sizeof *out_value});
	return status == FTS_OK ? publish(apply, request, *out_value) : FTS_INTERNAL;
}

static enum fts_status add(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *answer,
			   void *ctx)
{
	const Fts__Test__Tally__V1__AddRequest *request = (const void *)message;
	Fts__Test__Tally__V1__AddResponse *response = (void *)answer;
	enum fts_status status = transition(apply, request, &response->value);
	sim_check_applied(ctx, apply, request, status, response->value);
	return status;
}

static enum fts_status look(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *answer, void *ctx)
{
	const Fts__Test__Tally__V1__LookRequest *request = (const void *)message;
	Fts__Test__Tally__V1__LookResponse *response = (void *)answer;
	(void)ctx;
	return read_value(read->view, request->key, &response->value);
}

static const struct fts_machine_method methods[] = {{.apply = add}, {.read = look}, {.read = look}};

static void replaced(void *ctx, struct fts_txn *view)
{
	(void)view;
	sim_check_replaced(ctx);
}

void sim_tally_init(struct sim_node *node)
{
	node->machine = (struct fts_machine){
	    .service = &test_tally_service, .methods = methods, .ctx = node, .on_replaced = replaced};
	node->machines[0] = &node->machine;
}
