/* Why this file exists: what libraft knows of the state machine (struct raft_fsm).
 *
 * Where its indexes stand (libraft 0.15.0, replication.c): while apply runs for entry i, raft_last_applied is i - 1;
 * barriers and configuration changes get no call. snapshot runs after the last apply of a round, within the same
 * call into libraft, so what it names may not be written yet: see io_snapshot_put. */
#include <string.h>

#include "replica/guards.h"
#include "replica/state.h"

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
	struct fts_replica *replica = fsm->data;
	uint64_t index = raft_last_applied(&replica->raft) + 1;
	*result = NULL;
	if (atomic_load(&replica->failed)) return RAFT_SHUTDOWN;
	if (ftsi_state_skips(replica)) return 0; /* taken from the log once the state is here: state_install.c */
	if (index <= atomic_load(&replica->applied_index))
		return 0; /* replayed after a restart: its effect is in DIR/state already */
	ftsi_loop_moves(replica);
	if (ftsi_apply_entry(replica, index, (struct fts_bytes){buf->base, buf->len}) != FTS_OK) return RAFT_SHUTDOWN;
	return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
	static const char name[] = "state";
	struct fts_replica *replica = fsm->data;
	struct raft_buffer *made;
	if (atomic_load(&replica->failed) || !ftsi_guard_may_snapshot(replica) ||
	    !ftsi_state_may_cut(replica))
		return RAFT_BUSY;
	made = raft_malloc(sizeof *made);
	if (made == NULL) return RAFT_NOMEM;
	made->len = sizeof name;
	made->base = raft_malloc(made->len);
	if (made->base == NULL) {
		raft_free(made);
		return RAFT_NOMEM;
	}
	memcpy(made->base, name, made->len);
	raft_set_snapshot_trailing(&replica->raft, ftsi_state_trailing(replica, raft_last_applied(&replica->raft)));
	*bufs = made;
	*n_bufs = 1;
	return 0;
}

/* Called at start for the last snapshot: io_load has seen that the state it names is there. buf's memory is ours. */
static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
	(void)fsm;
	raft_free(buf->base);
	return 0;
}

void ftsi_fsm_init(struct fts_replica *replica)
{
	replica->fsm = (struct raft_fsm){
	    .version = 1,
	    .data = replica,
	    .apply = fsm_apply,
	    .snapshot = fsm_snapshot,
	    .restore = fsm_restore,
	};
}
