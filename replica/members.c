/* Why this file exists: see replica/members.h. */
#include "replica/members.h"

#include <stdio.h>
#include <string.h>

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/clocks.h"
#include "replica/internal.h"
#include "replica/member_text.h"
#include "replica/state.h"

/* ---- The table ---- */

struct ftsi_member *ftsi_member_by_id(struct fts_replica *replica, uint64_t node_id)
{
	for (size_t i = 0; i < replica->members.count && node_id != 0; i++)
		if (replica->members.each[i].node_id == node_id) return &replica->members.each[i];
	return NULL;
}

struct ftsi_member *ftsi_member_by_address(struct fts_replica *replica, const char *address)
{
	const char *equals = strchr(address, '=');
	struct ftsi_member *found = NULL;
	if (equals != NULL) address = equals + 1;
	for (size_t i = 0; i < replica->members.count; i++) {
		struct ftsi_member *member = &replica->members.each[i];
		if (strcmp(member->address, address) != 0) continue;
		if (member->configured) return member;
		if (found == NULL) found = member;
	}
	return found;
}

/* a rather than b gives up its place: whose connection has ended, then who has been silent for longer. */
static bool goes_before(const struct ftsi_member *a, const struct ftsi_member *b)
{
	return a->connected != b->connected ? b->connected : a->heard_ns < b->heard_ns;
}

/* A place for a new one: when all are taken, that of somebody who is no member. It may seem to be connected still: the
 * end of a connection is told by address, and of several ids that were heard from there one is found. */
static struct ftsi_member *place(struct ftsi_members *members)
{
	struct ftsi_member *found = NULL;
	if (members->count < FTSI_MEMBER_MAX) return &members->each[members->count++];
	for (size_t i = 0; i < members->count; i++) {
		struct ftsi_member *member = &members->each[i];
		if (!member->configured && (found == NULL || goes_before(member, found))) found = member;
	}
	return found;
}

static struct ftsi_member *add(struct fts_replica *replica, const char *name, const char *address)
{
	struct ftsi_member *member = place(&replica->members);
	if (member == NULL) return NULL;
	memset(member, 0, sizeof *member);
	member->digest_ok = true;
	(void)snprintf(member->name, sizeof member->name, "%s", name);
	(void)snprintf(member->address, sizeof member->address, "%s", address);
	(void)ftsi_member_text(member->name, member->address, member->text);
	return member;
}

/* Whoever comes to an address under another id is somebody else: what the old one told is forgotten. */
static void identify(struct fts_replica *replica, struct ftsi_member *member, uint64_t node_id, const char *name)
{
	struct ftsi_member *other = ftsi_member_by_id(replica, node_id);
	if (other != NULL && other != member) other->node_id = 0; /* it has moved */
	if (member->node_id == node_id && strcmp(member->name, name) == 0) return;
	(void)snprintf(member->name, sizeof member->name, "%s", name);
	(void)ftsi_member_text(member->name, member->address, member->text);
	if (member->node_id == node_id) return;
	member->node_id = node_id;
	member->heard_ns = member->applied = member->commit_told = member->next_index = 0;
	member->disk_full = member->disk_slow = false;
	member->digest_ok = true;
	member->format_max = 0;
	member->stall_count = member->stall_max_ms = 0;
	member->version[0] = '\0';
	member->clock_ns = 0;
}

void ftsi_members_learn(struct fts_replica *replica, uint64_t node_id, const char *name, const char *address)
{
	struct ftsi_member *member = ftsi_member_by_address(replica, address);
	if (node_id == 0 || node_id == replica->identity.node_id || strlen(address) >= sizeof member->address ||
	    strlen(name) >= sizeof member->name)
		return;
	/* Where the configuration has another id, it may be this node's that is old: the new one may lead, and this
	 * node learn of it from nobody else. So both are known, each by its id. */
	if (member != NULL && member->configured) {
		if (ftsi_member_by_id(replica, node_id) != NULL) return;
		member = NULL;
	}
	if (member == NULL) member = add(replica, name, address);
	if (member != NULL) identify(replica, member, node_id, name);
}

void ftsi_members_note_program(struct fts_replica *replica, uint64_t node_id, uint32_t format_max, const char *version)
{
	struct ftsi_member *member = ftsi_member_by_id(replica, node_id);
	if (member == NULL) return;
	member->format_max = format_max < FTS_FORMAT_FIRST ? FTS_FORMAT_FIRST : format_max;
	(void)snprintf(member->version, sizeof member->version, "%.*s", FTS_VERSION_BYTES - 1, version);
}

struct ftsi_member *ftsi_members_connected(struct fts_replica *replica, const char *address, bool connected)
{
	struct ftsi_member *member = ftsi_member_by_address(replica, address);
	char name[FTSI_MEMBER_NAME_BYTES], calls[FTSI_MEMBER_ADDRESS_BYTES];
	if (member == NULL) {
		ftsi_member_split(address, name, calls);
		member = add(replica, name, calls);
	}
	if (member == NULL) return NULL;
	member->connected = connected;
	if (connected) ftsi_member_want_append(replica, member); /* it may have waited for us */
	return member;
}

