/* Why this file exists: see tests/register/machine.h.
 *
 * | bytes of a record | what    |
 * | 0 .. 7            | value   |
 * | 8 ..              | ballast | */
#include "tests/register/machine.h"

#include <string.h>

#include "register.fts.h"
#include "store/key.h"

uint64_t register_forgets_one_in;

static struct fts_bytes key_of(struct fts_key *key, uint32_t number)
{
	fts_key_begin(key, REGISTER_TABLE);
	fts_key_u32(key, number);
	return fts_key_bytes(key);
}

/* Errors: INTERNAL (the store fails). */
static enum fts_status load(struct fts_txn *txn, uint32_t number, int64_t *out_value)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, key_of(&key, number), &value);
	*out_value = 0;
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return FTS_INTERNAL;
	bool whole = value.size_bytes >= sizeof(*out_value);
	if (whole) memcpy(out_value, value.data, sizeof(*out_value));
	fts_value_release(&value);
	return whole ? FTS_OK : FTS_INTERNAL;
}

static enum fts_status keep(struct fts_apply *apply, uint32_t number, int64_t value, struct fts_bytes ballast)
{
	struct fts_key key;
	struct fts_bytes head = {(const uint8_t *)&value, sizeof(value)};
	return fts_txn_put2(apply->txn, key_of(&key, number), head, ballast) == FTS_OK ? FTS_OK : FTS_INTERNAL;
}

static enum fts_status write_value(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *answer,
				   void *ctx)
{
	const Fts__Test__Register__V1__WriteRequest *request = (const void *)message;
	(void)answer, (void)ctx;
	if (request->ballast.len > REGISTER_BALLAST_MAX_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "ballast: at most %d bytes",
					REGISTER_BALLAST_MAX_BYTES);
	/* By the value, each of which is written once: how many commands an entry has depends on the disk. */
	if (register_forgets_one_in != 0 && request->value % register_forgets_one_in == 0) return FTS_OK;
	return keep(apply, request->key, request->value,
		    (struct fts_bytes){request->ballast.data, request->ballast.len});
}

static enum fts_status compare_and_set(struct fts_apply *apply, const ProtobufCMessage *message,
				       ProtobufCMessage *answer, void *ctx)
{
	const Fts__Test__Register__V1__CompareAndSetRequest *request = (const void *)message;
	Fts__Test__Register__V1__CompareAndSetResponse *response = (void *)answer;
	enum fts_status status = load(apply->txn, request->key, &response->value);
	(void)ctx;
	if (status != FTS_OK || response->value != request->expected) return status;
	response->swapped = true;
	response->value = request->value;
	return keep(apply, request->key, request->value, (struct fts_bytes){NULL, 0});
}

static enum fts_status add(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *answer,
			   void *ctx)
{
	const Fts__Test__Register__V1__AddRequest *request = (const void *)message;
	Fts__Test__Register__V1__AddResponse *response = (void *)answer;
	enum fts_status status = load(apply->txn, request->key, &response->value);
	(void)ctx;
	if (status != FTS_OK) return status;
	response->value = (int64_t)((uint64_t)response->value + (uint64_t)request->delta);
	return keep(apply, request->key, response->value, (struct fts_bytes){NULL, 0});
}

static enum fts_status read_value(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *answer,
				  void *ctx)
{
	const Fts__Test__Register__V1__ReadRequest *request = (const void *)message;
	Fts__Test__Register__V1__ReadResponse *response = (void *)answer;
	(void)ctx;
	return load(read->view, request->key, &response->value);
}

static const struct fts_machine_method methods[] = {
    {.read = read_value}, {.read = read_value}, {.apply = write_value}, {.apply = compare_and_set}, {.apply = add},
};

const struct fts_machine register_machine = {.service = &test_register_service, .methods = methods};
const struct fts_machine *const register_machines[1] = {&register_machine};
