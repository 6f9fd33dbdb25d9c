/* Why this file exists: fts-next-node is ftsd as its next release may be: it has a higher version, reads format 2, has
 * a service whose commands older nodes don't know, and says more in each message to another node than they can read. */
#include <string.h>

#include "base/assert.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "next.fts.h"
#include "server/extra.h"
#include "store/key.h"

#define NEXT_TABLE 0x7100
#define NEXT_FORMAT 2
#define NEXT_FIELD 900 /* no PeerMessage of this release has it */

/* ---- The new service ---- */

static enum fts_status count(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *answer,
			     void *ctx)
{
	Fts__Test__Next__V1__CountResponse *response = (void *)answer;
	struct fts_key key;
	struct fts_value value;
	(void)request, (void)ctx;
	fts_key_begin(&key, NEXT_TABLE);
	enum fts_status status = fts_txn_get(apply->txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return FTS_INTERNAL;
	if (status == FTS_OK) {
		FTS_ASSERT(value.size_bytes == sizeof response->count);
		memcpy(&response->count, value.data, sizeof response->count);
		fts_value_release(&value);
	}
	response->count++;
	response->format = apply->format;
	const struct fts_bytes counted = {(const uint8_t *)&response->count, sizeof response->count};
	return fts_txn_put(apply->txn, fts_key_bytes(&key), counted) == FTS_OK ? FTS_OK : FTS_INTERNAL;
}

const struct ftsi_extra *ftsi_extra(void)
{
	static const struct fts_machine_method methods[] = {{.apply = count, .since_format = NEXT_FORMAT}};
	static const struct fts_machine machine = {.service = &test_next_service, .methods = methods};
	static const struct fts_machine *const machines[] = {&machine};
	static const struct ftsi_extra extra = {
	    .machines = machines, .machine_count = 1, .version = "99.1.0", .format_max = NEXT_FORMAT};
	return &extra;
}

/* ---- Fields that nobody knows yet ---- */

size_t __real_fts__replica__v1__peer_message__get_packed_size(const Fts__Replica__V1__PeerMessage *message);
size_t __real_fts__replica__v1__peer_message__pack(const Fts__Replica__V1__PeerMessage *message, uint8_t *out);
size_t __wrap_fts__replica__v1__peer_message__get_packed_size(const Fts__Replica__V1__PeerMessage *message);
size_t __wrap_fts__replica__v1__peer_message__pack(const Fts__Replica__V1__PeerMessage *message, uint8_t *out);

static Fts__Replica__V1__PeerMessage with_news(const Fts__Replica__V1__PeerMessage *message)
{
	static uint8_t text[] = "\x04news"; /* its length first */
	static ProtobufCMessageUnknownField news = {
	    .tag = NEXT_FIELD, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = sizeof text - 1, .data = text};
	Fts__Replica__V1__PeerMessage longer = *message;
	longer.base.n_unknown_fields = 1;
	longer.base.unknown_fields = &news;
	return longer;
}

size_t __wrap_fts__replica__v1__peer_message__get_packed_size(const Fts__Replica__V1__PeerMessage *message)
{
	Fts__Replica__V1__PeerMessage longer = with_news(message);
	return __real_fts__replica__v1__peer_message__get_packed_size(&longer);
}

size_t __wrap_fts__replica__v1__peer_message__pack(const Fts__Replica__V1__PeerMessage *message, uint8_t *out)
{
	Fts__Replica__V1__PeerMessage longer = with_news(message);
	return __real_fts__replica__v1__peer_message__pack(&longer, out);
}
