/* Why this file exists: what the files behind replica/state.h and replica/digest.h share: the keeper of the state.
 *
 * Ownership: one keeper a replica, from ftsi_state_open to ftsi_state_close. Everything in it is the loop's, but for
 * what a job on the state worker carries with it: a job owns what it points to until its done has run. */
#ifndef FTS_REPLICA_STATE_INTERNAL_H
#define FTS_REPLICA_STATE_INTERNAL_H

#include "base/archive.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/applied.h"
#include "replica/state.h"

enum {
	FTSI_COPY_NAME_BYTES = 64,
	FTSI_COPY_COUNT_MAX = 4,
	FTSI_CHUNK_BYTES = 128 * 1024,
	FTSI_WINDOW_BYTES = 2 * 1024 * 1024, /* of a stream: on its way to the receiver's disk */
	FTSI_STREAM_COUNT_MAX = FTS_REPLICA_MEMBER_MAX,
	FTSI_GET_COUNT_MAX = FTS_REPLICA_MEMBER_MAX,
	FTSI_CUT_SAMPLE_COUNT = 128,
	FTSI_STATE_PATH_BYTES = 4096,
};

/* ---- A copy of the state, to be sent or saved (state_copy.c) ---- */

struct ftsi_copy {
	char name[FTSI_COPY_NAME_BYTES]; /* "": the place is free */
	char dir[FTSI_STATE_PATH_BYTES];
	bool ready;
	bool disowned; /* of a state that is doubted: nobody gets it any more */
	uint32_t reading_count;
	uint64_t made_ns, used_ns;
	uint64_t applied_index, total_bytes;
	uint32_t file_count;
	struct fts_archive_file *files; /* owned */
};

/* Make a checkpoint of store in dir (must not exist) and look how far it is. Blocks; thread: any but the loop. */
FTS_MUST_USE enum fts_status ftsi_copy_make(struct fts_store *store, const char *dir, struct ftsi_applied *out_applied);

/* A copy that is ready and holds at least index, and is not older than age_max_ns; the newest. NULL: none; one is made
 * now, unless that goes on already. Borrowed until the turn ends. */
struct ftsi_copy *ftsi_copy_find(struct fts_replica *replica, uint64_t index, uint64_t age_max_ns);
struct ftsi_copy *ftsi_copy_named(struct fts_replica *replica, struct fts_bytes name);
void ftsi_copies_tick(struct fts_replica *replica, uint64_t now_ns);
/* The state they are of is doubted. */
void ftsi_copies_disown(struct fts_replica *replica);
void ftsi_copies_drop(struct fts_replica *replica);

/* ---- Sending (state_send.c) ---- */

struct ftsi_stream {
	uint64_t to;            /* node id; 0: free */
	struct ftsi_copy *copy; /* NULL: waits for one to be made */
	uint64_t epoch;         /* of the last ask: what was read for an earlier one is dropped */
	uint32_t file;
	uint64_t offset;      /* next to be read */
	uint64_t sent, taken; /* in the stream of all files */
	bool reading;
	uint8_t *held; /* a packed message that did not leave yet; owned */
	size_t held_bytes, held_data_bytes;
	uint64_t heard_ns;
};

void ftsi_send_ask(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateAsk *ask);
void ftsi_send_taken(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateTaken *taken);
/* Some receiver has moved lately. */
bool ftsi_send_is_moving(const struct fts_replica *replica, uint64_t now_ns);
void ftsi_send_turn(struct fts_replica *replica);
void ftsi_send_tick(struct fts_replica *replica, uint64_t now_ns);
void ftsi_send_drop(struct fts_replica *replica);

/* ---- Fetching (state_fetch.c) ---- */

/* A state that was received, checked, opened and read: everything but its place. */
struct ftsi_fetched {
	struct fts_store *store; /* owned; NULL: none */
	uint64_t generation;
	struct ftsi_applied applied;
	struct ftsi_sessions *sessions; /* owned */
	struct ftsi_event_log *events;  /* owned */
};

/* The InstallSnapshot that raft gets once the files are here. */
struct ftsi_offer {
	bool open;
	uint64_t from;
	uint64_t term, last_index, last_term, conf_index;
	uint8_t *conf; /* owned */
	size_t conf_bytes;
	char name[FTSI_COPY_NAME_BYTES];
	bool begun; /* a fetch for it was begun: when that has failed, the leader offers it again */
};

struct ftsi_fetch {
	bool active, finishing;
	uint64_t from;
	char name[FTSI_COPY_NAME_BYTES]; /* "": the newest there is, not told yet */
	uint64_t applied_index, total_bytes;
	uint32_t file, file_count; /* file_count 0: not told yet */
	uint64_t offset, file_size;
	uint64_t received_bytes;
	uint32_t job_count;
	uint64_t heard_ns, asked_ns, begun_ns, told_ns;
	uint64_t generation; /* of the directory it becomes */
};

