/* Why this file exists: libFuzzer against the readers of frames and headers: any bytes, as a peer may send them.
 * What must hold: nothing outside the message is touched (ASan), parts lie within it and follow each other, a reader
 * that remembers its last header says the same as a fresh one, and what is written again reads the same. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "rpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check_call(struct fts_bytes bytes)
{
	static struct ftsi_call_reader kept; /* over all inputs */
	struct ftsi_call_reader fresh;

	memset(&fresh, 0, sizeof fresh);
	const fts_rpc_v1_CallHeader *first = ftsi_call_header_read(&fresh, bytes);
	const fts_rpc_v1_CallHeader *second = ftsi_call_header_read(&kept, bytes);

	FTS_ASSERT((first == NULL) == (second == NULL));
	if (!first) return;
	FTS_ASSERT(first->method == second->method && first->sequence == second->sequence);
	FTS_ASSERT(first->token.size <= sizeof first->token.bytes && first->token.size == second->token.size);
	struct ftsi_call_fields fields = {.method_id = first->method,
					  .timeout_ms = first->timeout_ms,
					  .client_id = first->client_id,
					  .sequence = first->sequence,
					  .lowest_unanswered = first->lowest_unanswered,
					  .fence = first->fence,
					  .trace_id = first->trace_id,
					  .token = {first->token.bytes, first->token.size},
					  .stale = first->stale};
	struct ftsi_call_writer writer;
	struct ftsi_call_reader reader;
	uint8_t out[4 + FTSI_HEADER_MAX_BYTES] = {0x80, 0, 0, 1};
	struct ftsi_frame frame;
	memset(&writer, 0, sizeof writer);
	memset(&reader, 0, sizeof reader);
	size_t written_bytes = ftsi_call_header_write(&writer, &fields, out + 4);
	if (written_bytes == 0) return;
	FTS_ASSERT(ftsi_frame_split((struct fts_bytes){out, 4 + written_bytes}, &frame) == FTS_OK);
	const fts_rpc_v1_CallHeader *again = ftsi_call_header_read(&reader, frame.header);
	FTS_ASSERT(again && again->method == first->method && again->timeout_ms == first->timeout_ms);
	FTS_ASSERT(again->client_id == first->client_id && again->sequence == first->sequence);
	FTS_ASSERT(again->token.size == first->token.size &&
		   memcmp(again->token.bytes, first->token.bytes, first->token.size) == 0);
}

static void check_reply(struct fts_bytes bytes)
{
	static struct ftsi_reply_reader kept;
	struct ftsi_reply_reader fresh;

	memset(&fresh, 0, sizeof fresh);
	const fts_rpc_v1_ReplyHeader *first = ftsi_reply_header_read(&fresh, bytes);
	const fts_rpc_v1_ReplyHeader *second = ftsi_reply_header_read(&kept, bytes);

	FTS_ASSERT((first == NULL) == (second == NULL));
	if (!first) return;
	FTS_ASSERT(first->code == second->code && first->index == second->index);
	FTS_ASSERT(memchr(first->node, 0, sizeof first->node) && memchr(first->leader, 0, sizeof first->leader));
	FTS_ASSERT(memchr(first->detail, 0, sizeof first->detail));
	(void)fts_status_name(fts_status_from_wire((int32_t)first->code));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	uint8_t *message = malloc(size_bytes + 1); /* its own block, so that ASan sees one byte too many */
	struct ftsi_frame frame = {.route = {NULL, 0}};

	FTS_ASSERT(message);
	if (size_bytes) memcpy(message, data, size_bytes);
	if (ftsi_frame_split((struct fts_bytes){message, size_bytes}, &frame) == FTS_OK) {
		FTS_ASSERT(frame.route.data == message && frame.route.size_bytes >= 4);
		FTS_ASSERT(frame.request_id & FTSI_REQUEST_ID_BIT);
		FTS_ASSERT(frame.header.data + frame.header.size_bytes == frame.payload.data);
		FTS_ASSERT(frame.payload.data + frame.payload.size_bytes == message + size_bytes);
		check_call(frame.header);
		check_reply(frame.header);
	}
	check_call((struct fts_bytes){message, size_bytes});
	check_reply((struct fts_bytes){message, size_bytes});
	free(message);
	return 0;
}
