/* Why this file exists: what the files behind replica/digest.h share, and what state.c calls of them. */
#ifndef FTS_REPLICA_DIGEST_INTERNAL_H
#define FTS_REPLICA_DIGEST_INTERNAL_H

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/digest.h"

enum { FTSI_DIGEST_LOOK_COUNT = 32 };

/* What this node saw at a mark. */
struct ftsi_digest_look {
	uint64_t index, writes, content; /* content 0: not looked at, or not yet */
	bool told;
};

/* What the leader heard about one mark. */
struct ftsi_digest_heard {
	uint64_t node_id, writes, content;
};
struct ftsi_digest_mark {
	uint64_t index; /* 0: free */
	uint64_t heard_ns;
	uint64_t writes, content; /* of the majority; 0: none yet */
	bool split;               /* told everybody that there is none */
	uint32_t count;
	struct ftsi_digest_heard heard[FTS_REPLICA_MEMBER_MAX];
};

struct ftsi_digest_scan;

struct ftsi_digest {
	/* Every node. */
	bool due, due_content;
	uint32_t look_at; /* next place in looks */
	struct ftsi_digest_look looks[FTSI_DIGEST_LOOK_COUNT];
	struct ftsi_digest_scan *scan; /* NULL: none */
	uint64_t lead_tried_ns;

	/* The leader. */
	bool mark_open; /* proposed, not answered */
	bool led;
	uint64_t next_mark_ns, next_content_ns;
	uint32_t mark_at;
	struct ftsi_digest_mark marks[FTSI_DIGEST_LOOK_COUNT];
};

/* Returned (ftsi_digest_destroy). NULL: no memory. */
struct ftsi_digest *ftsi_digest_create(void);
void ftsi_digest_destroy(struct ftsi_digest *digest); /* NULL: no-op */
void ftsi_digest_stop(struct fts_replica *replica);
/* The state is another one: what was seen of the old one does not count. */
void ftsi_digest_reset(struct fts_replica *replica);
void ftsi_digest_tick(struct fts_replica *replica, uint64_t now_ns);
void ftsi_digest_turn(struct fts_replica *replica);
void ftsi_digest_receive(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message);

/* ---- digest_scan.c ---- */
/* Sum up view (owned); ends in ftsi_digest_saw. Without effect when another scan runs. */
void ftsi_scan_begin(struct fts_replica *replica, struct fts_txn *view, uint64_t index);
void ftsi_scan_tick(struct fts_replica *replica);
void ftsi_scan_drop(struct fts_replica *replica);

/* ---- digest_compare.c ---- */
/* This node saw content at index. Tells the leader. status not OK: its state can't be read. */
void ftsi_digest_saw(struct fts_replica *replica, uint64_t index, uint64_t content, enum fts_status status);
void ftsi_digest_tell(struct fts_replica *replica, const struct ftsi_digest_look *look);
void ftsi_digest_judge_late(struct fts_replica *replica, uint64_t now_ns);

#endif
