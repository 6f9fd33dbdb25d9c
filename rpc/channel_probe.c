/* Why this file exists: a server that is stopped or cut off does not break its connections: it goes silent. A call
 * that waits on such a connection would wait until its time limit, though the others have long elected a new leader
 * (channel_internal.h).
 *
 * - A connection over which nothing has come for 100 ms while a call waits on it is asked, and so are all others that
 *   are up: who leads (Cluster/Leader, a question of a few bytes; no call of the caller's)?
 * - When the answer names another server, the calls that wait for the leader move there. When it names the same, or
 *   nobody knows, the others are asked again after 10 ms, or a sixteenth of the silence so far: a new leader is found
 *   soon compared with the time its election took, and 5 s of silence cost 60 questions to each.
 * - Calls that any server may answer move when the silent one has not answered its question for 50 ms and another has.
 * - A server that answers the question is alive, and its calls may take as long as they like (a read that waits for a
 *   draw): it alone is asked again after 100 ms, doubling to 2 s; about calls sent meanwhile all are asked, as above.
 * - A server that is silent while others answer is distrusted: asked last, until it says something. After 5 s its
 *   connection is given up, so that the next one shows whether it is there.
 * - A connection that is not used is asked after 10 s: whoever has gone unseen is not moved to.
 * - At most one question is open on a connection. With a single endpoint nothing is asked: there is nowhere to go.
 *
 * What a question costs when everybody answers: nothing. The channel's timer looks at its connections every 100 ms
 * while there are calls; no timer is started for a call. */
#include "rpc/channel_internal.h"

#include "base/clock.h"

#include <fts/cluster/v1/cluster.fts.h>

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define SILENCE_NS (100 * NS_PER_MS)
#define ASK_AGAIN_SHARE 16u
#define ASK_AGAIN_SHORTEST_NS (10 * NS_PER_MS)
#define ASK_AGAIN_LONGEST_NS (1000 * NS_PER_MS)
#define REST_LONGEST_NS (2000 * NS_PER_MS)
#define READS_MOVE_NS (50 * NS_PER_MS)
#define GIVE_UP_NS (5000 * NS_PER_MS)
#define IDLE_ASK_NS (10000 * NS_PER_MS)
#define QUESTION_TIMEOUT_MS 1000u

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- Asking ---- */

static void ask_for(struct fts_channel *channel, struct ftsi_link *link, const struct fts_method *method)
{
	struct ftsi_call_fields header = {
	    .method_id = method->id,
	    .timeout_ms = QUESTION_TIMEOUT_MS,
	    .token = {channel->token, channel->token_size_bytes},
	};
	uint8_t route[4], token[FTSI_TOKEN_MAX_BYTES];
	if (channel->token_source != NULL) {
		header.token = (struct fts_bytes){token, channel->token_source(channel->token_ctx, token)};
		header.token_of_call = true;
	}
	if (link->state != FTSI_LINK_UP || link->probe.question_id != 0) return;
	/* The slot behind the last: no call has it. */
	uint32_t id = ++channel->question_generation << channel->slot_bits | channel->call_count_max;
	id |= FTSI_REQUEST_ID_BIT;
	link->probe.question_id = id;
	link->probe.is_about_members = method == fts_cluster_status_method;
	ftsi_put_be32(route, id);
	struct ftsi_outgoing outgoing = {.route = {route, sizeof route}, .call = &header};
	struct ftsi_conn *conn = ftsi_conn_hold(link->conn);
	pthread_mutex_unlock(&channel->mutex);

	enum fts_status status = ftsi_conn_send(conn, &outgoing, NULL);
	ftsi_conn_release(conn);

	pthread_mutex_lock(&channel->mutex);
	if (status != FTS_OK && link->probe.question_id == id) link->probe.question_id = 0;
}

static void ask(struct fts_channel *channel, struct ftsi_link *link)
{
	ask_for(channel, link, fts_cluster_leader_method);
}

void ftsi_probe_ask_members(struct fts_channel *channel, struct ftsi_link *link)
{
	ask_for(channel, link, fts_cluster_status_method);
}

static void ask_all(struct fts_channel *channel)
{
	for (uint32_t i = 0; i < channel->link_count; i++)
		ask(channel, channel->links[i]);
}

/* ---- What is heard ---- */

void ftsi_probe_reset(struct ftsi_link *link, uint64_t now_ns)
{
	link->probe = (struct ftsi_probe){.heard_ns = now_ns, .oldest_new_ns = UINT64_MAX};
}

void ftsi_probe_heard(struct ftsi_link *link, const struct ftsi_conn *conn)
{
	uint64_t batch = ftsi_conn_batch(conn);
	if (link->probe.batch == batch) return;
	link->probe.batch = batch;
	link->probe.heard_ns = fts_clock_monotonic_ns();
	link->probe.is_distrusted = false;
}

static bool is_silent(const struct ftsi_link *link)
{
	return link->probe.asked_ns != 0 && link->probe.heard_ns <= link->probe.asked_ns;
}

/* The link of the leader that was named: by name when a link is known to be that node, since one server may be written
 * in several ways; else by address. */
