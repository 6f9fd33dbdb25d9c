/* Why this file exists: see server/node.h. */
#include "server/node.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "dispatch/service.h"
#include "elector/service.h"
#include "game/service.h"
#include "lottery/service.h"
#include "rpc/publisher.h"
#include "rpc/pulse.h"
#include "rpc/survey.h"
#include "server/cluster.h"
#include "server/credentials.h"
#include "server/debug.h"
#include "server/extra.h"
#include "server/health.h"
#include "server/http.h"
#include "server/join.h"
#include "server/kv.h"
#include "server/lottery_text.h"
#include "server/release.h"

#define GATEWAY_DRAIN_MS 10000
#define REPLY_DRAIN_MS 5000
#define MAP_LOOK_NS (2 * 1000 * 1000)
#define MACHINE_MAX (16 + FTSI_EXTRA_MACHINE_MAX)

struct ftsi_node {
	const struct ftsi_settings *settings;
	struct fts_tls tls; /* borrows from settings */
	struct ftsi_endpoint listen;
	struct fts_publisher *publisher;
	struct fts_access *access;
	struct fts_lottery *lottery;
	struct fts_games *games;
	struct ftsi_kv *kv;
	struct fts_elector *elector;
	struct fts_dispatch *dispatch;
	struct fts_replica *replica;
	struct fts_server *server;
	struct fts_respondent *respondent;
	struct fts_pulse *pulse; /* NULL: no watchdog asked for it */
	struct fts_channel *channel;
	struct ftsi_text_gateway *text;
	int text_fd;                           /* its listener until it runs; -1: none */
	struct ftsi_http *http;                /* NULL: no door */
	int http_fd;                           /* its listener until it runs; -1: none */
	char join_token[FTS_TOKEN_TEXT_BYTES]; /* "": none */
	struct ftsi_join *join;                /* NULL: it does not ask to be let in */
	struct ftsi_health health;
	struct ftsi_debug debug;
	struct ftsi_cluster cluster;
	struct ftsi_snapshots *snapshots;
	int fatal_fd;
	pthread_mutex_t fatal_lock;
	struct fts_error fatal; /* why it can't go on; guarded by fatal_lock; status OK: it can */
	const struct fts_machine *machines[MACHINE_MAX]; /* all services' */
	size_t machine_count;
};

/* ---- What the replica tells: its threads ---- */

static void on_event(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload)
{
	struct ftsi_node *node = ctx;
	/* What doesn't fit is counted by the publisher and seen by subscribers as a gap, which Replay fills. */
	(void)fts_publisher_publish(node->publisher, index, ordinal, topic, payload);
}

static void on_fatal(void *ctx, const struct fts_error *error)
{
	struct ftsi_node *node = ctx;
	uint64_t one = 1;
	pthread_mutex_lock(&node->fatal_lock);
	if (node->fatal.status == FTS_OK) node->fatal = *error;
	pthread_mutex_unlock(&node->fatal_lock);
	ssize_t ignored = write(node->fatal_fd, &one, sizeof(one));
	(void)ignored; /* EAGAIN: main knows already */
}

/* ---- Start ---- */

static const char *listen_address(const struct ftsi_node *node, unsigned offset, char *out)
{
	return ftsi_address_print(&node->listen, (uint16_t)(node->listen.port + offset), out);
}

/* Can this port be had? */
static enum fts_status probe(const char *address, const char *what, struct fts_error *out_error)
{
	int probe_fd;
	enum fts_status status = ftsi_listener_open(address, what, &probe_fd, out_error);
	if (status == FTS_OK) close(probe_fd); /* who serves there listens once it has something to serve */
	return status;
}

/* Take what can be taken before DIR is touched: a port in use is told while nothing has happened yet. Clients of the
 * text protocol who come before the node is ready wait in the kernel's queue. */
