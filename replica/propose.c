/* Why this file exists: commands on their way into the log: counted and bounded where they come in, gathered into
 * one entry whenever the log is free, answered after what they did is written (group commit).
 *
 * Invariants: a slot is finished exactly once. Commands go into the log in the order they came to the loop. */
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "replica/format.h"
#include "replica/guards.h"
#include "replica/membership.h"
#include "replica/state.h"
#include "rpc/conn.h"

enum { DISK_CHECK_MS = 200 };

void ftsi_slots_init(struct ftsi_slot_list *list)
{
	list->first = NULL;
	list->last = &list->first;
	list->count = 0;
}

void ftsi_slots_push(struct ftsi_slot_list *list, struct ftsi_slot *slot)
{
	slot->next = NULL;
	*list->last = slot;
	list->last = &slot->next;
	list->count++;
}

static struct ftsi_slot *pop(struct ftsi_slot_list *list)
{
	struct ftsi_slot *slot = list->first;
	list->first = slot->next;
	if (list->first == NULL) list->last = &list->first;
	list->count--;
	return slot;
}

/* ---- Coming in ---- */

static void uncount(struct fts_replica *replica, const struct ftsi_slot *slot)
{
	atomic_fetch_sub(&replica->queue_count, 1);
	atomic_fetch_sub(&replica->queue_bytes, slot->command.payload.size_bytes);
}

static bool count(struct fts_replica *replica, const struct ftsi_slot *slot)
{
	size_t size = slot->command.payload.size_bytes;
	unsigned before = atomic_fetch_add(&replica->queue_count, 1);
	size_t bytes_before = atomic_fetch_add(&replica->queue_bytes, size);
	if (before < FTSI_QUEUE_COUNT_MAX && bytes_before + size <= FTSI_QUEUE_BYTES_MAX) return true;
	uncount(replica, slot);
	return false;
}

static void refuse(struct fts_replica *replica, struct ftsi_slot *slot, enum fts_status status,
		   enum fts_executed executed, const char *detail)
{
	slot->outcome = (struct ftsi_outcome){.status = status, .executed = executed, .detail = detail};
	slot->finish(replica, slot);
}

static void arrive(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_slot *slot = (struct ftsi_slot *)(void *)post;
	/* While nobody is known to lead it waits here, as this node may lead soon: ftsi_propose_expire. */
	if (atomic_load(&replica->leads) != FTSI_LEADS_OTHER && !replica->stopping && !atomic_load(&replica->failed)) {
		slot->arrived_ns = replica->now_ns;
		ftsi_slots_push(&replica->queue, slot);
		return;
	}
	uncount(replica, slot);
	refuse(replica, slot, FTS_UNAVAILABLE, FTS_EXECUTED_NO, "another node leads the log");
}

static enum fts_status may_propose(struct fts_replica *replica, struct fts_error *out_error)
{
	if (!ftsi_state_may_serve(replica)) return fts_error_set(out_error, FTS_UNAVAILABLE, "%s", ftsi_state_refusal);
	if (!atomic_load(&replica->accepting))
		return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is stopping");
	if (atomic_load(&replica->leads) == FTSI_LEADS_OTHER)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "another node leads the log");
	if (atomic_load(&replica->disk_full))
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
				     "the disk of this node is nearly full: make room on it");
	return FTS_OK;
}

enum fts_status ftsi_propose_post(struct fts_replica *replica, struct ftsi_slot *slot, struct fts_error *out_error)
{
	enum fts_status status = may_propose(replica, out_error);
	if (status == FTS_OK && !count(replica, slot))
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "too many commands wait on this node");
	if (status != FTS_OK) {
		/* Whom to ask instead comes with the refusal: no need to wait. */
		out_error->retry_after_ms =
		    atomic_load(&replica->leads) == FTSI_LEADS_OTHER ? FTSI_LEADERLESS_RETRY_MS : FTSI_RETRY_MS;
		return status;
	}
	slot->post.run = arrive;
	if (ftsi_mailbox_post(&replica->mailbox, &slot->post)) return FTS_OK;
	uncount(replica, slot);
	return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is stopping");
}

void ftsi_propose_check_disk(struct fts_replica *replica, uint64_t now_ns)
{
	struct statvfs disk;
	bool full;
	if (now_ns - replica->reserve_checked_ns < (uint64_t)DISK_CHECK_MS * 1000000) return;
	replica->reserve_checked_ns = now_ns;
	if (statvfs(replica->data, &disk) != 0) return;
	full = (uint64_t)disk.f_bavail * disk.f_frsize < FTSI_DISK_RESERVE_BYTES;
	if (full == atomic_load(&replica->disk_full)) return;
	atomic_store(&replica->disk_full, full);
	if (full)
		FTS_LOG_WARN("replica.disk_full", "node=%s free_bytes=%llu", replica->name,
			     (unsigned long long)disk.f_bavail * disk.f_frsize);
	else
		FTS_LOG_INFO("replica.disk_room", "node=%s", replica->name);
}

/* ---- Into the log ---- */

static void entry_done(struct raft_apply *request, int status, void *result)
{
	struct fts_replica *replica = request->data;
	(void)result;
	if (status != 0) ftsi_propose_lost(replica);
}

