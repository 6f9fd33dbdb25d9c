/* Why this file exists: see simulation.h. What must hold, whatever goes wrong:
 *
 *  - a term has one leader, and whoever leads has every entry that was committed before its term;
 *  - what is committed at an index is the same everywhere and for ever, and was on the disks of a majority;
 *  - applied <= committed <= last; a term never goes back; what was on disk is there after a restart;
 *  - each command is applied at one place in the log, with the same result on all nodes, and an answer tells exactly
 *    that; a call that begins after another was answered comes behind it;
 *  - a read tells at least what anybody was told before it began, and nothing that was not applied;
 *  - at equal applied index states are equal; each node publishes all events in order, without a gap.
 *
 * Source: Ongaro (2014), figure 3.2; Herlihy and Wing, "Linearizability" (1990). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "replica/bytes.h"
#include "replica/state.h"
#include "replica/tables.h"
#include "simulation.h"
#include "store/key.h"

enum { TABLE_ENTRY = 2, HASH_EVERY = 8 };

static void *grow(void *array, uint64_t *capacity, uint64_t wanted, size_t size_bytes)
{
	uint64_t larger = *capacity == 0 ? 1024 : *capacity;
	char *grown;
	while (larger <= wanted)
		larger *= 2;
	if (larger == *capacity) return array;
	grown = realloc(array, larger * size_bytes);
	if (grown == NULL) abort();
	memset(grown + *capacity * size_bytes, 0, (larger - *capacity) * size_bytes);
	*capacity = larger;
	return grown;
}

static struct sim_entry *entry_at(struct simulation *sim, uint64_t index)
{
	sim->entries = grow(sim->entries, &sim->entry_capacity, index, sizeof *sim->entries);
	return &sim->entries[index];
}

static struct sim_operation *operation_at(struct simulation *sim, uint64_t number)
{
	sim->operations = grow(sim->operations, &sim->operation_capacity, number, sizeof *sim->operations);
	return &sim->operations[number];
}

void sim_check_fini(struct simulation *sim)
{
	free(sim->entries);
	free(sim->operations);
	free(sim->applied);
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		free(sim->nodes[i].seen.durable_terms);
}

/* ---- The log ---- */

/* The entry at index in raft's memory; NULL: not there (any more). */
static const struct raft_entry *raft_entry_at(const struct raft *raft, uint64_t index)
{
	const struct raft_log *log = &raft->log;
	size_t count = log->size == 0 ? 0 : (log->back + log->size - log->front) % log->size;
	if (index <= log->offset || index > log->offset + count) return NULL;
	return &log->entries[(log->front + (size_t)(index - log->offset - 1)) % log->size];
}

static uint64_t hash_entry(const struct raft_entry *entry)
{
	/* libraft rounds the size of a configuration up, and what it adds is whatever lies there. */
	size_t size = entry->type == RAFT_CHANGE ? entry->buf.len - 7 : entry->buf.len;
	uint64_t hash = XXH3_64bits_withSeed(entry->buf.base, size, entry->term * 16 + entry->type);
	return hash == 0 ? 1 : hash;
}

/* The terms on a running node's disk; *out_first: where they begin. Returned (free). */
static uint64_t *read_durable(struct fts_store *log, uint64_t *out_first, uint64_t *out_count)
{
	uint64_t *terms = NULL, capacity = 0;
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_key prefix;
	struct fts_bytes key, value;
	*out_first = *out_count = 0;
	fts_key_begin(&prefix, TABLE_ENTRY);
	if (fts_store_view(log, &view) != FTS_OK ||
	    fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor) != FTS_OK)
		abort();
	while (fts_cursor_next(cursor, &key, &value)) {
		if (*out_count == 0) *out_first = ftsi_get_u64(key.data + 2);
		terms = grow(terms, &capacity, *out_count, sizeof *terms);
		terms[(*out_count)++] = ftsi_get_u64(value.data);
	}
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	return terms;
}

void sim_check_ended(struct sim_node *node)
{
	struct sim_seen *seen = &node->seen;
	/* In an orderly stop it may have committed a last time in the step that closed raft, and what was there is
	 * gone. */
	if (node->replica->raft_running && node->replica->raft.commit_index > node->sim->commit_index)
		node->sim->commit_index = node->replica->raft.commit_index;
	free(seen->durable_terms);
	seen->durable_terms = read_durable(node->replica->log, &seen->durable_first, &seen->durable_count);
	if (seen->durable_count == 0) seen->durable_first = node->replica->raft.log.snapshot.last_index + 1;
}