static uint32_t link_of_leader(struct fts_channel *channel, const char *name, const char *address)
{
	for (uint32_t i = 0; name[0] != '\0' && i < channel->link_count; i++) {
		const struct ftsi_link *link = channel->links[i];
		if (ftsi_link_is_trusted_up(link) && strcmp(link->node, name) == 0) return i;
	}
	return ftsi_route_learn(channel, address);
}

/* True when calls may be sent there: it is connected, or was never tried in vain. */
static bool is_worth_a_move(const struct ftsi_link *link)
{
	return ftsi_link_is_trusted_up(link) || (link->state != FTSI_LINK_UP && link->failure_count == 0);
}

static void leader_named(struct fts_channel *channel, const Fts__Cluster__V1__LeaderResponse *leader)
{
	if (leader->address[0] == '\0' || leader->term < channel->leader_term) return;
	uint32_t to = link_of_leader(channel, leader->name, leader->address);
	if (to == FTSI_NO_LINK || !is_worth_a_move(channel->links[to])) return;
	channel->leader_term = leader->term;
	channel->homes[FTS_ROUTE_LEADER] = to;
	for (uint32_t i = 0; i < channel->link_count; i++) {
		struct ftsi_link *link = channel->links[i];
		bool is_named = leader->name[0] != '\0' && strcmp(link->node, leader->name) == 0;
		if (i == to || link->state != FTSI_LINK_UP || link->probe.asked_ns == 0) continue;
		if (is_named && !is_silent(link)) continue; /* the same server, written otherwise */
		link->probe.is_distrusted = is_silent(link);
		ftsi_engine_move(channel, link, true, to, link->probe.asked_ns);
	}
}

static bool is_known_node(const struct fts_channel *channel, const char *name)
{
	for (uint32_t i = 0; name[0] != '\0' && i < channel->link_count; i++) {
		if (strcmp(channel->links[i]->node, name) == 0) return true;
	}
	return false;
}

/* Keeps the mutex. */
static void members_named(struct fts_channel *channel, const Fts__Cluster__V1__StatusResponse *members)
{
	uint32_t known_count = channel->link_count;
	for (size_t i = 0; i < members->n_nodes; i++) {
		const Fts__Cluster__V1__NodeStatus *node = members->nodes[i];
		bool is_expected = node->role == FTS__CLUSTER__V1__ROLE__EXPECTED;
		if (!is_expected && !is_known_node(channel, node->name)) (void)ftsi_route_learn(channel, node->address);
	}
	if (channel->link_count > known_count) ftsi_warm_want(channel, fts_clock_monotonic_ns());
}

static void *arena_alloc(void *arena, size_t size_bytes)
{
	return fts_arena_alloc(arena, size_bytes);
}