/* Take commands off the queue that fit one entry; those whose time is over are refused. */
static size_t gather(struct fts_replica *replica, struct ftsi_slot_list *chosen, uint64_t now_ns)
{
	char detail[FTS_DETAIL_MAX];
	size_t size = FTSI_BATCH_HEAD_BYTES_MAX;
	while (replica->queue.first != NULL && chosen->count < FTSI_ENTRY_COUNT_MAX) {
		struct ftsi_slot *slot = replica->queue.first;
		size_t command_size = ftsi_command_size(&slot->command);
		if (chosen->count > 0 && size + command_size > FTSI_ENTRY_BYTES_MAX) break;
		(void)pop(&replica->queue);
		uncount(replica, slot);
		if (slot->deadline_ns <= now_ns) {
			refuse(replica, slot, FTS_DEADLINE_EXCEEDED, FTS_EXECUTED_NO,
			       "the time limit passed before the command's turn came");
			continue;
		}
		if (!ftsi_format_allows(replica, slot->command.method, detail)) {
			refuse(replica, slot, FTS_FAILED_PRECONDITION, FTS_EXECUTED_NO, detail);
			continue;
		}
		size += command_size;
		ftsi_slots_push(chosen, slot);
	}
	return size;
}

static void give_up(struct fts_replica *replica, struct ftsi_slot *slot, enum fts_status status,
		    enum fts_executed executed, const char *detail)
{
	while (slot != NULL) {
		struct ftsi_slot *next = slot->next; /* the slot is gone once refused */
		refuse(replica, slot, status, executed, detail);
		slot = next;
	}
}

static int append_entry(struct fts_replica *replica, const struct ftsi_slot_list *chosen, size_t size_max)
{
	struct ftsi_inflight *inflight = &replica->inflight;
	const uint32_t format = atomic_load(&replica->format);
	const struct ftsi_batch_head head = {replica->environment->wall_ms(replica->environment->ctx),
					     replica->raft.current_term, replica->guards.barrier_index,
					     format > FTS_FORMAT_FIRST ? format : 0};
	struct raft_buffer buffer = {raft_malloc(size_max), 0};
	uint8_t *at = buffer.base;
	int result;
	if (at == NULL) return RAFT_NOMEM;
	at = ftsi_batch_write_head(at, &head);
	for (const struct ftsi_slot *slot = chosen->first; slot != NULL; slot = slot->next)
		at = ftsi_command_write(at, &slot->command);
	buffer.len = (size_t)(at - (uint8_t *)buffer.base);
	inflight->request.data = replica;
	inflight->first = chosen->first;
	inflight->term = replica->raft.current_term;
	inflight->index = raft_last_index(&replica->raft) + 1;
	inflight->active = true;
	result = raft_apply(&replica->raft, &inflight->request, &buffer, 1, entry_done);
	if (result != 0) {
		inflight->active = false;
		inflight->first = NULL;
		raft_free(buffer.base);
	}
	return result;
}

void ftsi_propose_batch(struct fts_replica *replica)
{
	struct ftsi_slot_list chosen;
	size_t size;
	if (replica->queue.first == NULL || !atomic_load(&replica->serving) || atomic_load(&replica->failed) ||
	    replica->stopping || ftsi_transfer_holds(replica) || ftsi_membership_holds(replica) ||
	    !ftsi_guard_may_append(replica))
		return;
	ftsi_slots_init(&chosen);
	size = gather(replica, &chosen, replica->now_ns);
	if (chosen.first != NULL && append_entry(replica, &chosen, size) != 0)
		give_up(replica, chosen.first, FTS_UNAVAILABLE, FTS_EXECUTED_NO, "the log takes no commands now");
}

/* ---- Ends ---- */

void ftsi_propose_answer(struct fts_replica *replica)
{
	struct ftsi_slot *slot = replica->answered.first;
	ftsi_slots_init(&replica->answered);
	ftsi_conn_gather_begin();
	while (slot != NULL) {
		struct ftsi_slot *next = slot->next; /* the slot is gone once finished */
		slot->finish(replica, slot);
		slot = next;
	}
	ftsi_conn_gather_end();
}

void ftsi_propose_lost(struct fts_replica *replica)
{
	static const char detail[] = "this node stopped leading before the command was known to be stored";
	struct ftsi_slot *inflight = replica->inflight.first, *answered = replica->answered.first;
	replica->inflight.first = NULL;
	replica->inflight.active = false;
	if (atomic_load(&replica->failed)) { /* applied, but what they did was not written */
		ftsi_slots_init(&replica->answered);
		give_up(replica, answered, FTS_UNAVAILABLE, FTS_EXECUTED_UNKNOWN, detail);
	}
	give_up(replica, inflight, FTS_UNAVAILABLE, FTS_EXECUTED_UNKNOWN, detail);
}

static bool is_late(const struct fts_replica *replica, const struct ftsi_slot *slot, uint64_t now_ns)
{
	return !atomic_load(&replica->serving) && ftsi_is_held_too_long(replica, slot->arrived_ns, now_ns);
}

/* In the order they came, so the first is the first to be late; one whose own time is over may wait behind it. */
void ftsi_propose_expire(struct fts_replica *replica, uint64_t now_ns)
{
	while (replica->queue.first != NULL && is_late(replica, replica->queue.first, now_ns)) {
		struct ftsi_slot *slot = pop(&replica->queue);
		uncount(replica, slot);
		slot->outcome = (struct ftsi_outcome){.status = FTS_UNAVAILABLE,
						      .executed = FTS_EXECUTED_NO,
						      .retry_after_ms = FTSI_LEADERLESS_RETRY_MS,
						      .detail = "no node is known to lead the log now"};
		slot->finish(replica, slot);
	}
}

void ftsi_propose_refuse_all(struct fts_replica *replica, const char *detail)
{
	while (replica->queue.first != NULL) {
		struct ftsi_slot *slot = pop(&replica->queue);
		uncount(replica, slot);
		refuse(replica, slot, FTS_UNAVAILABLE, FTS_EXECUTED_NO, detail);
	}
}
