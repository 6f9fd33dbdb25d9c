/* Why this file exists: see simulation.h. Each pair of nodes has two connections, one dialed by each, as
 * replica/peers.h has them. A connection keeps the order of what it carries; when it ends, what was on its way is lost,
 * and both ends are told, unless the line or the host is dead: then nobody is. Some seeds have a wilder network, which
 * loses, doubles and reorders single messages: no protocol of the replica may lean on a connection for more than speed.
 */
#include <stdlib.h>
#include <string.h>

#include "simulation.h"

enum { DIAL_FIRST_MS = 10, DIAL_LAST_MS = 1000 };

struct pump {
	struct sim_event event; /* first */
	uint32_t from, to, incarnation;
};

struct telling {
	struct sim_event event; /* first */
	uint32_t node, incarnation, peer;
	bool connected;
};

static struct sim_node *find(struct simulation *sim, const char *address)
{
	const char *name_end = strchr(address, '='); /* raft's addresses are NAME=HOST:PORT */
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		if (strcmp(sim->nodes[i].address, name_end == NULL ? address : name_end + 1) == 0)
			return &sim->nodes[i];
	return NULL;
}

static uint64_t delay_ns(struct simulation *sim)
{
	return sim_random_between(&sim->random, sim->profile.delay_min_ns, sim->profile.delay_max_ns);
}

/* ---- What the ends are told ---- */

static void run_telling(struct simulation *sim, struct sim_event *event)
{
	struct telling telling = *(struct telling *)(void *)event;
	struct sim_node *node = &sim->nodes[telling.node];
	if (sim_node_runs(node) && node->incarnation == telling.incarnation && sim_node_paused(node)) {
		event->at_ns = node->resume_ns;
		sim_schedule_add(&sim->schedule, event);
		return;
	}
	free(event);
	if (!sim_node_runs(node) || node->incarnation != telling.incarnation) return;
	sim_note(sim, telling.connected ? "connected" : "disconnected", telling.node, telling.peer, 0);
	if (telling.connected)
		ftsi_replica_connected(node->replica, sim->nodes[telling.peer].address);
	else
		ftsi_replica_disconnected(node->replica, sim->nodes[telling.peer].address);
	sim_node_wake(node);
}

static void tell(struct simulation *sim, uint32_t node, uint32_t peer, bool connected)
{
	struct telling *telling;
	if (!sim_node_runs(&sim->nodes[node])) return;
	telling = sim_alloc(sizeof *telling);
	telling->node = node;
	telling->peer = peer;
	telling->connected = connected;
	telling->incarnation = sim->nodes[node].incarnation;
	sim_after(sim, sim_random_between(&sim->random, 20 * SIM_US, 500 * SIM_US), &telling->event, run_telling);
}

/* ---- Dialing ---- */

static void dial(struct simulation *sim, uint32_t from, uint32_t to);
static void dial_now(struct simulation *sim, uint32_t from, uint32_t to);

static void run_dial(struct simulation *sim, struct sim_event *event)
{
	struct pump pump = *(struct pump *)(void *)event;
	struct sim_link *link = &sim->links[pump.from][pump.to];
	struct sim_node *from = &sim->nodes[pump.from], *to = &sim->nodes[pump.to];
	free(event);
	if (link->dial_round != pump.incarnation) return;
	link->dialing = false;
	if (!sim_node_runs(from) || !from->wants[pump.to] || link->up) return;
	if (!sim_node_runs(to) || sim_node_paused(from) || link->blocked || sim->links[pump.to][pump.from].blocked) {
		dial(sim, pump.from, pump.to);
		return;
	}
	link->up = true;
	link->tries = 0;
	tell(sim, pump.from, pump.to, true);
	if (to->wants[pump.from]) dial_now(sim, pump.to, pump.from);
}

static void dial(struct simulation *sim, uint32_t from, uint32_t to)
{
	struct sim_link *link = &sim->links[from][to];
	uint64_t wait_ms = (uint64_t)DIAL_FIRST_MS << (link->tries < 8 ? link->tries : 8);
	struct pump *pump;
	if (link->up || link->dialing || from == to) return;
	if (wait_ms > DIAL_LAST_MS) wait_ms = DIAL_LAST_MS;
	pump = sim_alloc(sizeof *pump);
	pump->from = from;
	pump->to = to;
	pump->incarnation = link->dial_round;
	link->dialing = true;
	link->tries++;
	sim_after(sim, delay_ns(sim) + (link->tries == 1 ? 0 : wait_ms * SIM_MS), &pump->event, run_dial);
}