static enum fts_status take_ports(struct ftsi_node *node, struct fts_error *out_error)
{
	static const char *const uses[] = {"--listen", "--listen (events)", "--listen (health)", "--listen (peers)"};
	char address[FTSI_ADDRESS_MAX];
	const char *text = node->settings->lottery_text;
	enum fts_status status = FTS_OK;
	for (unsigned i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		status = probe(listen_address(node, i, address), uses[i], out_error);
		if (status != FTS_OK) return status;
	}
	status = ftsi_http_listen(node->settings, &node->http_fd, out_error);
	if (status != FTS_OK || text[0] == '\0' || strcmp(text, FTSI_LOTTERY_TEXT_OFF) == 0) return status;
	return ftsi_listener_open(text, "--lottery-text", &node->text_fd, out_error);
}

/* Where this node calls itself: what it listens on, unless that is "everywhere". */
static const char *own_endpoint(const struct ftsi_node *node, char *out)
{
	struct ftsi_endpoint self = node->listen;
	if (ftsi_address_is_wildcard(&self))
		snprintf(self.host, sizeof(self.host), "%s", self.ipv6 ? "::1" : "127.0.0.1");
	return ftsi_address_print(&self, self.port, out);
}

static enum fts_status start_publisher(struct ftsi_node *node, struct fts_error *out_error)
{
	char address[FTSI_ADDRESS_MAX];
	struct fts_publisher_options options = {.listen = listen_address(node, 1, address), .tls = node->tls};
	return fts_publisher_create(&options, &node->publisher, out_error);
}

static void add_machines(struct ftsi_node *node, const struct fts_machine *const *machines, size_t count)
{
	FTS_ASSERT(node->machine_count + count <= MACHINE_MAX);
	for (size_t i = 0; i < count; i++)
		node->machines[node->machine_count++] = machines[i];
}

static size_t take_members(const struct ftsi_node *node, struct ftsi_cluster_list *list,
			   struct fts_replica_member *out_members)
{
	(void)ftsi_cluster_list_parse(node->settings->cluster, list); /* checked where it came in */
	for (size_t i = 0; i < list->count; i++)
		out_members[i] = (struct fts_replica_member){list->members[i].name, list->members[i].address};
	return list->count;
}

static enum fts_status open_kv(struct ftsi_node *node, struct fts_error *out_error)
{
	char self[FTSI_ADDRESS_MAX];
	const struct ftsi_kv_options options = {.data = node->settings->data,
						.endpoint = own_endpoint(node, self),
						.tls = node->tls,
						.token_source = fts_access_node_token,
						.token_ctx = node->access,
						.tombstone_age_ms = node->settings->kv_tombstone_s * 1000,
						.hint_age_ms = node->settings->kv_hint_s * 1000,
						.sweep_ms = node->settings->kv_sweep_s * 1000,
						.hint_bytes_max = (uint64_t)node->settings->kv_hint_mb << 20,
						.on_fatal = on_fatal,
						.ctx = node};
	return ftsi_kv_open(&options, &node->kv, out_error);
}

