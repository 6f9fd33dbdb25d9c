/* Why this file exists: see replica/message.h. */
#include "replica/message.h"

#include <stdlib.h>
#include <string.h>

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/configuration.h"
#include "replica/outbox.h"

/* ---- Out ---- */

static bool send_append(struct fts_replica *replica, const struct raft_message *message,
			Fts__Replica__V1__PeerMessage *out)
{
	const struct raft_append_entries *from = &message->append_entries;
	Fts__Replica__V1__AppendEntries append = FTS__REPLICA__V1__APPEND_ENTRIES__INIT;
	Fts__Replica__V1__Entry *entries = NULL, **pointers = NULL;
	bool sent = false;
	append.term = from->term;
	append.prev_log_index = from->prev_log_index;
	append.prev_log_term = from->prev_log_term;
	append.leader_commit = from->leader_commit;
	append.n_entries = from->n_entries;
	if (from->n_entries > 0) {
		entries = malloc(from->n_entries * sizeof *entries);
		pointers = malloc(from->n_entries * sizeof *pointers);
		if (entries == NULL || pointers == NULL) goto out;
	}
	for (unsigned i = 0; i < from->n_entries; i++) {
		const struct raft_entry *entry = &from->entries[i];
		fts__replica__v1__entry__init(&entries[i]);
		entries[i].term = entry->term;
		entries[i].type = entry->type;
		entries[i].data = (ProtobufCBinaryData){entry->buf.len, entry->buf.base};
		pointers[i] = &entries[i];
	}
	append.entries = pointers;
	out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES;
	out->append_entries = &append;
	sent = ftsi_outbox_send(replica, message->server_id, message->server_address, out);
out:
	free(pointers);
	free(entries);
	return sent;
}

static bool send_snapshot(struct fts_replica *replica, const struct raft_message *message,
			  Fts__Replica__V1__PeerMessage *out)
{
	const struct raft_install_snapshot *from = &message->install_snapshot;
	Fts__Replica__V1__InstallSnapshot install = FTS__REPLICA__V1__INSTALL_SNAPSHOT__INIT;
	bool sent;
	if (ftsi_configuration_encode(&from->conf, &install.configuration.data, &install.configuration.len) != FTS_OK)
		return false;
	install.term = from->term;
	install.last_index = from->last_index;
	install.last_term = from->last_term;
	install.configuration_index = from->conf_index;
	install.name = (ProtobufCBinaryData){from->data.len, from->data.base};
	out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_INSTALL_SNAPSHOT;
	out->install_snapshot = &install;
	sent = ftsi_outbox_send(replica, message->server_id, message->server_address, out);
	free(install.configuration.data);
	return sent;
}

static bool send_small(struct fts_replica *replica, const struct raft_message *message,
		       Fts__Replica__V1__PeerMessage *out)
{
	Fts__Replica__V1__AppendEntriesResult result = FTS__REPLICA__V1__APPEND_ENTRIES_RESULT__INIT;
	Fts__Replica__V1__RequestVote vote = FTS__REPLICA__V1__REQUEST_VOTE__INIT;
	Fts__Replica__V1__RequestVoteResult answer = FTS__REPLICA__V1__REQUEST_VOTE_RESULT__INIT;
	Fts__Replica__V1__TimeoutNow now = FTS__REPLICA__V1__TIMEOUT_NOW__INIT;
	switch (message->type) {
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		result.term = message->append_entries_result.term;
		result.rejected = message->append_entries_result.rejected;
		result.last_log_index = message->append_entries_result.last_log_index;
		out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT;
		out->append_entries_result = &result;
		break;
	case RAFT_IO_REQUEST_VOTE:
		vote.term = message->request_vote.term;
		vote.last_log_index = message->request_vote.last_log_index;
		vote.last_log_term = message->request_vote.last_log_term;
		vote.disrupt_leader = message->request_vote.disrupt_leader;
		vote.pre_vote = message->request_vote.pre_vote;
		out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE;
		out->request_vote = &vote;
		break;
	case RAFT_IO_REQUEST_VOTE_RESULT:
		answer.term = message->request_vote_result.term;
		answer.vote_granted = message->request_vote_result.vote_granted;
		answer.pre_vote = message->request_vote_result.pre_vote;
		out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT;
		out->request_vote_result = &answer;
		break;
	case RAFT_IO_TIMEOUT_NOW:
		now.term = message->timeout_now.term;
		now.last_log_index = message->timeout_now.last_log_index;
		now.last_log_term = message->timeout_now.last_log_term;
		out->kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW;
		out->timeout_now = &now;
		break;
	default:
		return false;
	}
	return ftsi_outbox_send(replica, message->server_id, message->server_address, out);
}

