/* Why this file exists: see fake_node.h. */
#include "tests/rpc_edge/fake_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/cluster/v1/cluster.fts.h>
#include <fts/rpc/v1/events.fts.h>

#include "base/assert.h"

#define PAGE_MAX 1000

void fake_log_init(struct fake_log *log)
{
	memset(log, 0, sizeof *log);
	pthread_mutex_init(&log->lock, NULL);
	log->events = calloc(FAKE_EVENT_MAX, sizeof *log->events);
	FTS_ASSERT(log->events);
}

void fake_log_fini(struct fake_log *log)
{
	free(log->events);
	pthread_mutex_destroy(&log->lock);
}

void fake_log_forget_before(struct fake_log *log, uint64_t index)
{
	pthread_mutex_lock(&log->lock);
	log->oldest_index = index;
	pthread_mutex_unlock(&log->lock);
}

uint64_t fake_log_replay_count(struct fake_log *log)
{
	pthread_mutex_lock(&log->lock);
	uint64_t count = log->replay_count;
	pthread_mutex_unlock(&log->lock);
	return count;
}

static bool wanted(const struct fake_log *log, const struct fake_event *event,
		   const Fts__Rpc__V1__ReplayRequest *request)
{
	return event->index >= log->oldest_index && strncmp(event->topic, request->topic, strlen(request->topic)) == 0;
}