/* Whose other end has dialed is there: no more waiting. */
static void dial_now(struct simulation *sim, uint32_t from, uint32_t to)
{
	struct sim_link *link = &sim->links[from][to];
	if (link->up) return;
	link->dial_round++; /* the dial that waits finds itself out of date */
	link->dialing = false;
	link->tries = 0;
	dial(sim, from, to);
}

static void set_peers(void *ctx, const char *const *addresses, size_t count)
{
	struct sim_node *node = ctx;
	struct simulation *sim = node->sim;
	memset(node->wants, 0, sizeof node->wants);
	for (size_t i = 0; i < count; i++) {
		struct sim_node *peer = find(sim, addresses[i]);
		if (peer == NULL)
			sim_violation(sim, "node %s: wants a connection to %s, which nobody has", node->name,
				      addresses[i]);
		else if (peer != node)
			node->wants[peer->number] = true;
	}
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		if (node->wants[i]) dial(sim, node->number, i);
}

/* ---- Carrying ---- */

static void drop_all(struct sim_link *link)
{
	while (link->first != NULL) {
		struct sim_message *next = link->first->next;
		free(link->first);
		link->first = next;
	}
	link->last = &link->first;
	link->backlog_bytes = 0;
}

static void schedule_pump(struct simulation *sim, uint32_t from, uint32_t to, uint64_t at_ns);

static void deliver(struct simulation *sim, uint32_t from, struct sim_node *to, const struct sim_message *message)
{
	sim->counts.messages++;
	if (sim_random_chance(&sim->random, sim->profile.loss_permille)) {
		sim->counts.lost++;
		return;
	}
	sim_note(sim, "deliver", from, to->number, message->size_bytes);
	ftsi_replica_receive(to->replica, (struct fts_bytes){message->bytes, message->size_bytes});
	sim_node_wake(to);
}

static void run_pump(struct simulation *sim, struct sim_event *event)
{
	struct pump pump = *(struct pump *)(void *)event;
	struct sim_link *link = &sim->links[pump.from][pump.to];
	struct sim_node *to = &sim->nodes[pump.to];
	free(event);
	while (link->incarnation == pump.incarnation && link->first != NULL && link->first->due_ns <= sim->now_ns &&
	       !link->blocked && sim_node_runs(to) && !sim_node_paused(to) && !sim_violated(sim)) {
		struct sim_message *message = link->first;
		bool again = sim_random_chance(&sim->random, sim->profile.duplicate_permille);
		link->first = message->next;
		if (link->first == NULL) link->last = &link->first;
		link->backlog_bytes -= message->size_bytes;
		deliver(sim, pump.from, to, message);
		if (again && sim_node_runs(to)) deliver(sim, pump.from, to, message);
		free(message);
	}
}

static void schedule_pump(struct simulation *sim, uint32_t from, uint32_t to, uint64_t at_ns)
{
	struct pump *pump = sim_alloc(sizeof *pump);
	pump->from = from;
	pump->to = to;
	pump->incarnation = sim->links[from][to].incarnation;
	sim_after(sim, at_ns > sim->now_ns ? at_ns - sim->now_ns : 0, &pump->event, run_pump);
}

/* Behind what was sent before it; on a wild network perhaps not. */
static void enqueue(struct simulation *sim, struct sim_link *link, struct sim_message *message)
{
	struct sim_message **place = link->last;
	if (link->first != NULL && sim_random_chance(&sim->random, sim->profile.reorder_permille)) place = &link->first;
	message->next = *place;
	if (place == link->last) link->last = &message->next;
	*place = message;
	link->backlog_bytes += message->size_bytes;
}

/* Over the connection that from has dialed; to who is no peer of its own, over the one that has come from there. */
static bool may_carry(struct simulation *sim, const struct sim_node *from, const struct sim_node *to)
{
	return sim->links[from->number][to->number].up ||
	       (!from->wants[to->number] && sim->links[to->number][from->number].up);
}

static uint64_t due_ns(struct simulation *sim, const struct sim_link *link)
{
	uint64_t due = sim->now_ns + delay_ns(sim) + link->slow_ns;
	for (const struct sim_message *at = link->first; at != NULL; at = at->next)
		if (at->due_ns > due) due = at->due_ns;
	return due;
}