static enum fts_status start_replica(struct ftsi_node *node, struct fts_error *out_error)
{
	struct fts_lottery_options lottery = {.data = node->settings->data, .node = node->settings->name};
	enum fts_status status = fts_lottery_create(&lottery, &node->lottery, out_error);
	if (status == FTS_OK) status = fts_games_create(&node->games, out_error);
	if (status == FTS_OK) status = ftsi_access_open(node->settings, &node->access, out_error);
	if (status == FTS_OK) status = open_kv(node, out_error);
	if (status == FTS_OK) status = fts_elector_create(&node->elector, out_error);
	if (status == FTS_OK) status = fts_dispatch_create(&node->dispatch, out_error);
	if (status != FTS_OK) return status;
	char peer_listen[FTSI_ADDRESS_MAX];
	struct ftsi_cluster_list list;
	struct fts_replica_member members[FTSI_MEMBER_MAX];
	struct fts_replica_options options = {
	    .data = node->settings->data,
	    .name = node->settings->name,
	    .address = node->settings->address,
	    .members = members,
	    .member_count = take_members(node, &list, members),
	    .join = node->settings->join[0] != '\0',
	    .peer_listen = listen_address(node, 3, peer_listen),
	    .tls = node->tls,
	    .election_ms = node->settings->election_ms,
	    .on_event = on_event,
	    .on_fatal = on_fatal,
	    .ctx = node,
	    .format_max = ftsi_release_format_max(),
	    .version = ftsi_release_version(),
	    .log_bytes_before_snapshot = ftsi_extra()->log_bytes_before_snapshot != 0
					     ? ftsi_extra()->log_bytes_before_snapshot
					     : (uint64_t)node->settings->snapshot_mb * 1024 * 1024,
	};
	size_t count;
	const struct fts_machine *const *machines = fts_lottery_machines(node->lottery, &count);
	add_machines(node, machines, count);
	machines = fts_games_machines(node->games, &count);
	add_machines(node, machines, count);
	machines = ftsi_kv_machines(node->kv, &count);
	add_machines(node, machines, count);
	machines = fts_elector_machines(node->elector, &count);
	add_machines(node, machines, count);
	machines = fts_dispatch_machines(node->dispatch, &count);
	add_machines(node, machines, count);
	machines = fts_access_machines(node->access, &count);
	add_machines(node, machines, count);
	add_machines(node, ftsi_extra()->machines, ftsi_extra()->machine_count);
	options.machines = node->machines;
	options.machine_count = node->machine_count;
	status = fts_replica_start(&options, &node->replica, out_error);
	if (status != FTS_OK) return status;
	if ((status = fts_access_attach(node->access, node->replica, out_error)) != FTS_OK) return status;
	fts_lottery_attach(node->lottery, node->replica);
	fts_games_attach(node->games, node->replica);
	ftsi_kv_attach(node->kv, node->replica);
	status = fts_elector_attach(node->elector, node->replica, out_error);
	return status == FTS_OK ? fts_dispatch_attach(node->dispatch, node->replica, out_error) : status;
}

/* The watchdog that started this process asks from the first moment on: also while a long log is read. */
static enum fts_status start_pulse(struct ftsi_node *node, struct fts_error *out_error)
{
	char self[FTSI_ADDRESS_MAX];
	const char *path = getenv(FTS_PULSE_VARIABLE);
	ftsi_health_init(&node->health, node->settings->name, own_endpoint(node, self), &node->tls);
	node->health.data = node->settings->data;
	if (path == NULL || path[0] == '\0') return FTS_OK;
	return fts_pulse_create(path, ftsi_health_respond, &node->health, &node->pulse, out_error);
}

/* It answers once server and replica are there: a survey asks about them. */
static enum fts_status start_health(struct ftsi_node *node, struct fts_error *out_error)
{
	char address[FTSI_ADDRESS_MAX];
	struct fts_respondent_options respondent = {
	    .listen = listen_address(node, 2, address),
	    .tls = node->tls,
	    .respond = ftsi_health_respond,
	    .ctx = &node->health,
	};
	return fts_respondent_create(&respondent, &node->respondent, out_error);
}