static void arena_free(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

bool ftsi_probe_answered(struct fts_channel *channel, struct ftsi_link *link, uint32_t request_id,
			 const fts_rpc_v1_ReplyHeader *header, struct fts_bytes payload)
{
	ProtobufCAllocator allocator = {arena_alloc, arena_free, link->arena};
	if (request_id != link->probe.question_id) return false;
	link->probe.question_id = 0;
	if (header->code != FTS_OK) return true; /* it knows no such question: alive all the same */
	fts_arena_reset(link->arena);
	if (link->probe.is_about_members) {
		Fts__Cluster__V1__StatusResponse *members =
		    fts__cluster__v1__status_response__unpack(&allocator, payload.size_bytes, payload.data);
		if (members != NULL) members_named(channel, members);
	} else {
		Fts__Cluster__V1__LeaderResponse *leader =
		    fts__cluster__v1__leader_response__unpack(&allocator, payload.size_bytes, payload.data);
		if (leader != NULL) leader_named(channel, leader);
	}
	fts_arena_reset(link->arena);
	return true;
}

/* ---- Looking ---- */

static void survey(struct fts_channel *channel)
{
	for (uint32_t i = 0; i < channel->link_count; i++) {
		channel->links[i]->probe.oldest_new_ns = UINT64_MAX;
		channel->links[i]->probe.has_old = false;
	}
	for (uint32_t i = 0; i < channel->used_count; i++) {
		const struct ftsi_open_call *call = &channel->calls[i];
		if (call->state != FTSI_CALL_SENT) continue;
		struct ftsi_link *link = channel->links[call->link];
		if (call->epoch != link->epoch) continue;
		if (call->sent_ns <= link->probe.asked_ns) {
			link->probe.has_old = true;
		} else {
			link->probe.oldest_new_ns = earlier(link->probe.oldest_new_ns, call->sent_ns);
		}
	}
}

/* When a call that has not been asked about has waited in silence for too long. */
static uint64_t silence_due_ns(const struct ftsi_probe *probe)
{
	if (probe->oldest_new_ns == UINT64_MAX) return UINT64_MAX;
	return later(probe->heard_ns, probe->oldest_new_ns) + SILENCE_NS;
}

static uint64_t look_due_ns(const struct ftsi_probe *probe)
{
	return probe->has_old || probe->question_id != 0 ? probe->look_ns : UINT64_MAX;
}

static uint64_t idle_due_ns(const struct ftsi_probe *probe)
{
	return probe->question_id == 0 ? probe->heard_ns + IDLE_ASK_NS : UINT64_MAX;
}

/* It begins to be asked about: everything sent to it so far is old. */
static void begin(struct ftsi_link *link, uint64_t silent_ns, uint64_t look_ns, uint64_t now_ns)
{
	struct ftsi_probe *probe = &link->probe;
	if (!is_silent(link)) {
		probe->silent_ns = silent_ns;
		probe->first_ns = now_ns;
	}
	if (probe->answer_count != link->answer_count) probe->rest_ns = 0;
	probe->answer_count = link->answer_count;
	probe->asked_ns = now_ns;
	probe->look_ns = look_ns;
	probe->is_resting = false;
}

static uint64_t ask_again_ns(const struct ftsi_probe *probe, uint64_t now_ns)
{
	uint64_t wait_ns = (now_ns - probe->silent_ns) / ASK_AGAIN_SHARE;
	return now_ns + later(ASK_AGAIN_SHORTEST_NS, earlier(wait_ns, ASK_AGAIN_LONGEST_NS));
}

/* Another server that has said something since link was first asked in vain; FTSI_NO_LINK: none. */
static uint32_t find_alive(const struct fts_channel *channel, const struct ftsi_link *link)
{
	for (uint32_t i = 0; i < channel->link_count; i++) {
		const struct ftsi_link *other = channel->links[i];
		if (other != link && ftsi_link_is_trusted_up(other) && other->probe.heard_ns > link->probe.first_ns)
			return i;
	}
	return FTSI_NO_LINK;
}

/* It has not answered its question. */
static void look_at_silent(struct fts_channel *channel, struct ftsi_link *link, uint64_t now_ns)
{
	struct ftsi_probe *probe = &link->probe;
	uint32_t alive = find_alive(channel, link);
	probe->asked_ns = later(probe->asked_ns, now_ns);
	probe->look_ns = ask_again_ns(probe, now_ns);
	if (alive != FTSI_NO_LINK && now_ns - probe->silent_ns >= GIVE_UP_NS) {
		ftsi_link_shut(link, "it has said nothing for 5 s");
		return;
	}
	ask_all(channel);
	if (alive == FTSI_NO_LINK || !is_silent(link) || now_ns - probe->first_ns < READS_MOVE_NS) return;
	probe->is_distrusted = true;
	for (uint32_t route = 0; route < FTSI_ROUTE_COUNT; route++) {
		if (route != FTS_ROUTE_LEADER && channel->homes[route] == link->index) channel->homes[route] = alive;
	}
	ftsi_engine_move(channel, link, false, alive, probe->asked_ns);
}

static void look_at(struct fts_channel *channel, struct ftsi_link *link, uint64_t now_ns)
{
	struct ftsi_probe *probe = &link->probe;
	if (now_ns >= silence_due_ns(probe)) {
		begin(link, later(probe->heard_ns, probe->oldest_new_ns), now_ns + ASK_AGAIN_SHORTEST_NS, now_ns);
		ask_all(channel);
	} else if (now_ns >= idle_due_ns(probe)) {
		begin(link, now_ns, now_ns + SILENCE_NS, now_ns);
		ask(channel, link);
	} else if (now_ns >= look_due_ns(probe) && is_silent(link)) {
		look_at_silent(channel, link, now_ns);
	} else if (now_ns >= look_due_ns(probe) && !probe->is_resting) {
		uint64_t rest_ns = earlier(later(2 * probe->rest_ns, SILENCE_NS), REST_LONGEST_NS);
		probe->rest_ns = rest_ns;
		probe->look_ns = probe->heard_ns + rest_ns;
		probe->is_resting = true;
	} else if (now_ns >= look_due_ns(probe)) {
		begin(link, now_ns, now_ns + SILENCE_NS, now_ns);
		ask(channel, link);
	}
}

void ftsi_probe_check(struct fts_channel *channel, uint64_t now_ns)
{
	if (channel->link_count < 2 || channel->closing) return;
	survey(channel);
	for (uint32_t i = 0; i < channel->link_count; i++) {
		if (channel->links[i]->state == FTSI_LINK_UP) look_at(channel, channel->links[i], now_ns);
	}
}

uint64_t ftsi_probe_due_ns(struct fts_channel *channel)
{
	uint64_t due_ns = UINT64_MAX;
	if (channel->link_count < 2 || channel->closing) return due_ns;
	survey(channel);
	for (uint32_t i = 0; i < channel->link_count; i++) {
		const struct ftsi_link *link = channel->links[i];
		if (link->state != FTSI_LINK_UP) continue;
		due_ns = earlier(due_ns, silence_due_ns(&link->probe));
		due_ns = earlier(due_ns, earlier(look_due_ns(&link->probe), idle_due_ns(&link->probe)));
	}
	return due_ns;
}

uint64_t ftsi_probe_first_look_ns(const struct fts_channel *channel, uint64_t now_ns)
{
	return channel->link_count < 2 ? UINT64_MAX : now_ns + SILENCE_NS;
}
