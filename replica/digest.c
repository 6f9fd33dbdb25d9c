/* Why this file exists: see replica/digest.h: the chain over what is written, the marks in the log, and what each node
 * does at one. */
#include <stdlib.h>

#include "base/checksum.h"
#include "base/log.h"
#include "fts/replica/v1/mark.fts.h"
#include "replica/digest_internal.h"
#include "replica/format.h"
#include "replica/state_internal.h"

enum { FAR_BEHIND_COUNT = 1024 };
#define MARK_NS ((uint64_t)5 * 1000000000u)
#define FIRST_MARK_NS ((uint64_t)1000000000u)
#define LEAD_AGAIN_NS ((uint64_t)1000000000u)
#define SMALL_BYTES ((uint64_t)8 * 1024 * 1024)
#define BYTES_PER_SECOND ((uint64_t)2 * 1024 * 1024) /* at a hundredth of a core's 500 MB/s, with room to spare */

struct ftsi_digest *ftsi_digest_create(void)
{
	return calloc(1, sizeof(struct ftsi_digest));
}

void ftsi_digest_destroy(struct ftsi_digest *digest)
{
	free(digest);
}

/* ---- What is written ---- */

void ftsi_digest_note(void *ctx, struct fts_bytes key, struct fts_bytes head, struct fts_bytes tail, bool deleted)
{
	struct fts_replica *replica = ctx;
	uint64_t sum = replica->writes + deleted;
	if (ftsi_applied_is_key(key)) return; /* it carries the chain itself */
	sum = fts_checksum(key, sum);
	if (head.size_bytes > 0) sum = fts_checksum(head, sum);
	if (tail.size_bytes > 0) sum = fts_checksum(tail, sum);
	replica->writes = sum == 0 ? 1 : sum;
}

/* ---- Marks ---- */

static enum fts_status apply_mark(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx)
{
	const Fts__Replica__V1__MarkDigestRequest *mark = (const void *)request;
	struct fts_replica *replica = ctx;
	(void)apply;
	(void)response;
	replica->keeper->digest->due = true;
	replica->keeper->digest->due_content = mark->content;
	return FTS_OK;
}

void ftsi_digest_init(struct fts_replica *replica, struct fts_machine *machine, struct fts_machine_method *methods)
{
	methods[0].apply = apply_mark;
	methods[1].apply = ftsi_format_apply_raise;
	*machine =
	    (struct fts_machine){.service = &fts_marks_service, .methods = methods, .internal = true, .ctx = replica};
}

bool ftsi_digest_is_due(const struct fts_replica *replica)
{
	return replica->keeper->digest->due;
}

/* ftsi_apply_commit writes everything up to index and nothing behind it: what a view shows then is the same on every
 * node. */
enum fts_status ftsi_digest_look(struct fts_replica *replica, uint64_t index)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	struct ftsi_digest_look *look = &digest->looks[digest->look_at];
	struct fts_txn *view = NULL;
	enum fts_status status = ftsi_apply_commit(replica);
	bool content = digest->due_content;
	digest->due = digest->due_content = false;
	if (status != FTS_OK) return status;
	if (replica->raft.commit_index > index + FAR_BEHIND_COUNT)
		return FTS_OK; /* of long ago: nobody asks any more */
	digest->look_at = (digest->look_at + 1) % FTSI_DIGEST_LOOK_COUNT;
	*look = (struct ftsi_digest_look){.index = index, .writes = replica->writes};
	if (content && digest->scan == NULL && fts_store_view(replica->state, &view) == FTS_OK)
		ftsi_scan_begin(replica, view, index);
	return FTS_OK;
}

void ftsi_digest_turn(struct fts_replica *replica)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	if (atomic_load(&replica->doubted)) return;
	/* Told at the end of a turn, when raft is at rest. */
	for (uint32_t i = 0; i < FTSI_DIGEST_LOOK_COUNT; i++) {
		struct ftsi_digest_look *look = &digest->looks[i];
		if (look->index == 0 || look->told) continue;
		look->told = true;
		ftsi_digest_tell(replica, look);
	}
}

void ftsi_digest_reset(struct fts_replica *replica)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	ftsi_scan_drop(replica);
	for (uint32_t i = 0; i < FTSI_DIGEST_LOOK_COUNT; i++)
		digest->looks[i].index = 0;
	atomic_store(&replica->keeper->differs, false);
}

void ftsi_digest_stop(struct fts_replica *replica)
{
	ftsi_scan_drop(replica);
}

/* ---- The leader's part ---- */

static unsigned voter_count(const struct fts_replica *replica)
{
	unsigned count = 0;
	for (unsigned i = 0; i < replica->raft.configuration.n; i++)
		count += replica->raft.configuration.servers[i].role == RAFT_VOTER;
	return count;
}

static void mark_done(void *ctx, enum fts_status status, struct fts_bytes response, const struct fts_error *error)
{
	struct fts_replica *replica = ctx;
	(void)status;
	(void)response;
	(void)error;
	replica->keeper->digest->mark_open = false;
}

static void propose_mark(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	Fts__Replica__V1__MarkDigestRequest request = FTS__REPLICA__V1__MARK_DIGEST_REQUEST__INIT;
	uint64_t bytes = fts_store_disk_bytes(replica->state);
	request.content = bytes <= SMALL_BYTES || now_ns >= digest->next_content_ns;
	digest->next_mark_ns = now_ns + MARK_NS;
	if (fts_replica_propose(replica, &fts_marks_service.methods[0], &request.base, mark_done, replica) != FTS_OK)
		return; /* busy: at the next mark */
	digest->mark_open = true;
	if (request.content) digest->next_content_ns = now_ns + bytes / BYTES_PER_SECOND * 1000000000u;
}

static void led_hand_over(void *ctx, enum fts_status status, const struct fts_error *error)
{
	(void)ctx;
	(void)status;
	(void)error; /* tried again: ftsi_digest_tick */
}

/* A leader that doubts its own state leaves the work to one who need not. */
static void leave(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	struct fts_error error;
	if (now_ns - digest->lead_tried_ns < LEAD_AGAIN_NS) return;
	digest->lead_tried_ns = now_ns;
	if (fts_replica_member_lead(replica, NULL, 1000, led_hand_over, NULL, &error) == FTS_OK)
		FTS_LOG_INFO("replica.hands_over", "node=%s detail=\"its state is doubted\"", replica->name);
}

void ftsi_digest_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	bool leads = raft_state(&replica->raft) == RAFT_LEADER;
	ftsi_scan_tick(replica);
	if (!leads) {
		digest->led = false;
		return;
	}
	if (atomic_load(&replica->doubted)) {
		leave(replica, now_ns);
		return;
	}
	if (!digest->led) {
		digest->led = true;
		digest->next_mark_ns = now_ns + FIRST_MARK_NS;
	}
	ftsi_digest_judge_late(replica, now_ns);
	if (atomic_load(&replica->serving) && voter_count(replica) > 1 && !digest->mark_open &&
	    now_ns >= digest->next_mark_ns)
		propose_mark(replica, now_ns);
}
