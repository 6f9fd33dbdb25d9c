/* Why this file exists: single calls to single registers, for tests that ask one certain node. */
#ifndef FTS_TESTS_FAULTS_REGISTERS_H
#define FTS_TESTS_FAULTS_REGISTERS_H

#include <fts/rpc.h>

/* A channel to endpoints ("HOST:PORT,..."; borrowed). Returned (fts_channel_close). */
struct fts_channel *registers_open(const char *endpoints);
/* Write, within timeout_ms; retried unless once. */
enum fts_status registers_write(struct fts_channel *channel, uint32_t key, int64_t value, uint32_t timeout_ms,
				bool once, struct fts_error *out_error);
/* Read from the leader, or (any) from whatever node is asked. */
enum fts_status registers_read(struct fts_channel *channel, uint32_t key, bool any, uint32_t timeout_ms, bool once,
			       int64_t *out_value, struct fts_error *out_error);
/* The same, and the test fails when it is not done within 20 s. */
void registers_must_write(struct fts_channel *channel, uint32_t key, int64_t value);
int64_t registers_must_read(struct fts_channel *channel, uint32_t key);

#endif