void ftsi_members_heard(struct fts_replica *replica, uint64_t node_id)
{
	struct ftsi_member *member = ftsi_member_by_id(replica, node_id);
	if (member == NULL) return;
	member->heard_ns = replica->now_ns;
	member->connected = true;
}

/* ---- raft's configuration ---- */

/* Whoever else was at the address of member is there no more. */
static void take_over(struct fts_replica *replica, const struct ftsi_member *member)
{
	for (size_t i = 0; i < replica->members.count; i++) {
		struct ftsi_member *other = &replica->members.each[i];
		if (other != member && strcmp(other->address, member->address) == 0) other->connected = false;
	}
}

/* Of whom only the address is known. Who was heard from there said by itself which id it has, and keeps it: while a log
 * is caught up with, the configuration may be one of long ago, and its id that of whom was there before. */
static struct ftsi_member *unheard_at(struct fts_replica *replica, const char *address)
{
	for (size_t i = 0; i < replica->members.count; i++) {
		struct ftsi_member *member = &replica->members.each[i];
		if (strcmp(member->address, address) == 0 && member->heard_ns == 0) return member;
	}
	return NULL;
}

static void follow(struct fts_replica *replica, const struct raft_server *server)
{
	struct ftsi_member *member = ftsi_member_by_id(replica, server->id);
	char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
	ftsi_member_split(server->address, name, address);
	if (member == NULL || strcmp(member->address, address) != 0) member = unheard_at(replica, address);
	if (member == NULL) member = add(replica, name, address);
	if (member == NULL) return;
	identify(replica, member, server->id, name);
	member->configured = true;
	take_over(replica, member);
}

void ftsi_members_turn(struct fts_replica *replica)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	for (size_t i = 0; i < replica->members.count; i++) {
		struct ftsi_member *member = &replica->members.each[i];
		bool configured = false;
		for (unsigned j = 0; j < configuration->n && !configured; j++)
			configured = configuration->servers[j].id == member->node_id;
		member->configured = configured;
	}
	for (unsigned j = 0; j < configuration->n; j++) {
		const struct ftsi_member *member = ftsi_member_by_id(replica, configuration->servers[j].id);
		if (configuration->servers[j].id != replica->identity.node_id &&
		    (member == NULL || !member->configured))
			follow(replica, &configuration->servers[j]);
	}
}

/* ---- What a leader has to send soon ---- */

static struct raft_progress *progress_of(const struct fts_replica *replica, uint64_t node_id)
{
	const struct raft *raft = &replica->raft;
	if (!replica->raft_running || raft->state != RAFT_LEADER) return NULL;
	for (unsigned i = 0; i < raft->configuration.n; i++)
		if (raft->configuration.servers[i].id == node_id) return &raft->leader_state.progress[i];
	return NULL;
}

void ftsi_member_want_append(struct fts_replica *replica, const struct ftsi_member *member)
{
	struct raft_progress *progress = progress_of(replica, member->node_id);
	if (progress != NULL) progress->last_send = 0; /* libraft takes its heartbeat for overdue */
}

void ftsi_member_offer_again(struct fts_replica *replica, const struct ftsi_member *member)
{
	struct raft_progress *progress = progress_of(replica, member->node_id);
	if (progress != NULL) progress->snapshot_last_send = 0; /* libraft takes it for timed out */
}

bool ftsi_members_lack_commit(const struct fts_replica *replica)
{
	if (replica->raft.state != RAFT_LEADER) return false;
	for (size_t i = 0; i < replica->members.count; i++) {
		const struct ftsi_member *member = &replica->members.each[i];
		if (member->configured && member->connected && member->commit_told < replica->raft.commit_index)
			return true;
	}
	return false;
}

void ftsi_members_want_commit(struct fts_replica *replica)
{
	for (size_t i = 0; i < replica->members.count; i++)
		if (replica->members.each[i].commit_told < replica->raft.commit_index)
			ftsi_member_want_append(replica, &replica->members.each[i]);
}

uint64_t ftsi_member_match_index(struct fts_replica *replica, const struct ftsi_member *member)
{
	const struct raft_progress *progress = progress_of(replica, member->node_id);
	return progress == NULL ? 0 : progress->match_index;
}

/* A state on its way to a member has everything up to its index. */
uint64_t ftsi_member_has_index(const struct fts_replica *replica, const struct ftsi_member *member)
{
	const struct raft_progress *progress = progress_of(replica, member->node_id);
	if (progress == NULL) return 0;
	return progress->match_index > progress->snapshot_index ? progress->match_index : progress->snapshot_index;
}

/* ---- How everybody is ---- */