static enum fts_status start_server(struct ftsi_node *node, struct fts_error *out_error)
{
	struct fts_server_options options = {.listen = node->settings->listen,
					     .node = node->settings->name,
					     .tls = node->tls,
					     .authorize = fts_access_check,
					     .authorize_ctx = node->access};
	enum fts_status status = fts_server_create(&options, &node->server, out_error);
	if (status != FTS_OK) return status;
	node->snapshots = ftsi_snapshots_create(&(struct ftsi_snapshots_options){
	    node->settings->data, node->settings->name, node->settings->address, node->replica});
	if (node->snapshots == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for snapshots");
	node->cluster = (struct ftsi_cluster){.name = node->settings->name,
					      .address = node->settings->address,
					      .server = node->server,
					      .replica = node->replica,
					      .kv = node->kv,
					      .drop_lock = PTHREAD_MUTEX_INITIALIZER,
					      .access = node->access,
					      .snapshots = node->snapshots};
	atomic_store(&node->health.replica, node->replica);
	node->debug = (struct ftsi_debug){node->settings->debug_hooks, node->replica};
	if ((status = start_health(node, out_error)) != FTS_OK ||
	    (status = fts_replica_serve(node->replica, node->server, out_error)) != FTS_OK ||
	    (status = ftsi_cluster_serve(&node->cluster, out_error)) != FTS_OK ||
	    (status = fts_games_serve(node->games, node->server, out_error)) != FTS_OK ||
	    (status = ftsi_kv_serve(node->kv, node->server, out_error)) != FTS_OK ||
	    (status = ftsi_debug_serve(&node->debug, node->server, out_error)) != FTS_OK ||
	    (status = ftsi_health_serve(&node->health, node->server, out_error)) != FTS_OK)
		return status;
	status = fts_server_start(node->server, out_error);
	if (status == FTS_OK) atomic_store(&node->health.server, node->server); /* its counters are there now */
	return status == FTS_OK ? ftsi_kv_start(node->kv, out_error) : status;
}

/* A node that has been let in already asks nobody. */
static enum fts_status start_join(struct ftsi_node *node, struct fts_error *out_error)
{
	struct fts_replica_status replica;
	fts_replica_status(node->replica, &replica);
	if (node->settings->join[0] == '\0' || replica.formed) return FTS_OK;
	enum fts_status status = ftsi_join_token(node->settings, node->join_token, out_error);
	if (status != FTS_OK) return status;
	struct ftsi_join_options options = {.endpoint = node->settings->join,
					    .tls = node->tls,
					    .token = {(const uint8_t *)node->join_token, strlen(node->join_token)},
					    .name = node->settings->name,
					    .address = node->settings->address,
					    .replica = node->replica};
	return ftsi_join_start(&options, &node->join, out_error);
}

/* From the first moment on: who asks why a node does not serve must be answered. */
static enum fts_status open_http(struct ftsi_node *node, struct fts_error *out_error)
{
	char self[FTSI_ADDRESS_MAX];
	int listen_fd = node->http_fd;
	if (listen_fd < 0) return FTS_OK;
	const struct ftsi_http_options options = {.settings = node->settings,
						  .tls = node->tls,
						  .endpoint = own_endpoint(node, self),
						  .server = node->server,
						  .replica = node->replica,
						  .kv = node->kv,
						  .access = node->access};
	node->http_fd = -1;
	return ftsi_http_open(&options, listen_fd, &node->http, out_error);
}

enum fts_status ftsi_node_start(const struct ftsi_settings *settings, int fatal_fd, struct ftsi_node **out_node,
				struct fts_error *out_error)
{
	struct ftsi_node *node = calloc(1, sizeof(*node));
	enum fts_status status;
	if (node == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	node->settings = settings;
	node->fatal_fd = fatal_fd;
	node->text_fd = node->http_fd = -1;
	node->tls = ftsi_settings_tls(settings);
	if (!ftsi_address_parse(settings->listen, &node->listen)) {
		status =
		    fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--listen: %s is not HOST:PORT", settings->listen);
		goto out;
	}
	pthread_mutex_init(&node->fatal_lock, NULL);
	if ((status = take_ports(node, out_error)) != FTS_OK || (status = start_pulse(node, out_error)) != FTS_OK ||
	    (status = start_publisher(node, out_error)) != FTS_OK ||
	    (status = start_replica(node, out_error)) != FTS_OK || (status = start_server(node, out_error)) != FTS_OK ||
	    (status = start_join(node, out_error)) != FTS_OK || (status = open_http(node, out_error)) != FTS_OK)
		goto out;
	*out_node = node;
	node = NULL;
out:
	if (node != NULL) {
		ftsi_node_stop(node);
		ftsi_node_destroy(node);
	}
	return status;
}

enum fts_status ftsi_node_wait_ready(struct ftsi_node *node, uint32_t timeout_ms)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	enum fts_status status = fts_replica_wait_ready(node->replica, timeout_ms);
	/* In a new cluster the first map comes moments after the first leader. */
	while (status == FTS_OK && !ftsi_kv_has_map(node->kv)) {
		if (fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns) == 0) return FTS_DEADLINE_EXCEEDED;
		nanosleep(&(struct timespec){.tv_nsec = MAP_LOOK_NS}, NULL);
	}
	return status;
}

