/* Why this file exists: the bytes of a log entry, fts.replica.v1.CommandBatch, written straight into the entry's
 * buffer and read where they lie: protobuf-c would copy each command twice and allocate for each.
 * tests/replica checks both directions against the code that protobuf-c generates.
 *
 * | field of Command  | tag | wire                         | field of CommandBatch | tag | wire   |
 * | method            | 0D  | 4 bytes, little endian       | commands              | 0A  | length |
 * | client_id         | 11  | 8 bytes, little endian       | time_ms               | 10  | varint |
 * | sequence          | 18  | varint                       |
 * | lowest_unanswered | 20  | varint                       |
 * | payload           | 2A  | length                       |
 * | fence             | 30  | varint                       | term                  | 18  | varint |
 * |                   |     |                              | lead_index            | 20  | varint |
 * |                   |     |                              | format                | 28  | varint |
 *
 * time_ms, term, lead_index and format are written first; zero fields are left out. */
#ifndef FTS_REPLICA_COMMAND_H
#define FTS_REPLICA_COMMAND_H

#include <fts/api.h>

struct ftsi_command {
	uint32_t method;
	uint64_t client_id; /* 0: a node's own, not deduplicated */
	uint64_t sequence;
	uint64_t lowest_unanswered;
	uint64_t fence;
	struct fts_bytes payload; /* borrowed */
};

struct ftsi_batch_head {
	int64_t time_ms;
	uint64_t term;
	uint64_t lead_index;
	uint32_t format; /* 0: the first */
};

#define FTSI_BATCH_HEAD_BYTES_MAX 44

/* Bytes that ftsi_command_write will write. */
size_t ftsi_command_size(const struct ftsi_command *command);
/* Both return where they stopped. at: borrowed, large enough. */
uint8_t *ftsi_command_write(uint8_t *at, const struct ftsi_command *command);
uint8_t *ftsi_batch_write_head(uint8_t *at, const struct ftsi_batch_head *head);

/* 0, or -1: malformed. Absent: 0. */
int ftsi_batch_read_head(struct fts_bytes batch, struct ftsi_batch_head *out_head);
/* Takes the next command off batch: 1; 0: the end; -1: malformed. *out_command borrows from batch. */
int ftsi_batch_next(struct fts_bytes *batch, struct ftsi_command *out_command);

#endif