static bool on_disk(struct sim_node *node, uint64_t index, uint64_t term)
{
	struct fts_txn *view = NULL;
	struct fts_value value = {0};
	struct fts_key key;
	bool there;
	if (node->replica == NULL) {
		const struct sim_seen *seen = &node->seen;
		if (index < seen->durable_first) return true;
		return index - seen->durable_first < seen->durable_count &&
		       seen->durable_terms[index - seen->durable_first] == term;
	}
	if (index <= node->replica->raft.log.snapshot.last_index) return true;
	fts_key_begin(&key, TABLE_ENTRY);
	fts_key_u64(&key, index);
	if (fts_store_view(node->replica->log, &view) != FTS_OK) abort();
	there = fts_txn_get(view, fts_key_bytes(&key), &value) == FTS_OK && ftsi_get_u64(value.data) == term;
	fts_value_release(&value);
	fts_txn_abort(view);
	return there;
}

static struct sim_node *node_by_id(struct simulation *sim, uint64_t id)
{
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		if (sim->nodes[i].seen.node_id == id) return &sim->nodes[i];
	return NULL;
}

static bool majority_has(struct sim_node *node, const struct raft_configuration *configuration, uint64_t index,
			 uint64_t term, uint32_t *out_have, uint32_t *out_voters)
{
	*out_have = *out_voters = 0;
	for (unsigned i = 0; i < configuration->n; i++) {
		struct sim_node *member = node_by_id(node->sim, configuration->servers[i].id);
		if (configuration->servers[i].role != RAFT_VOTER) continue;
		(*out_voters)++;
		*out_have += member != NULL && on_disk(member, index, term);
	}
	return 2 * *out_have > *out_voters;
}

/* A leader says that index is committed: a majority of its voters must have it on disk. When it has begun a change of
 * members in the same step, those of before it. */
static void check_majority(struct sim_node *node, uint64_t index, uint64_t term)
{
	uint32_t have, voters;
	if (majority_has(node, &node->replica->guards.committed, index, term, &have, &voters)) return;
	if (majority_has(node, &node->replica->raft.configuration, index, term, &have, &voters)) return;
	sim_violation(node->sim,
		      "node %s, leader in term %llu, commits entry %" PRIu64 " of term %" PRIu64
		      ", which %u of %u voters have on disk",
		      node->name, node->replica->raft.current_term, index, term, have, voters);
}

static void check_committed(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	const struct raft *raft = &node->replica->raft;
	for (uint64_t index = node->seen.commit + 1; index <= raft->commit_index; index++) {
		const struct raft_entry *found = raft_entry_at(raft, index);
		struct sim_entry *entry = entry_at(sim, index);
		uint64_t hash;
		if (found == NULL) continue; /* it came with a snapshot */
		hash = hash_entry(found);
		if (entry->hash == 0) {
			*entry = (struct sim_entry){.hash = hash, .term = found->term, .seen_term = raft->current_term};
			if (raft->state == RAFT_LEADER) check_majority(node, index, found->term);
		}
		if (entry->hash != hash)
			sim_violation(sim,
				      "node %s has committed entry %" PRIu64
				      " of term %llu where another had committed one of "
				      "term %" PRIu64,
				      node->name, index, found->term, entry->term);
	}
	if (raft->commit_index > node->seen.commit) node->seen.commit = raft->commit_index;
	if (raft->commit_index > sim->commit_index) sim->commit_index = raft->commit_index;
}

static void check_complete(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	const struct raft *raft = &node->replica->raft;
	for (uint64_t index = raft->log.snapshot.last_index + 1; index <= sim->commit_index; index++) {
		const struct sim_entry *entry = entry_at(sim, index);
		const struct raft_entry *found = raft_entry_at(raft, index);
		if (entry->hash == 0 || entry->seen_term >= raft->current_term) continue;
		if (found != NULL && hash_entry(found) == entry->hash) continue;
		sim_violation(sim,
			      "node %s leads in term %llu without entry %" PRIu64 " of term %" PRIu64
			      ", which was committed before",
			      node->name, raft->current_term, index, entry->term);
		return;
	}
}