void ftsi_fetch_offer(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message);
void ftsi_fetch_chunk(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateChunk *chunk);
/* Fetch what the open offer names, unless it is here or on its way from somebody who still sends. */
void ftsi_fetch_follow(struct fts_replica *replica);
/* The sender has no such copy any more. */
void ftsi_fetch_gone(struct fts_replica *replica, uint64_t from, const Fts__Replica__V1__StateTaken *taken);
void ftsi_fetch_tick(struct fts_replica *replica, uint64_t now_ns);
/* Give up: what came so far goes away. */
void ftsi_fetch_drop(struct fts_replica *replica);
void ftsi_fetched_drop(struct ftsi_fetched *fetched);

/* ---- Putting in place (state_install.c) ---- */

/* keeper->fetched is there: hand the offer to raft, or replace a doubted state. */
void ftsi_install_turn(struct fts_replica *replica);
/* Apply from the log what the new state does not have and raft has already passed. */
void ftsi_install_replay(struct fts_replica *replica);

/* ---- Directory (state_dir.c) ---- */

struct ftsi_restored {
	uint64_t identity; /* 0: not restored */
	uint64_t cluster_id, index, term;
};

/* DIR/state or DIR/state-GENERATION into out (FTSI_STATE_PATH_BYTES). */
void ftsi_state_path(const struct fts_replica *replica, uint64_t generation, char *out);
/* Highest generation there is a directory of. */
uint64_t ftsi_state_last_generation(const struct fts_replica *replica);
/* Remove transfers that were cut off, and states other than keep (in use) and spare (named, but perhaps it can't be
 * opened: it is not thrown away). */
void ftsi_state_remove_leftovers(const struct fts_replica *replica, uint64_t keep, uint64_t spare);
FTS_MUST_USE enum fts_status ftsi_state_open_at(struct fts_replica *replica, uint64_t generation, bool create,
						struct fts_store **out_store, struct fts_error *out_error);
/* A restored directory founds a cluster or forms one with others like it; it can't join one. Once its state has been
 * written to under the new cluster's name, nothing remembers where it came from. */
FTS_MUST_USE enum fts_status ftsi_state_settle_restored(struct fts_replica *replica, struct fts_error *out_error);
FTS_MUST_USE enum fts_status ftsi_state_read_restored(struct fts_replica *replica, struct fts_error *out_error);
/* ---- The keeper ---- */

struct ftsi_cut_sample {
	uint64_t index, bytes; /* bytes appended up to index, since the start of the process */
};

struct ftsi_get {
	struct raft_io_snapshot_get *request; /* NULL: free */
	raft_io_snapshot_get_cb done;
};

struct ftsi_digest;

struct ftsi_state {
	uint64_t generation, next_generation;
	bool stopgap;             /* what is in use is blank and named nowhere: the state itself can't be opened */
	uint64_t came_with_index; /* what is in use came from elsewhere with this index applied */
	char why[FTS_DETAIL_MAX]; /* of a doubt at start, for who has nobody to fetch from */
	struct ftsi_restored restored;

	struct ftsi_copy copies[FTSI_COPY_COUNT_MAX];
	bool copy_running;
	uint64_t copy_failed_ns;
	uint64_t copy_counter;
	struct ftsi_get gets[FTSI_GET_COUNT_MAX];
	struct ftsi_stream streams[FTSI_STREAM_COUNT_MAX];

	struct ftsi_fetch fetch;
	int fetch_fd; /* of the file being written: the worker's while jobs are open; -1: none */
	struct ftsi_fetched fetched;
	struct ftsi_offer offer;
	bool handing;           /* raft is being given the offer */
	bool installing;        /* what it made of it is on its way to the log */
	uint64_t replay_next;   /* first entry that the new state lacks; 0: none */
	struct ftsi_post again; /* wakes the loop for the next part of a replay */
	bool again_posted;

	struct ftsi_cut_sample samples[FTSI_CUT_SAMPLE_COUNT];
	uint32_t sample_count;
	uint64_t appended_bytes;

	atomic_bool syncing, differs; /* for the status; any thread */
	struct ftsi_digest *digest;
	bool stopping;
};

/* Send message's kind to a member: cluster, sender and receiver are filled in. False: it did not leave. */
bool ftsi_state_tell(struct fts_replica *replica, uint64_t to, Fts__Replica__V1__PeerMessage *message);
/* A packed message (borrowed) to a member. */
bool ftsi_state_tell_packed(struct fts_replica *replica, uint64_t to, struct fts_bytes packed);
size_t ftsi_state_backlog_bytes(struct fts_replica *replica, uint64_t to);
/* A member's address, as raft has it: borrowed until the configuration changes. NULL: no member. */
const char *ftsi_state_address_of(const struct fts_replica *replica, uint64_t id);
/* The leader's node id; 0: none known, or this node. */
uint64_t ftsi_state_leader(const struct fts_replica *replica);

/* This node's state is not to be trusted: it says so, durably, and stops serving from it. */
void ftsi_state_doubt(struct fts_replica *replica, const char *why);
/* It is again. */
void ftsi_state_trust(struct fts_replica *replica);

#endif
