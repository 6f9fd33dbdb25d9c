/* Why this file exists: see counter.h. */
#include "counter.h"

#include <string.h>

#include "base/checksum.h"
#include "store/key.h"

atomic_uint counter_read_count;

enum { TABLE_COUNTER = FTS_TABLE_LOTTERY };

static struct fts_bytes key_of(struct fts_key *key, const char *name)
{
	fts_key_begin(key, TABLE_COUNTER);
	fts_key_text(key, name, strlen(name));
	return fts_key_bytes(key);
}

static enum fts_status read_value(struct fts_txn *txn, const char *name, int64_t *out_value)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, key_of(&key, name), &value);
	*out_value = 0;
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return FTS_INTERNAL;
	memcpy(out_value, value.data, sizeof *out_value);
	fts_value_release(&value);
	return FTS_OK;
}

static uint64_t wait_key(const char *name)
{
	return 1 + fts_checksum((struct fts_bytes){(const uint8_t *)name, strlen(name)}, 0) / 2;
}

static enum fts_status publish(struct fts_apply *apply, const char *name, int64_t value, uint32_t count)
{
	Fts__Test__Counter__V1__CounterEvent event = FTS__TEST__COUNTER__V1__COUNTER_EVENT__INIT;
	enum fts_status status = FTS_OK;
	event.name = (char *)name;
	event.value = value;
	for (uint32_t i = 0; i < count && status == FTS_OK; i++)
		status = fts_apply_publish(apply, "test.counter", &event.base);
	return status;
}

static enum fts_status add(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *answer,
			   void *ctx)
{
	const Fts__Test__Counter__V1__AddRequest *request = (const void *)message;
	Fts__Test__Counter__V1__AddResponse *response = (void *)answer;
	struct fts_key key;
	int64_t value;
	enum fts_status status;
	(void)ctx;
	if (strlen(request->name) > 64) return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "name: at most 64 bytes");
	if (strcmp(request->name, COUNTER_POISON) == 0) return fts_apply_refuse(apply, FTS_INTERNAL, "poisoned");
	if ((status = read_value(apply->txn, request->name, &value)) != FTS_OK) return status;
	value += request->delta;
	/* written and published before it is refused, so that the rollback has something to do */
	status = fts_txn_put(apply->txn, key_of(&key, request->name),
			     (struct fts_bytes){(uint8_t *)&value, sizeof value});
	if (status != FTS_OK) return status; /* what the replica makes of it is for fault_test.c to say */
	if ((status = publish(apply, request->name, value, 1 + request->events)) != FTS_OK) return status;
	fts_apply_wake(apply, wait_key(request->name));
	if (value < 0)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "%s would be %lld", request->name,
					(long long)value);
	response->value = value;
	response->ballast.data = fts_arena_calloc(apply->arena, request->echo_bytes);
	response->ballast.len = request->echo_bytes;
	return response->ballast.data == NULL ? fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "echo_bytes: too many")
					      : FTS_OK;
}

static enum fts_status get(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *answer, void *ctx)
{
	const Fts__Test__Counter__V1__GetRequest *request = (const void *)message;
	Fts__Test__Counter__V1__GetResponse *response = (void *)answer;
	enum fts_status status = read_value(read->view, request->name, &response->value);
	(void)ctx;
	atomic_fetch_add(&counter_read_count, 1);
	if (status == FTS_OK && response->value < request->at_least)
		return fts_read_wait_key(read, wait_key(request->name));
	return status;
}

/* As get, but it waits for any counter. */
static enum fts_status look(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *answer, void *ctx)
{
	enum fts_status status = get(read, message, answer, ctx);
	if (read->wait_topic == NULL) return status;
	read->wait_key = 0;
	return fts_read_wait(read, "test.counter");
}

static const struct fts_machine_method methods[] = {
    {.apply = add},
    {.read = get},
    {.read = look},
};

const struct fts_machine counter_machine = {.service = &test_counter_service, .methods = methods};
const struct fts_machine *const counter_machines[1] = {&counter_machine};
