/* Why this file exists: what a node does of itself: commit to a secret when a draw opens, reveal it after the seal,
 * and, when it leads, say that a time limit has passed.
 *
 * Invariants: everything proposed here may be proposed twice, late, or by two nodes: the transitions take it once. A
 * look costs nothing unless what is watched changed or something is due. */
#include "lottery/service_internal.h"

#include <fts/lottery/v1/lottery.fts.h>

#include "base/log.h"

enum {
	LOOK_MS = 5000,        /* looks at least so often: the state may have come by a snapshot */
	AGAIN_MS = 1000,       /* what was proposed and did not happen */
	PROPOSE_COUNT_MAX = 64 /* a look */
};

/* One look at all that is watched. */
struct look {
	struct fts_lottery *lottery;
	bool leader;
	int64_t now_ms, next_ms;
	uint32_t proposed_count;
};

static void propose(struct look *look, const struct fts_method *method, const ProtobufCMessage *command)
{
	struct fts_lottery *lottery = look->lottery;
	look->proposed_count++;
	pthread_mutex_lock(&lottery->lock);
	/* It may be lost, or come twice. The next look sees whether it is still to be done. */
	if (lottery->replica != NULL) fts_replica_suggest(lottery->replica, method, command);
	pthread_mutex_unlock(&lottery->lock);
}

static const struct ftsi_watch_node *own(const struct fts_lottery *lottery, const struct ftsi_watch *watch)
{
	size_t size = strlen(lottery->node);
	for (uint32_t i = 0; i < watch->node_count; i++)
		if (watch->nodes[i].name.size_bytes == size &&
		    memcmp(watch->nodes[i].name.data, lottery->node, size) == 0)
			return &watch->nodes[i];
	return NULL;
}

static void commit(struct look *look, struct ftsi_watch *watch)
{
	Fts__Lottery__V1__CommitCommand command = FTS__LOTTERY__V1__COMMIT_COMMAND__INIT;
	Fts__Lottery__V1__Commitment commitment = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t secret[FTSI_HASH_BYTES], hash[FTSI_HASH_BYTES];
	ftsi_secret_make(look->lottery->key, watch->draw, secret);
	ftsi_secret_hash(secret, hash);
	sodium_memzero(secret, sizeof secret);
	commitment.node = look->lottery->node;
	commitment.hash = (ProtobufCBinaryData){sizeof hash, hash};
	command.draw = watch->draw;
	command.commitment = &commitment;
	propose(look, fts_lottery_log_commit_method, &command.base);
}

static void reveal(struct look *look, struct ftsi_watch *watch, const struct ftsi_watch_node *node)
{
	Fts__Lottery__V1__RevealCommand command = FTS__LOTTERY__V1__REVEAL_COMMAND__INIT;
	uint8_t secret[FTSI_HASH_BYTES], hash[FTSI_HASH_BYTES];
	ftsi_secret_make(look->lottery->key, watch->draw, secret);
	ftsi_secret_hash(secret, hash);
	if (memcmp(hash, node->hash, sizeof hash) != 0) {
		FTS_LOG_WARN("lottery.secret_lost",
			     "draw=%s reason=\"lottery.key is not the one it was committed with\"", watch->draw);
		return;
	}
	command.draw = watch->draw;
	command.node = look->lottery->node;
	command.secret = (ProtobufCBinaryData){sizeof secret, secret};
	propose(look, fts_lottery_log_reveal_method, &command.base);
	sodium_memzero(secret, sizeof secret);
}

static void expire(struct look *look, struct ftsi_watch *watch)
{
	Fts__Lottery__V1__ExpireCommand command = FTS__LOTTERY__V1__EXPIRE_COMMAND__INIT;
	command.draw = watch->draw;
	command.seal_index = watch->sealed ? watch->seal_index : 0;
	propose(look, fts_lottery_log_expire_method, &command.base);
}

static void look_at(struct look *look, struct ftsi_watch *watch)
{
	const struct ftsi_watch_node *node = own(look->lottery, watch);
	if (!watch->sealed && !watch->fixed && node == NULL && watch->node_count < FTSI_COMMITMENT_COUNT_MAX)
		commit(look, watch);
	if (watch->sealed && node != NULL && !node->revealed) reveal(look, watch, node);
	if (watch->due_ms == 0 || !look->leader) return;
	if (watch->due_ms <= look->now_ms)
		expire(look, watch);
	else if (watch->due_ms < look->next_ms)
		look->next_ms = watch->due_ms;
}

static void look_at_all(struct look *look, struct fts_txn *view)
{
	struct fts_cursor *cursor = NULL;
	struct ftsi_watch watch;
	bool damaged = false;
	enum fts_status status = ftsi_watch_scan(view, &cursor);
	if (status == FTS_OK) {
		while (look->proposed_count < PROPOSE_COUNT_MAX && ftsi_watch_row_next(cursor, &watch, &damaged))
			look_at(look, &watch);
		status = damaged ? FTS_DATA_LOSS : fts_cursor_status(cursor);
		fts_cursor_close(cursor);
	}
	if (status != FTS_OK) FTS_LOG_ERROR("lottery.watch_failed", "status=%s", fts_status_name(status));
}

void ftsi_watch_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct fts_lottery *lottery = ctx;
	struct look look = {.lottery = lottery, .leader = leader, .now_ms = now_ms, .next_ms = now_ms + LOOK_MS};
	struct ftsi_lottery state;
	ftsi_warm_written(lottery);
	if (lottery->applied_version == lottery->seen_version && now_ms < lottery->look_at_ms &&
	    lottery->look_at_ms <= now_ms + LOOK_MS) /* the clock may have been set back */
		return;
	if (ftsi_lottery_load(view, &state) != FTS_OK)
		return; /* the next command that needs it halts this replica and says so */
	if (state.watched_count > 0) look_at_all(&look, view);
	lottery->seen_version = state.version;
	if (lottery->applied_version < state.version) lottery->applied_version = state.version;
	lottery->look_at_ms = look.proposed_count > 0 ? now_ms + AGAIN_MS : look.next_ms;
}