static bool send_message(void *ctx, const char *address, struct fts_bytes bytes)
{
	struct sim_node *from = ctx;
	struct simulation *sim = from->sim;
	struct sim_node *to = find(sim, address);
	struct sim_link *link;
	struct sim_message *message;
	if (from->ending) return false;
	if (to == NULL) sim_violation(sim, "node %s: sends to %s, which is nobody", from->name, address);
	if (to == NULL || to == from) return false; /* itself: as it was called before it lost its disk */
	link = &sim->links[from->number][to->number];
	if (!may_carry(sim, from, to) ||
	    (link->first != NULL && link->backlog_bytes + bytes.size_bytes > sim->profile.backlog_max_bytes))
		return false;
	message = sim_alloc(sizeof *message + bytes.size_bytes);
	message->size_bytes = bytes.size_bytes;
	memcpy(message->bytes, bytes.data, bytes.size_bytes);
	message->due_ns = due_ns(sim, link);
	schedule_pump(sim, from->number, to->number, message->due_ns);
	enqueue(sim, link, message);
	return true;
}

static size_t backlog(void *ctx, const char *address)
{
	struct sim_node *from = ctx;
	struct sim_node *to = find(from->sim, address);
	return to == NULL ? 0 : from->sim->links[from->number][to->number].backlog_bytes;
}

/* ---- What happens to it ---- */

static void end_link(struct simulation *sim, uint32_t from, uint32_t to, bool told)
{
	struct sim_link *link = &sim->links[from][to];
	bool was_up = link->up;
	drop_all(link);
	if (!sim->links[to][from].up) drop_all(&sim->links[to][from]); /* it came back over this one */
	link->incarnation++;
	link->dial_round++;
	link->up = link->dialing = false;
	link->tries = 0;
	if (was_up && told) {
		tell(sim, from, to, false);
		tell(sim, to, from, false);
	}
	if (sim_node_runs(&sim->nodes[from]) && sim->nodes[from].wants[to]) dial(sim, from, to);
}

void sim_network_break(struct simulation *sim, uint32_t a, uint32_t b)
{
	end_link(sim, a, b, true);
	end_link(sim, b, a, true);
}

void sim_network_block(struct simulation *sim, uint32_t from, uint32_t to, bool blocked)
{
	struct sim_link *link = &sim->links[from][to];
	link->blocked = blocked;
	for (const struct sim_message *at = link->first; !blocked && at != NULL; at = at->next)
		schedule_pump(sim, from, to, at->due_ns);
}

void sim_network_heal(struct simulation *sim)
{
	for (uint32_t from = 0; from < SIM_NODE_MAX; from++)
		for (uint32_t to = 0; to < SIM_NODE_MAX; to++) {
			sim->links[from][to].slow_ns = 0;
			sim_network_block(sim, from, to, false);
		}
}

void sim_network_gone(struct sim_node *node, bool silent)
{
	struct simulation *sim = node->sim;
	memset(node->wants, 0, sizeof node->wants);
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		if (i == node->number) continue;
		end_link(sim, node->number, i, !silent);
		/* Of a host that is gone without a word the other end keeps its connection, and sends into nothing. */
		if (silent) {
			drop_all(&sim->links[i][node->number]);
			continue;
		}
		end_link(sim, i, node->number, true);
	}
}

void sim_network_started(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		if (i == node->number) continue;
		/* The first thing the host says to a connection it does not know any more is that it does not. */
		end_link(sim, i, node->number, true);
	}
}

void sim_network_resume(struct sim_node *node)
{
	struct simulation *sim = node->sim;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		for (const struct sim_message *at = sim->links[i][node->number].first; at != NULL; at = at->next)
			schedule_pump(sim, i, node->number, at->due_ns);
}

void sim_network_init(struct sim_node *node)
{
	node->transport = (struct ftsi_transport){
	    .send = send_message, .set_peers = set_peers, .backlog_bytes = backlog, .ctx = node};
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		node->sim->links[node->number][i].last = &node->sim->links[node->number][i].first;
}

void sim_network_fini(struct simulation *sim)
{
	for (uint32_t from = 0; from < SIM_NODE_MAX; from++)
		for (uint32_t to = 0; to < SIM_NODE_MAX; to++)
			drop_all(&sim->links[from][to]);
}