static void check_leader(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	uint64_t term = node->replica->raft.current_term;
	uint64_t place = term % (sizeof sim->leaders / sizeof sim->leaders[0]);
	if (node->replica->raft.state != RAFT_LEADER || node->seen.leader_term == term) return;
	node->seen.leader_term = term;
	sim->counts.elections++;
	sim_note(sim, "leads", node->number, term, 0);
	if (sim->leaders[place].term == term && sim->leaders[place].node != node->number)
		sim_violation(sim, "nodes %s and %s both lead in term %" PRIu64,
			      sim->nodes[sim->leaders[place].node].name, node->name, term);
	sim->leaders[place].term = term;
	sim->leaders[place].node = node->number;
	check_complete(node);
}

void sim_check_started(struct sim_node *node)
{
	struct sim_seen *seen = &node->seen;
	const struct raft *raft = &node->replica->raft;
	seen->commit = seen->applied = seen->leader_term = 0;
	seen->event_known = false;
	seen->event_index = 0;
	seen->node_id = node->replica->identity.node_id;
	if (!node->replica->raft_running) return;
	if (raft->current_term < seen->term)
		sim_violation(node->sim, "node %s went back from term %" PRIu64 " to %llu", node->name, seen->term,
			      raft->current_term);
	for (uint64_t i = 0; i < seen->durable_count; i++) {
		uint64_t index = seen->durable_first + i;
		const struct raft_entry *found = raft_entry_at(raft, index);
		if (index <= raft->log.snapshot.last_index || (found != NULL && found->term == seen->durable_terms[i]))
			continue;
		sim_violation(node->sim, "node %s has lost entry %" PRIu64 " of term %" PRIu64 " from its disk",
			      node->name, index, seen->durable_terms[i]);
		break;
	}
}

/* ---- The state ---- */

static uint64_t state_hash(struct fts_store *state)
{
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	struct fts_bytes all = {NULL, 0};
	uint64_t hash = 1;
	if (fts_store_view(state, &view) != FTS_OK || fts_txn_scan(view, all, all, &cursor) != FTS_OK) abort();
	while (fts_cursor_next(cursor, &key, &value)) {
		if (key.data[0] == 0 && key.data[1] == FTSI_TABLE_META) continue;
		hash = XXH3_64bits_withSeed(key.data, key.size_bytes, hash);
		hash = XXH3_64bits_withSeed(value.data, value.size_bytes, hash);
	}
	if (fts_cursor_status(cursor) != FTS_OK) abort();
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	return hash == 0 ? 1 : hash;
}

static void compare_state(struct sim_node *node, uint64_t applied)
{
	struct sim_entry *entry = entry_at(node->sim, applied);
	uint64_t hash = state_hash(node->replica->state);
	if (entry->state_hash == 0) entry->state_hash = hash;
	sim_note(node->sim, "state", node->number, applied, hash);
	if (entry->state_hash != hash)
		sim_violation(node->sim, "node %s has another state at %" PRIu64 " than a node before it", node->name,
			      applied);
}

static void check_state(struct sim_node *node)
{
	uint64_t applied = atomic_load(&node->replica->applied_index);
	/* Nothing here ever alters a state: whoever finds one that differs has found a fault. */
	if (!ftsi_state_agrees(node->replica))
		sim_violation(node->sim, "node %s says that its state differs from the others'", node->name);
	if (applied > node->sim->commit_index)
		sim_violation(node->sim, "node %s has applied up to %" PRIu64 ", but only %" PRIu64 " is committed",
			      node->name, applied, node->sim->commit_index);
	if (applied == node->seen.applied || node->replica->txn != NULL) return;
	node->seen.applied = applied;
	if (applied % HASH_EVERY == 0 && atomic_load(&node->replica->doubted) == false) compare_state(node, applied);
}