enum fts_status ftsi_node_open_gateways(struct ftsi_node *node, struct fts_error *out_error)
{
	char self[FTSI_ADDRESS_MAX];
	if (node->text_fd < 0) return FTS_OK;
	struct fts_channel_options channel = {.endpoints = own_endpoint(node, self),
					      .tls = node->tls,
					      .token_source = fts_access_node_token,
					      .token_ctx = node->access};
	enum fts_status status = fts_channel_open(&channel, &node->channel, out_error);
	if (status != FTS_OK) return status;
	struct ftsi_text_options options = {
	    .listen_fd = node->text_fd, .channel = node->channel, .agencies = node->settings->lottery_text_agencies};
	node->text_fd = -1;
	return ftsi_text_gateway_start(&options, &node->text, out_error);
}

void ftsi_node_describe(struct ftsi_node *node, char *out, size_t size_bytes)
{
	ftsi_health_line(&node->health, out, size_bytes);
}

bool ftsi_node_failed(struct ftsi_node *node, struct fts_error *out_error)
{
	pthread_mutex_lock(&node->fatal_lock);
	bool failed = node->fatal.status != FTS_OK;
	if (failed) *out_error = node->fatal;
	pthread_mutex_unlock(&node->fatal_lock);
	return failed;
}

/* ---- End ---- */

void ftsi_node_stop(struct ftsi_node *node)
{
	ftsi_join_stop(node->join);
	node->join = NULL;
	ftsi_http_close(node->http);
	node->http = NULL;
	if (node->text != NULL) ftsi_text_gateway_drain(node->text, GATEWAY_DRAIN_MS);
	fts_channel_close(node->channel); /* before the gateway, in which its callbacks end */
	node->channel = NULL;
	ftsi_text_gateway_destroy(node->text);
	node->text = NULL;
	if (node->replica != NULL)
		fts_replica_hand_over(node->replica); /* callers are led to the new leader meanwhile */
	if (node->server != NULL) (void)fts_server_drain(node->server, 0); /* from here on nothing new is taken */
	if (node->replica != NULL) {
		fts_lottery_detach(node->lottery);
		fts_games_detach(node->games);
		ftsi_kv_stop(node->kv);
		fts_elector_detach(node->elector);
		fts_access_detach(node->access);
		fts_dispatch_detach(node->dispatch);
		fts_replica_stop(node->replica); /* answers all that is open */
	}
	if (node->server != NULL && fts_server_drain(node->server, REPLY_DRAIN_MS) != FTS_OK)
		FTS_LOG_WARN("node.drain", "name=%s waited_ms=%d", node->settings->name, REPLY_DRAIN_MS);
}

void ftsi_node_destroy(struct ftsi_node *node)
{
	if (node == NULL) return;
	if (node->text_fd >= 0) close(node->text_fd);
	if (node->http_fd >= 0) close(node->http_fd);
	fts_pulse_destroy(node->pulse); /* both before what they look at */
	fts_respondent_destroy(node->respondent);
	fts_server_destroy(node->server);
	ftsi_health_fini(&node->health); /* after the server's workers, which ask by it */
	ftsi_snapshots_destroy(node->snapshots);
	fts_replica_destroy(node->replica);
	fts_lottery_destroy(node->lottery);
	fts_games_destroy(node->games);
	ftsi_kv_close(node->kv);
	fts_elector_destroy(node->elector);
	fts_access_destroy(node->access); /* last: others ask it for their token */
	fts_dispatch_destroy(node->dispatch);
	fts_publisher_destroy(node->publisher);
	pthread_mutex_destroy(&node->fatal_lock);
	free(node);
}
