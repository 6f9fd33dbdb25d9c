/* Why this file exists: libraft's view of disk, time and network (struct raft_io), over the stores of this replica
 * instead of its stock disk log, which was seen to corrupt itself for good, to stall the loop for 31 ms a segment, and
 * to go on in silence after failed writes.
 *
 * Invariants: appends and truncations reach the disk in the order libraft asked for them; a callback never fires
 * inside the call it belongs to; an error of the disk ends the process, so libraft never sees one.
 * Ownership: the entries of an append are libraft's until its callback; what load returns becomes libraft's. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/configuration.h"
#include "replica/guards.h"
#include "replica/state.h"

struct append_job {
	struct ftsi_job job; /* first */
	struct fts_store *log;
	raft_index first_index;
	raft_term term; /* when it was handed over */
	const struct raft_entry *entries;
	unsigned n;
	struct raft_io_append *request;
	raft_io_append_cb done; /* NULL: a truncation at first_index */
};

struct snapshot_job {
	struct ftsi_job job; /* first */
	struct fts_store *log, *state;
	struct ftsi_mark mark;
	uint8_t *conf; /* owned: what mark.conf points to */
	uint64_t cut_index;
	uint64_t log_bytes; /* written when it was asked for */
	struct raft_io_snapshot_put *request;
	raft_io_snapshot_put_cb done;
};

static struct fts_replica *replica_of(const struct raft_io *io)
{
	return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
	(void)io;
	(void)id;
	(void)address;
	return 0;
}

/* ---- Start ---- */

static enum fts_status make_snapshot(const struct ftsi_mark *mark, struct raft_snapshot **out_snapshot)
{
	static const char name[] = "state";
	struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);
	struct raft_buffer *bufs = raft_malloc(sizeof *bufs);
	char *base = raft_malloc(sizeof name);
	if (snapshot == NULL || bufs == NULL || base == NULL ||
	    ftsi_configuration_decode(mark->conf, &snapshot->configuration) != FTS_OK) {
		raft_free(base);
		raft_free(bufs);
		raft_free(snapshot);
		return FTS_DATA_LOSS;
	}
	memcpy(base, name, sizeof name);
	*bufs = (struct raft_buffer){base, sizeof name};
	snapshot->index = mark->index;
	snapshot->term = mark->term;
	snapshot->configuration_index = mark->conf_index;
	snapshot->bufs = bufs;
	snapshot->n_bufs = 1;
	*out_snapshot = snapshot;
	return FTS_OK;
}

static enum fts_status load_mark(struct fts_replica *replica, struct raft_snapshot **out_snapshot)
{
	struct ftsi_mark mark;
	struct fts_value value = {0};
	enum fts_status status = ftsi_log_read_mark(replica->log, &mark, &value);
	*out_snapshot = NULL;
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status == FTS_OK) status = make_snapshot(&mark, out_snapshot);
	fts_value_release(&value);
	return status;
}

/* The state must reach the last snapshot, and must not be ahead of the log, unless it came so from another node. One
 * that lags can be fetched anew; a log that has lost its end can't be trusted. */
static bool fits_state(struct fts_replica *replica, uint64_t mark_index, const struct ftsi_loaded *loaded)
{
	uint64_t applied = atomic_load(&replica->applied_index);
	uint64_t last = loaded->first_index + loaded->count - 1, came_with = ftsi_state_came_with(replica);
	struct fts_error error;
	if (ftsi_state_skips(replica)) return true; /* doubted already: what it says does not count */
	if (applied >= mark_index && applied <= (last > came_with ? last : came_with)) return true;
	(void)fts_error_set(
	    &error, FTS_DATA_LOSS,
	    "%s/state and %s/log do not fit together: the state ends at %llu, the log goes from %llu to %llu; "
	    "restore the whole directory from one copy",
	    replica->data, replica->data, (unsigned long long)applied, (unsigned long long)mark_index,
	    (unsigned long long)last);
	if (applied < mark_index) {
		ftsi_state_unfit(replica, error.detail);
		return true;
	}
	ftsi_loop_fail(replica, error.status, "%s", error.detail);
	return false;
}

static void destroy_snapshot(struct raft_snapshot *snapshot)
{
	if (snapshot == NULL) return;
	raft_configuration_close(&snapshot->configuration);
	raft_free(snapshot->bufs[0].base);
	raft_free(snapshot->bufs);
	raft_free(snapshot);
}

