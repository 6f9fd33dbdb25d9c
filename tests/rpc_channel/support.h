/* Why this file exists: what the channel's tests share: a method table made by hand, and calls that are waited for. */
#ifndef FTS_TESTS_CHANNEL_SUPPORT_H
#define FTS_TESTS_CHANNEL_SUPPORT_H

#include <fts/rpc.h>

#include <stdatomic.h>

#include "fake_server.h"
#include "fts/rpc/v1/events.pb-c.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

extern const struct fts_method read_method;  /* any node, changes nothing */
extern const struct fts_method write_method; /* leader, changes state */

/* "127.0.0.1:PORT" into a buffer that lives until the tenth next call. */
const char *address_of(uint16_t port);
/* A channel to endpoints; fails the test when it can't be opened. Returned (fts_channel_close). */
struct fts_channel *open_to(const char *endpoints);
uint64_t now_ms(void);

/* One blocking echo of from_index; *out_next (may be NULL) is what came back. */
enum fts_status echo(struct fts_channel *channel, const struct fts_method *method, uint64_t from_index,
		     const struct fts_call_options *options, uint64_t *out_next, struct fts_error *out_error);

/* What an asynchronous call's callback has seen. */
struct seen {
	atomic_uint count;
	enum fts_status status;
	enum fts_executed executed;
	uint64_t next_index;
	char detail[FTS_DETAIL_MAX];
};
void see(void *ctx, enum fts_status status, const ProtobufCMessage *response, const struct fts_error *error);
/* Start an echo of from_index whose end is seen in out (which must live until then). */
enum fts_status start_echo(struct fts_channel *channel, const struct fts_method *method, uint64_t from_index,
			   uint32_t timeout_ms, struct seen *out, struct fts_call_id *out_id);
/* Wait until seen has been called back; false: not within 10 s. */
bool wait_seen(struct seen *seen);

/* One fake server with this script (borrowed), and a channel to it. */
struct pair {
	struct fake *fake;
	struct fts_channel *channel;
};
struct pair pair_open(const struct fake_step *steps, size_t step_count, bool repeat);
void pair_close(struct pair *pair);

#define UNAVAILABLE_STEP                                                                                               \
	{                                                                                                              \
		.act = FAKE_ANSWER, .status = FTS_UNAVAILABLE, .executed = FTS_EXECUTED_NO                             \
	}

#endif