void sim_check_step(struct sim_node *node)
{
	const struct raft *raft = &node->replica->raft;
	if (!node->replica->raft_open || !node->replica->raft_running || atomic_load(&node->replica->failed)) return;
	node->seen.node_id = node->replica->identity.node_id;
	if (raft->current_term < node->seen.term)
		sim_violation(node->sim, "node %s went back from term %" PRIu64 " to %llu", node->name, node->seen.term,
			      raft->current_term);
	node->seen.term = raft->current_term;
	if (raft->commit_index < node->seen.commit)
		sim_violation(node->sim, "node %s takes back its commit of %" PRIu64, node->name, node->seen.commit);
	if (raft->last_applied > raft->commit_index ||
	    raft->commit_index > raft_last_index((struct raft *)(uintptr_t)raft))
		sim_violation(node->sim, "node %s: last %llu, committed %llu, applied %llu", node->name,
			      raft_last_index((struct raft *)(uintptr_t)raft), raft->commit_index, raft->last_applied);
	check_leader(node);
	check_committed(node);
	check_state(node);
}

/* ---- Commands ---- */

/* The first place in sim->applied at or behind (index, ordinal). */
static uint64_t find_applied(const struct simulation *sim, uint64_t index, uint32_t ordinal)
{
	uint64_t low = 0, high = sim->applied_count;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		const struct sim_applied *at = &sim->applied[middle];
		if (at->index < index || (at->index == index && at->ordinal < ordinal))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void first_applied(struct simulation *sim, const struct sim_applied *applied)
{
	struct sim_operation *operation = operation_at(sim, applied->operation);
	if (operation->index != 0)
		sim_violation(sim, "operation %" PRIu64 " is applied at %" PRIu64 " and again at %" PRIu64,
			      applied->operation, operation->index, applied->index);
	operation->index = applied->index;
	operation->ordinal = applied->ordinal;
	sim->applied = grow(sim->applied, &sim->applied_capacity, sim->applied_count, sizeof *sim->applied);
	sim->applied[sim->applied_count++] = *applied;
	if (applied->status == FTS_OK) sim->latest[applied->key] = applied->value;
}

void sim_check_applied(struct sim_node *node, const struct fts_apply *apply,
		       const Fts__Test__Tally__V1__AddRequest *request, enum fts_status status, uint64_t value)
{
	struct simulation *sim = node->sim;
	struct sim_applied now = {.index = apply->index,
				  .ordinal = apply->ordinal,
				  .operation = request->operation,
				  .key = request->key,
				  .value = value,
				  .status = status};
	uint64_t place = find_applied(sim, now.index, now.ordinal);
	const struct sim_applied *before = place < sim->applied_count ? &sim->applied[place] : NULL;
	sim_note(sim, "apply", node->number, now.index, now.operation);
	if (before == NULL) {
		first_applied(sim, &now);
		return;
	}
	if (before->index != now.index || before->ordinal != now.ordinal || before->operation != now.operation ||
	    before->value != now.value || before->status != now.status)
		sim_violation(sim,
			      "node %s applies operation %" PRIu64 " at %" PRIu64 " (%s, %" PRIu64
			      "), where another node had operation %" PRIu64 " at %" PRIu64 " (%s, %" PRIu64 ")",
			      node->name, now.operation, now.index, fts_status_name(now.status), now.value,
			      before->operation, before->index, fts_status_name(before->status), before->value);
}

/* ---- Events ---- */

void sim_check_replaced(struct sim_node *node)
{
	sim_note(node->sim, "replaced", node->number, atomic_load(&node->replica->applied_index), 0);
	node->seen.event_known = false;
}

static bool matches(const struct sim_applied *applied, struct fts_bytes payload)
{
	Fts__Test__Tally__V1__Added *event =
	    fts__test__tally__v1__added__unpack(NULL, payload.size_bytes, payload.data);
	bool same = event != NULL && event->operation == applied->operation && event->value == applied->value &&
		    event->key == applied->key;
	if (event != NULL) fts__test__tally__v1__added__free_unpacked(event, NULL);
	return same;
}

/* An event of the counters is that of the next command that was applied. */
static void check_added(struct sim_node *node, uint64_t index, uint32_t ordinal, struct fts_bytes payload)
{
	struct simulation *sim = node->sim;
	struct sim_seen *seen = &node->seen;
	if (!seen->event_known) seen->event_at = find_applied(sim, index, 0);
	while (seen->event_at < sim->applied_count && sim->applied[seen->event_at].status != FTS_OK)
		seen->event_at++;
	if (seen->event_at >= sim->applied_count || sim->applied[seen->event_at].index != index ||
	    !matches(&sim->applied[seen->event_at], payload))
		sim_violation(sim,
			      "node %s publishes another event %u of %" PRIu64 " than the log has, or leaves some out",
			      node->name, ordinal, index);
	seen->event_known = true;
	seen->event_at++;
}

void sim_check_event(struct sim_node *node, uint64_t index, uint32_t ordinal, struct fts_bytes topic,
		     struct fts_bytes payload)
{
	struct sim_seen *seen = &node->seen;
	if (ordinal != (index == seen->event_index ? seen->event_ordinal + 1 : 0) || index < seen->event_index)
		sim_violation(node->sim, "node %s publishes event %u of %" PRIu64 " after event %u of %" PRIu64,
			      node->name, ordinal, index, seen->event_ordinal, seen->event_index);
	seen->event_index = index;
	seen->event_ordinal = ordinal;
	if (topic.size_bytes == strlen("test.tally") && memcmp(topic.data, "test.tally", topic.size_bytes) == 0)
		check_added(node, index, ordinal, payload);
}

/* ---- What callers are told ---- */

void sim_check_answer(struct sim_client *client, struct simulation *sim, enum fts_status status, uint64_t index,
		      uint64_t value)
{
	const struct sim_operation *operation = operation_at(sim, client->operation);
	const struct sim_applied *applied;
	uint64_t place = find_applied(sim, operation->index, operation->ordinal);
	client->acknowledged_count++;
	if (operation->index == 0 || place >= sim->applied_count) {
		sim_violation(sim, "operation %" PRIu64 " was answered, but never applied", client->operation);
		return;
	}
	applied = &sim->applied[place];
	if (applied->status != status || applied->index != index || (status == FTS_OK && applied->value != value))
		sim_violation(sim,
			      "operation %" PRIu64 " was answered with %s, %" PRIu64 " at %" PRIu64
			      ", but applied with %s, %" PRIu64 " at %" PRIu64,
			      client->operation, fts_status_name(status), value, index,
			      fts_status_name(applied->status), applied->value, applied->index);
	if (index <= client->floor_index)
		sim_violation(sim,
			      "operation %" PRIu64 " lies at %" PRIu64 ", but one at %" PRIu64
			      " was answered before it began",
			      client->operation, index, client->floor_index);
	if (index > sim->acknowledged_index) sim->acknowledged_index = index;
	client->last_known[client->key] = applied->value;
	if (status == FTS_OK && value > sim->told[client->key]) sim->told[client->key] = value;
}

void sim_check_read(struct sim_client *client, struct simulation *sim, uint32_t node, uint64_t value)
{
	client->read_count++;
	if (value < client->floor)
		sim_violation(sim,
			      "a read of %u at node %u began when others had been told %" PRIu64 ", and gave %" PRIu64,
			      client->key, node + 1, client->floor, value);
	if (value > sim->latest[client->key])
		sim_violation(sim, "a read of %u gave %" PRIu64 ", and %" PRIu64 " is all that was applied",
			      client->key, value, sim->latest[client->key]);
	client->last_known[client->key] = value;
	if (value > sim->told[client->key]) sim->told[client->key] = value;
}

/* ---- The end ---- */

bool sim_check_converged(struct simulation *sim)
{
	const struct fts_replica *first = NULL;
	if (sim->open_calls > 0 || sim_leader(sim) == NULL || !sim_agencies_done(sim) || !sim_members_settled(sim))
		return false;
	for (uint32_t i = 0; i < sim->caller_count; i++)
		if (sim->callers[i]->busy) return false;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		const struct fts_replica *replica = sim->nodes[i].replica;
		if (!sim->nodes[i].used) continue;
		if (replica == NULL || !replica->raft_running || replica->txn != NULL) return false;
		if (first == NULL) first = replica;
		if (replica->raft.last_applied != first->raft.last_applied ||
		    replica->raft.commit_index != sim->commit_index ||
		    atomic_load(&replica->applied_index) != atomic_load(&first->applied_index))
			return false;
	}
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		if (sim->nodes[i].used)
			compare_state(&sim->nodes[i], atomic_load(&sim->nodes[i].replica->applied_index));
	return true;
}