static enum fts_status load_entries(struct fts_replica *replica, uint64_t mark_index, struct ftsi_loaded *out_loaded)
{
	struct fts_error error;
	enum fts_status status = ftsi_log_load(replica->log, mark_index, out_loaded, &error);
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "%s/log: %s", replica->data, error.detail);
		return status;
	}
	if (fits_state(replica, mark_index, out_loaded)) return FTS_OK;
	ftsi_loaded_drop(out_loaded);
	return FTS_DATA_LOSS;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for, struct raft_snapshot **snapshot,
		   raft_index *start_index, struct raft_entry *entries[], size_t *n_entries)
{
	struct fts_replica *replica = replica_of(io);
	struct ftsi_loaded loaded;
	uint64_t stored_term = 0, vote = 0;
	enum fts_status status = ftsi_log_read_hard(replica->log, &stored_term, &vote);
	if (status == FTS_OK) status = load_mark(replica, snapshot);
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, FTS_DATA_LOSS, "the log is damaged: its term or its snapshot can't be read");
		return RAFT_CORRUPT;
	}
	if (load_entries(replica, *snapshot == NULL ? 0 : (*snapshot)->index, &loaded) != FTS_OK) {
		destroy_snapshot(*snapshot);
		return RAFT_CORRUPT;
	}
	if (ftsi_guard_loaded(replica, *snapshot, loaded.first_index, loaded.entries, loaded.count) != FTS_OK) {
		ftsi_loop_fail(replica, FTS_DATA_LOSS, "%s/log is damaged: its members can't be read", replica->data);
		ftsi_loaded_drop(&loaded);
		destroy_snapshot(*snapshot);
		return RAFT_CORRUPT;
	}
	*term = stored_term;
	*voted_for = vote;
	*start_index = loaded.first_index;
	*entries = loaded.entries;
	*n_entries = loaded.count;
	replica->next_append_index = loaded.first_index + loaded.count;
	replica->log_bytes = loaded.size_bytes;
	ftsi_guard_snapshot_due(replica, loaded.size_bytes > replica->log_bytes_max);
	return 0;
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
	struct fts_replica *replica = replica_of(io);
	(void)msecs;
	replica->raft_tick = tick;
	replica->raft_recv = recv;
	return 0;
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
	struct fts_replica *replica = replica_of(io);
	struct raft_buffer encoded;
	enum fts_status status;
	if (raft_configuration_encode(conf, &encoded) != 0) return RAFT_NOMEM;
	status = ftsi_log_bootstrap(replica->log, &replica->identity, &encoded);
	raft_free(encoded.base);
	return status == FTS_OK ? 0 : RAFT_IOERR;
}

static int io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
	(void)io;
	(void)conf;
	return RAFT_INVALID; /* members are replaced through the log, never by force */
}

/* ---- Term and vote: written before libraft goes on ---- */

static int write_hard(struct fts_replica *replica, uint64_t term, uint64_t voted_for)
{
	enum fts_status status = ftsi_log_write_hard(replica->log, term, voted_for);
	if (status == FTS_OK) return 0;
	ftsi_loop_fail(replica, status, "the term can't be written to %s/log", replica->data);
	return RAFT_IOERR;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
	return write_hard(replica_of(io), term, 0);
}

static int io_set_vote(struct raft_io *io, raft_id server_id)
{
	struct fts_replica *replica = replica_of(io);
	uint64_t term = 0, vote = 0;
	/* libraft updates its own term only after this call, so what is stored says which term the vote is for. */
	if (ftsi_log_read_hard(replica->log, &term, &vote) != FTS_OK) {
		ftsi_loop_fail(replica, FTS_DATA_LOSS, "the term can't be read from %s/log", replica->data);
		return RAFT_IOERR;
	}
	FTS_ASSERT(vote == 0 || vote == server_id); /* one vote a term */
	return write_hard(replica, term, server_id);
}

static int io_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
		   raft_io_send_cb done)
{
	return ftsi_outbox_send_raft(replica_of(io), request, message, done);
}

/* ---- Appending ---- */

static enum fts_status append_work(struct ftsi_job *job)
{
	struct append_job *append = (struct append_job *)(void *)job;
	if (append->done == NULL) return ftsi_log_truncate(append->log, append->first_index);
	return ftsi_log_append(append->log, append->first_index, append->entries, append->n);
}

static void append_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct append_job append = *(struct append_job *)(void *)job;
	free(job);
	if (status != FTS_OK)
		ftsi_loop_fail(replica, status, "%s/log can't be written: %s", replica->data, fts_status_name(status));
	ftsi_transfer_appended(replica);
	replica->append_began_ns = replica->append_worker.open_count > 0 ? replica->now_ns : 0;
	if (append.done != NULL) {
		replica->guards.append_term_stands = ftsi_guard_term_stands(replica, append.term);
		replica->guards.proven_index = append.first_index + append.n - 1;
		append.done(append.request, atomic_load(&replica->failed) ? RAFT_CANCELED : 0);
		replica->guards.append_term_stands = true;
		replica->guards.proven_index = UINT64_MAX;
	}
	ftsi_guard_observe(replica);
	ftsi_guard_written(replica);
}

static int submit(struct fts_replica *replica, const struct append_job *wanted)
{
	struct append_job *append = malloc(sizeof *append);
	if (append == NULL) return RAFT_NOMEM;
	*append = *wanted;
	append->log = replica->log;
	append->term = replica->raft.current_term;
	append->job.work = append_work;
	append->job.done = append_done;
	if (replica->append_began_ns == 0) replica->append_began_ns = replica->now_ns;
	ftsi_worker_submit(&replica->append_worker, &append->job);
	return 0;
}