bool ftsi_member_is_alive(const struct fts_replica *replica, const struct ftsi_member *member)
{
	return member->connected && member->heard_ns != 0 &&
	       replica->now_ns - member->heard_ns <= 2 * (uint64_t)replica->election_ms * 1000000;
}

void ftsi_members_pulse(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	struct ftsi_member *member = ftsi_member_by_id(replica, message->from);
	if (member == NULL) return;
	member->applied = message->pulse->applied;
	member->disk_full = message->pulse->disk_full;
	member->disk_slow = message->pulse->disk_slow;
	member->doubted = message->pulse->doubted;
	member->stall_count = message->pulse->stalls;
	member->stall_max_ms = message->pulse->stall_max_ms;
	member->digest_ok = !message->pulse->doubted && !message->pulse->differs;
	ftsi_members_note_program(replica, message->from, message->pulse->format_max, message->pulse->version);
	ftsi_clocks_told(replica, member, message->pulse->wall_ms);
}

static void send_pulse(struct fts_replica *replica)
{
	Fts__Replica__V1__Pulse pulse = FTS__REPLICA__V1__PULSE__INIT;
	pulse.applied = ftsi_applied_index(replica);
	pulse.disk_full = atomic_load(&replica->disk_full);
	pulse.disk_slow = atomic_load(&replica->disk_slow);
	pulse.doubted = atomic_load(&replica->doubted);
	pulse.differs = !ftsi_state_agrees(replica);
	pulse.stalls = replica->stalls.count;
	pulse.stall_max_ms = replica->stalls.max_ms;
	pulse.format_max = replica->format_max;
	pulse.version = replica->version;
	pulse.wall_ms = replica->environment->wall_ms(replica->environment->ctx);
	for (size_t i = 0; i < replica->members.count; i++) {
		const struct ftsi_member *member = &replica->members.each[i];
		Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
		if (!member->configured) continue;
		message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_PULSE;
		message.pulse = &pulse;
		(void)ftsi_outbox_send(replica, member->node_id, member->text, &message);
	}
}

static uint32_t list(struct fts_replica *replica, struct fts_replica_member_status *out)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	uint32_t count = 0;
	for (unsigned i = 0; i < configuration->n && count < FTS_REPLICA_MEMBER_MAX; i++) {
		const struct raft_server *server = &configuration->servers[i];
		const struct ftsi_member *member = ftsi_member_by_id(replica, server->id);
		struct fts_replica_member_status *at = &out[count++];
		bool self = server->id == replica->identity.node_id;
		*at = (struct fts_replica_member_status){
		    .node_id = server->id,
		    .voter = server->role == RAFT_VOTER,
		    .learner = server->role == RAFT_STANDBY,
		    .leader = server->id == replica->elections.leader_id,
		    .self = self,
		    .alive = self || (member != NULL && ftsi_member_is_alive(replica, member)),
		    .digest_ok = self ? ftsi_state_agrees(replica) : member == NULL || member->digest_ok,
		    .applied = self             ? ftsi_applied_index(replica)
			       : member == NULL ? 0
						: member->applied,
		    .format_max = self             ? replica->format_max
				  : member == NULL ? 0
						   : member->format_max,
		};
		if (self)
			at->stalls = replica->stalls;
		else if (member != NULL)
			at->stalls = (struct fts_replica_stalls){member->stall_count, member->stall_max_ms};
		(void)snprintf(at->version, sizeof at->version, "%s",
			       self             ? replica->version
			       : member == NULL ? ""
						: member->version);
		ftsi_member_split(server->address, at->name, at->address);
		if (self) {
			(void)snprintf(at->name, sizeof at->name, "%s", replica->name);
			(void)snprintf(at->address, sizeof at->address, "%s", replica->address);
		}
	}
	return count;
}

void ftsi_members_tell(struct fts_replica *replica)
{
	struct fts_replica_member_status made[FTS_REPLICA_MEMBER_MAX];
	uint32_t count = list(replica, made);
	pthread_mutex_lock(&replica->status_lock);
	memcpy(replica->member_status, made, count * sizeof made[0]);
	replica->member_status_count = count;
	pthread_mutex_unlock(&replica->status_lock);
}

void ftsi_members_tick(struct fts_replica *replica, uint64_t now_ns)
{
	if (now_ns >= replica->members.pulse_ns) {
		replica->members.pulse_ns = now_ns + (uint64_t)replica->election_ms * 1000000 / 2;
		send_pulse(replica);
	}
	ftsi_clocks_compare(replica);
	ftsi_members_tell(replica);
}

size_t fts_replica_members(struct fts_replica *replica, struct fts_replica_member_status *out_members)
{
	size_t count;
	pthread_mutex_lock(&replica->status_lock);
	count = replica->member_status_count;
	memcpy(out_members, replica->member_status, count * sizeof *out_members);
	pthread_mutex_unlock(&replica->status_lock);
	return count;
}