/* The first event not before (index, ordinal). */
static size_t find(const struct fake_log *log, uint64_t index, uint32_t ordinal)
{
	size_t low = 0, high = log->event_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fake_event *event = &log->events[middle];
		if (event->index < index || (event->index == index && event->ordinal < ordinal))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void fill_page(const struct fake_log *log, const Fts__Rpc__V1__ReplayRequest *request,
		      Fts__Rpc__V1__Event *events, Fts__Rpc__V1__ReplayResponse *out)
{
	size_t at = request->from_index ? find(log, request->from_index, request->from_ordinal) : log->event_count;

	for (; at < log->event_count && out->n_events < PAGE_MAX; at++) {
		if (!wanted(log, &log->events[at], request)) continue;
		Fts__Rpc__V1__Event *event = &events[out->n_events];
		fts__rpc__v1__event__init(event);
		event->index = log->events[at].index;
		event->ordinal = log->events[at].ordinal;
		event->topic = (char *)(uintptr_t)log->events[at].topic;
		event->payload = (ProtobufCBinaryData){8, (uint8_t *)&log->events[at].value};
		out->events[out->n_events++] = event;
	}
	out->end = at == log->event_count;
	/* An entry may still grow: what comes next is the place behind its last event. */
	const struct fake_event *next = &log->events[out->end && at > 0 ? at - 1 : at];
	out->next_index = log->event_count ? next->index : 1;
	out->next_ordinal = log->event_count ? next->ordinal + (out->end ? 1 : 0) : 0;
	out->oldest_index = log->oldest_index;
}

/* True: the call is kept until the node is stopped. */
static bool hold(struct fake_node *node, struct fts_call *call)
{
	pthread_mutex_lock(&node->lock);
	bool is_held = node->is_mute && node->held_count < FAKE_HELD_MAX;
	if (is_held) node->held[node->held_count++] = call;
	pthread_mutex_unlock(&node->lock);
	return is_held;
}

static void replay(struct fts_call *call, const Fts__Rpc__V1__ReplayRequest *request, void *ctx)
{
	struct fake_node *node = ctx;
	Fts__Rpc__V1__ReplayResponse response = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	Fts__Rpc__V1__Event *events = fts_call_alloc(call, PAGE_MAX * sizeof *events);

	if (hold(node, call)) return;
	response.events = fts_call_alloc(call, PAGE_MAX * sizeof *response.events);
	FTS_ASSERT(events && response.events);
	pthread_mutex_lock(&node->log->lock);
	node->log->replay_count += request->from_index != 0;
	fill_page(node->log, request, events, &response);
	pthread_mutex_unlock(&node->log->lock);
	fts_events_replay_reply(call, &response); /* events are only ever appended */
}

static void cluster_status(struct fts_call *call, const Fts__Cluster__V1__StatusRequest *request, void *ctx)
{
	struct fake_node *node = ctx;
	Fts__Cluster__V1__StatusResponse response = FTS__CLUSTER__V1__STATUS_RESPONSE__INIT;
	Fts__Cluster__V1__NodeStatus members[FAKE_NODE_COUNT], *nodes[FAKE_NODE_COUNT];

	(void)request;
	for (; response.n_nodes < FAKE_NODE_COUNT && node->members[response.n_nodes]; response.n_nodes++) {
		nodes[response.n_nodes] = &members[response.n_nodes];
		fts__cluster__v1__node_status__init(nodes[response.n_nodes]);
		nodes[response.n_nodes]->address = (char *)(uintptr_t)node->members[response.n_nodes];
		nodes[response.n_nodes]->role = FTS__CLUSTER__V1__ROLE__FOLLOWER;
	}
	response.nodes = nodes;
	fts_cluster_status_reply(call, &response);
}

static void cluster_leader(struct fts_call *call, const Fts__Cluster__V1__LeaderRequest *request, void *ctx)
{
	struct fake_node *node = ctx;
	Fts__Cluster__V1__LeaderResponse response = FTS__CLUSTER__V1__LEADER_RESPONSE__INIT;
	char name[] = "n9", address[] = "127.0.0.1:1";

	(void)request;
	pthread_mutex_lock(&node->lock);
	if (!node->is_leaderless) {
		response.name = name;
		response.address = address;
	}
	pthread_mutex_unlock(&node->lock);
	fts_cluster_leader_reply(call, &response);
}

void fake_node_start(struct fake_node *node, struct fake_log *log, uint16_t port, const struct fts_tls *tls,
		     size_t queue_max_bytes)
{
	static const struct fts_events_handlers handlers = {.replay = replay};
	static const struct fts_cluster_handlers cluster = {.status = cluster_status, .leader = cluster_leader};
	char calls[32], events[32];
	struct fts_error error = {.detail = ""};

	*node = (struct fake_node){.log = log, .port = port};
	pthread_mutex_init(&node->lock, NULL);
	if (tls) node->tls = *tls;
	(void)snprintf(calls, sizeof calls, "127.0.0.1:%u", (unsigned)port);
	(void)snprintf(events, sizeof events, "127.0.0.1:%u", (unsigned)port + 1);
	struct fts_server_options options = {.listen = calls, .node = "fake", .tls = node->tls};
	struct fts_publisher_options publishing = {
	    .listen = events, .tls = node->tls, .queue_max_bytes = queue_max_bytes};
	if (fts_server_create(&options, &node->server, &error) != FTS_OK ||
	    fts_events_register(node->server, &handlers, node, &error) != FTS_OK ||
	    fts_cluster_register(node->server, &cluster, node, &error) != FTS_OK ||
	    fts_server_start(node->server, &error) != FTS_OK ||
	    fts_publisher_create(&publishing, &node->publisher, &error) != FTS_OK) {
		(void)fprintf(stderr, "fake node: %s\n", error.detail);
		abort();
	}
}

void fake_node_mute(struct fake_node *node)
{
	pthread_mutex_lock(&node->lock);
	node->is_mute = true;
	pthread_mutex_unlock(&node->lock);
}

void fake_node_set_leaderless(struct fake_node *node, bool is_leaderless)
{
	pthread_mutex_lock(&node->lock);
	node->is_leaderless = is_leaderless;
	pthread_mutex_unlock(&node->lock);
}

static bool is_mute(struct fake_node *node)
{
	pthread_mutex_lock(&node->lock);
	bool mute = node->is_mute;
	pthread_mutex_unlock(&node->lock);
	return mute;
}

static void let_go(struct fake_node *node)
{
	pthread_mutex_lock(&node->lock);
	node->is_mute = false;
	for (size_t i = 0; i < node->held_count; i++)
		fts_call_fail(node->held[i], FTS_UNAVAILABLE, "this node stops");
	node->held_count = 0;
	pthread_mutex_unlock(&node->lock);
}

void fake_node_stop(struct fake_node *node)
{
	if (!node->server) return;
	let_go(node);
	fts_publisher_destroy(node->publisher);
	fts_server_destroy(node->server);
	node->publisher = NULL;
	node->server = NULL;
}

void fake_publish(struct fake_log *log, struct fake_node *nodes, bool dropped, uint64_t index, uint32_t ordinal,
		  const char *topic)
{
	pthread_mutex_lock(&log->lock);
	FTS_ASSERT(log->event_count < FAKE_EVENT_MAX);
	uint64_t value = log->event_count;
	log->events[log->event_count++] = (struct fake_event){index, ordinal, topic, value};
	pthread_mutex_unlock(&log->lock);
	/* A payload above the limit is dropped as one that finds the queue full. */
	struct fts_bytes payload = {(const uint8_t *)&value, dropped ? FTS_EVENT_PAYLOAD_MAX_BYTES + 1 : sizeof value};
	for (size_t i = 0; i < FAKE_NODE_COUNT; i++)
		if (nodes[i].publisher && !is_mute(&nodes[i]))
			(void)fts_publisher_publish(nodes[i].publisher, index, ordinal, topic, payload);
}