bool ftsi_message_send(struct fts_replica *replica, const struct raft_message *message)
{
	Fts__Replica__V1__PeerMessage out = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	if (message->type == RAFT_IO_APPEND_ENTRIES) return send_append(replica, message, &out);
	if (message->type == RAFT_IO_INSTALL_SNAPSHOT) return send_snapshot(replica, message, &out);
	return send_small(replica, message, &out);
}

/* ---- In ---- */

/* libraft reads a configuration without looking where it ends. */
static bool is_configuration(const ProtobufCBinaryData *data)
{
	struct raft_configuration configuration;
	if (ftsi_configuration_decode_entry((struct fts_bytes){data->data, data->len}, &configuration) != FTS_OK)
		return false;
	raft_configuration_close(&configuration);
	return true;
}

static bool fits(const Fts__Replica__V1__AppendEntries *from, size_t *out_size)
{
	size_t size = 0;
	for (size_t i = 0; i < from->n_entries; i++) {
		const Fts__Replica__V1__Entry *entry = from->entries[i];
		/* libraft knows no others, and takes no term 0 */
		if (entry->type < RAFT_COMMAND || entry->type > RAFT_CHANGE || entry->term == 0 ||
		    entry->term > from->term || entry->data.len == 0 ||
		    (entry->type == RAFT_CHANGE && !is_configuration(&entry->data)))
			return false;
		size += entry->data.len;
	}
	*out_size = size;
	return from->n_entries <= UINT32_MAX && from->prev_log_index <= UINT64_MAX - from->n_entries - 1;
}

static bool decode_append(const Fts__Replica__V1__AppendEntries *from, struct raft_append_entries *append)
{
	size_t size;
	uint8_t *at;
	if (!fits(from, &size)) return false;
	*append = (struct raft_append_entries){.term = from->term,
					       .prev_log_index = from->prev_log_index,
					       .prev_log_term = from->prev_log_term,
					       .leader_commit = from->leader_commit,
					       .n_entries = (unsigned)from->n_entries};
	if (from->n_entries == 0) return true;
	append->entries = raft_calloc(from->n_entries, sizeof *append->entries);
	at = raft_malloc(size);
	if (append->entries == NULL || at == NULL) {
		raft_free(at);
		raft_free(append->entries);
		return false;
	}
	append->entries[0].batch = at;
	for (size_t i = 0; i < from->n_entries; i++) {
		const Fts__Replica__V1__Entry *entry = from->entries[i];
		append->entries[i].term = entry->term;
		append->entries[i].type = (unsigned short)entry->type;
		append->entries[i].batch = append->entries[0].batch;
		append->entries[i].buf = (struct raft_buffer){at, entry->data.len};
		memcpy(at, entry->data.data, entry->data.len);
		at += entry->data.len;
	}
	return true;
}

static uint64_t term_of(const Fts__Replica__V1__PeerMessage *message)
{
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES:
		return message->append_entries->term;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
		return message->append_entries_result->term;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE:
		return message->request_vote->term;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT:
		return message->request_vote_result->term;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW:
		return message->timeout_now->term;
	default:
		return 0;
	}
}

bool ftsi_message_decode(const Fts__Replica__V1__PeerMessage *message, struct raft_message *out)
{
	if (term_of(message) > FTSI_TERM_MAX) return false;
	*out = (struct raft_message){.server_id = message->from};
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES:
		out->type = RAFT_IO_APPEND_ENTRIES;
		return decode_append(message->append_entries, &out->append_entries);
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
		out->type = RAFT_IO_APPEND_ENTRIES_RESULT;
		out->append_entries_result = (struct raft_append_entries_result){
		    message->append_entries_result->term, message->append_entries_result->rejected,
		    message->append_entries_result->last_log_index};
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE:
		out->type = RAFT_IO_REQUEST_VOTE;
		out->request_vote = (struct raft_request_vote){
		    message->request_vote->term,           message->from,
		    message->request_vote->last_log_index, message->request_vote->last_log_term,
		    message->request_vote->disrupt_leader, message->request_vote->pre_vote};
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT:
		out->type = RAFT_IO_REQUEST_VOTE_RESULT;
		out->request_vote_result = (struct raft_request_vote_result){
		    message->request_vote_result->term, message->request_vote_result->vote_granted,
		    (raft_tribool)message->request_vote_result->pre_vote};
		return message->request_vote_result->pre_vote <= raft_tribool_false;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW:
		out->type = RAFT_IO_TIMEOUT_NOW;
		out->timeout_now =
		    (struct raft_timeout_now){message->timeout_now->term, message->timeout_now->last_log_index,
					      message->timeout_now->last_log_term};
		return true;
	default:
		return false;
	}
}

void ftsi_message_drop(struct raft_message *message)
{
	if (message->type != RAFT_IO_APPEND_ENTRIES || message->append_entries.entries == NULL) return;
	raft_free(message->append_entries.entries[0].batch);
	raft_free(message->append_entries.entries);
	message->append_entries.entries = NULL;
	message->append_entries.n_entries = 0;
}