static int io_append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry entries[], unsigned n,
		     raft_io_append_cb done)
{
	struct fts_replica *replica = replica_of(io);
	struct append_job append = {
	    .first_index = replica->next_append_index, .entries = entries, .n = n, .request = request, .done = done};
	uint64_t size_bytes = 0;
	int result;
	if (atomic_load(&replica->failed)) return RAFT_IOERR;
	result = submit(replica, &append);
	if (result != 0) return result;
	replica->next_append_index += n;
	for (unsigned i = 0; i < n; i++)
		size_bytes += entries[i].buf.len;
	replica->log_bytes += size_bytes;
	ftsi_state_appended(replica, replica->next_append_index - 1, size_bytes);
	if (replica->log_bytes > replica->log_bytes_max && !replica->snapshot_running)
		ftsi_guard_snapshot_due(replica, true);
	return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
	struct fts_replica *replica = replica_of(io);
	struct append_job truncation = {.first_index = index};
	if (atomic_load(&replica->failed)) return RAFT_IOERR;
	replica->next_append_index = index;
	ftsi_state_truncated(replica, index);
	return submit(replica, &truncation);
}

/* ---- Snapshots: a mark that says what DIR/state holds ---- */

static enum fts_status snapshot_work(struct ftsi_job *job)
{
	struct snapshot_job *snapshot = (struct snapshot_job *)(void *)job;
	enum fts_status status = fts_store_flush(snapshot->state);
	if (status != FTS_OK) return status;
	return ftsi_log_mark(snapshot->log, &snapshot->mark, snapshot->cut_index);
}

static void snapshot_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct snapshot_job snapshot = *(struct snapshot_job *)(void *)job;
	free(job);
	free(snapshot.conf);
	replica->snapshot_running = false;
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "the snapshot at %llu can't be written: %s",
			       (unsigned long long)snapshot.mark.index, fts_status_name(status));
	} else {
		replica->log_bytes -= snapshot.log_bytes;
		FTS_LOG_INFO("replica.snapshot", "node=%s index=%llu log_bytes=%llu", replica->name,
			     (unsigned long long)snapshot.mark.index, (unsigned long long)snapshot.log_bytes);
	}
	snapshot.done(snapshot.request, status == FTS_OK ? 0 : RAFT_IOERR);
	ftsi_guard_observe(replica);
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
			   const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
	struct fts_replica *replica = replica_of(io);
	struct snapshot_job *job;
	if (atomic_load(&replica->failed)) return RAFT_IOERR;
	if (ftsi_state_is_fetched(replica, snapshot)) return ftsi_state_put(replica, request, snapshot, done);
	FTS_ASSERT(!replica->snapshot_running && replica->snapshot_job == NULL);
	job = calloc(1, sizeof *job);
	if (job == NULL ||
	    ftsi_configuration_encode(&snapshot->configuration, &job->conf, &job->mark.conf.size_bytes) != FTS_OK) {
		free(job);
		return RAFT_NOMEM;
	}
	job->mark.index = snapshot->index;
	job->mark.term = snapshot->term;
	job->mark.conf_index = snapshot->configuration_index;
	job->mark.conf.data = job->conf;
	job->cut_index = snapshot->index > trailing ? snapshot->index - trailing : 0;
	job->log = replica->log;
	job->state = replica->state;
	job->log_bytes = replica->log_bytes;
	job->request = request;
	job->done = done;
	job->job.work = snapshot_work;
	job->job.done = snapshot_done;
	/* What it names is applied, but perhaps not written yet: ftsi_loop_turn gives it to the worker. */
	replica->snapshot_job = &job->job;
	replica->snapshot_running = true;
	ftsi_guard_snapshot_due(replica, false);
	return 0;
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request, raft_io_snapshot_get_cb done)
{
	return ftsi_state_get(replica_of(io), request, done);
}

/* ---- The rest ---- */

static void io_close(struct raft_io *io, raft_io_close_cb done)
{
	replica_of(io)->raft_closed = done; /* ftsi_loop_turn calls it once the workers are idle */
}

static raft_time io_time(struct raft_io *io)
{
	return ftsi_now_ns(replica_of(io)) / 1000000;
}

static int io_random(struct raft_io *io, int min, int max)
{
	int timeout_ms = ftsi_elections_timeout_ms(replica_of(io), min);
	return timeout_ms < max ? timeout_ms : max;
}

void ftsi_raft_io_init(struct fts_replica *replica)
{
	replica->io = (struct raft_io){
	    .version = 1,
	    .impl = replica,
	    .init = io_init,
	    .close = io_close,
	    .load = io_load,
	    .start = io_start,
	    .bootstrap = io_bootstrap,
	    .recover = io_recover,
	    .set_term = io_set_term,
	    .set_vote = io_set_vote,
	    .send = io_send,
	    .append = io_append,
	    .truncate = io_truncate,
	    .snapshot_put = io_snapshot_put,
	    .snapshot_get = io_snapshot_get,
	    .time = io_time,
	    .random = io_random,
	};
}
