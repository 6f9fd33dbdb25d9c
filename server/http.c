/* Why this file exists: see server/http.h. */
#include "server/http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "elector/count.h"
#include "http/door.h"
#include "lottery/count.h"
#include "server/expiry.h"
#include "server/release.h"

#define DRAIN_MS 5000

struct ftsi_http {
	struct ftsi_http_options options;
	char endpoint[FTSI_ADDRESS_MAX];
	struct fts_channel *channel;
	struct fts_door *door;
};

/* ---- What the node tells ---- */

static bool is_ready(void *ctx, char *out_reason)
{
	struct ftsi_http *http = ctx;
	struct fts_replica_status status;
	fts_replica_status(http->options.replica, &status);
	const char *reason = !status.ready                  ? "not ready: it knows no leader, or has not caught up yet"
			     : !status.digest_ok            ? "its state differs from the others': it does not serve"
			     : status.syncing               ? "it fetches the state from another node"
			     : status.leader_name[0] == '\0' ? "no leader is known"
							    : NULL;
	if (reason != NULL) snprintf(out_reason, FTS_DOOR_REASON_BYTES, "%s", reason);
	return reason == NULL;
}

static void add_replica(struct fts_metrics *metrics, struct fts_replica *replica)
{
	struct fts_replica_status status;
	fts_replica_status(replica, &status);
	fts_metrics_gauge(metrics, "fts_raft_term", "Term of the replicated log.", (double)status.term);
	fts_metrics_gauge(metrics, "fts_raft_commit_index", "Last committed index, as far as this node knows.",
			  (double)status.commit_index);
	fts_metrics_gauge(metrics, "fts_raft_applied_index", "Last index this node has applied.",
			  (double)status.applied_index);
	fts_metrics_gauge(metrics, "fts_raft_leader", "1 on the node that leads.", status.leader);
	fts_metrics_gauge(metrics, "fts_raft_leader_known", "1 while this node knows a leader.",
			  status.leader_name[0] != '\0');
	fts_metrics_gauge(metrics, "fts_ready", "1 while this node serves.", status.ready && status.digest_ok);
	fts_metrics_gauge(metrics, "fts_digest_ok", "0: this node's state differs from the others'.",
			  status.digest_ok);
	fts_metrics_gauge(metrics, "fts_queue", "Commands that wait for the log.", status.queue_count);
	fts_metrics_counter(metrics, "fts_progress_total", "Turns of the loop that did work.",
			    (double)status.progress);
	fts_metrics_counter(metrics, "fts_loop_stalls_total", "How often the loop was late by 100 ms or more.",
			    (double)status.stalls.count);
	fts_metrics_gauge(metrics, "fts_loop_stall_max_seconds", "How late the loop was at most.",
			  (double)status.stalls.max_ms / 1000);
	fts_metrics_gauge(metrics, "fts_disk_full", "1: down to the reserve, writes are refused.", status.disk_full);
	fts_metrics_gauge(metrics, "fts_disk_slow", "1: an append takes longer than a leader may take.",
			  status.disk_slow);
}

static void add_members(struct fts_metrics *metrics, struct fts_replica *replica)
{
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	size_t count = fts_replica_members(replica, members);
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, "fts_member_alive",
			   "1 for each member that this node has heard of lately; its role is a label.");
	for (size_t i = 0; i < count; i++) {
		const char *role = members[i].leader ? "leader" : members[i].voter ? "follower" : "learner";
		const char *labels[] = {"member", members[i].name, "role", role, NULL};
		fts_metrics_value(metrics, labels, members[i].alive);
	}
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, "fts_member_applied_index",
			   "Last index each member has applied, as last heard.");
	for (size_t i = 0; i < count; i++) {
		const char *labels[] = {"member", members[i].name, NULL};
		fts_metrics_value(metrics, labels, (double)members[i].applied);
	}
}

static void add_disk(struct fts_metrics *metrics, const char *data)
{
	struct statvfs disk;
	if (statvfs(data, &disk) != 0) return;
	double block = (double)disk.f_frsize;
	fts_metrics_gauge(metrics, "fts_disk_free_bytes", "Free on the disk that --data lies on.",
			  (double)disk.f_bavail * block);
	fts_metrics_gauge(metrics, "fts_disk_size_bytes", "Size of the disk that --data lies on.",
			  (double)disk.f_blocks * block);
}

/* What lies in the replicated state. */
static void add_state(struct fts_metrics *metrics, struct fts_replica *replica)
{
	struct fts_txn *view = NULL;
	struct fts_election_counts elections = {0};
	struct fts_draw_counts draws = {0};
	if (fts_replica_view(replica, &view) != FTS_OK) return;
	bool known = fts_elector_count(view, &elections) == FTS_OK && fts_lottery_count(view, &draws) == FTS_OK;
	fts_txn_abort(view);
	if (!known) return;
	const struct {
		const char *state;
		uint32_t count;
	} states[] = {{"open", draws.open}, {"sealed", draws.sealed}, {"drawn", draws.drawn}};
	fts_metrics_gauge(metrics, "fts_elections", "Elections there are.", elections.elections);
	fts_metrics_gauge(metrics, "fts_elections_with_master", "Elections that have a master.",
			  elections.with_master);
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, "fts_draws", "Draws by state.");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const char *labels[] = {"state", states[i].state, NULL};
		fts_metrics_value(metrics, labels, states[i].count);
	}
	fts_metrics_gauge(metrics, "fts_bets", "Bets of all draws.", (double)draws.bets);
}

static void on_metrics(void *ctx, struct fts_metrics *metrics)
{
	struct ftsi_http *http = ctx;
	const char *labels[] = {"version", ftsi_release_version(), "node", http->options.settings->name, NULL};
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, "fts_build_info", "Always 1; version and node are labels.");
	fts_metrics_value(metrics, labels, 1);
	fts_metrics_gauge(metrics, "fts_format", "In which the cluster writes: below fts_format_max while it is upgraded.",
			  fts_replica_format(http->options.replica));
	fts_metrics_gauge(metrics, "fts_format_max", "The highest format that this node reads.",
			  ftsi_release_format_max());
	struct ftsi_expiry expiry;
	ftsi_expiry_get(&expiry);
	if (expiry.ends_ms != 0)
		fts_metrics_gauge(metrics, "fts_certificate_ends_seconds",
				  "When the first of this node's certificates and authorities ends, as Unix time.",
				  (double)expiry.ends_ms / 1000);
	fts_metrics_gauge(metrics, "fts_clock_seconds", "This node's wall clock, as Unix time.",
			  (double)fts_clock_wall_ms() / 1000);
	add_replica(metrics, http->options.replica);
	add_members(metrics, http->options.replica);
	add_disk(metrics, http->options.settings->data);
	fts_metrics_gauge(metrics, "fts_kv_hints", "Records this node keeps for nodes that are away.",
			  (double)ftsi_kv_hint_count(http->options.kv));
	add_state(metrics, http->options.replica);
}

static enum fts_status recognize(void *ctx, const struct fts_method *method, struct fts_bytes token,
				 struct fts_error *out_error)
{
	struct ftsi_http *http = ctx;
	return fts_access_recognize(http->options.access, method, token, out_error);
}

/* ---- Life ---- */

enum fts_status ftsi_http_listen(const struct ftsi_settings *settings, int *out_fd, struct fts_error *out_error)
{
	*out_fd = -1;
	if (settings->http[0] == '\0' || strcmp(settings->http, FTSI_ADDRESS_OFF) == 0) return FTS_OK;
	return ftsi_listener_open(settings->http, "--http", out_fd, out_error);
}

enum fts_status ftsi_http_open(const struct ftsi_http_options *options, int listen_fd, struct ftsi_http **out_http,
			       struct fts_error *out_error)
{
	struct ftsi_endpoint listen;
	struct ftsi_http *http = calloc(1, sizeof(*http));
	if (http == NULL) {
		close(listen_fd);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	}
	http->options = *options;
	snprintf(http->endpoint, sizeof(http->endpoint), "%s", options->endpoint);
	/* To this node first; it says who leads, and the others are known in case it can't. */
	struct fts_channel_options channel = {
	    .endpoints = http->endpoint, .tls = options->tls, .learn_members = true};
	enum fts_status status = fts_channel_open(&channel, &http->channel, out_error);
	struct fts_door_options door = {
	    .listen_fd = listen_fd,
	    .channel = http->channel,
	    .server = options->server,
	    .endpoint = http->endpoint,
	    .tls = options->tls,
	    .origins = options->settings->http_origins[0] != '\0' ? options->settings->http_origins : NULL,
	    .local = ftsi_address_parse(options->settings->http, &listen) && ftsi_endpoint_is_loopback(&listen),
	    .recognize = recognize,
	    .on_metrics = on_metrics,
	    .is_ready = is_ready,
	    .ctx = http};
	if (status == FTS_OK)
		status = fts_door_open(&door, &http->door, out_error);
	else
		close(listen_fd);
	if (status == FTS_OK)
		*out_http = http;
	else
		ftsi_http_close(http);
	return status;
}

void ftsi_http_close(struct ftsi_http *http)
{
	if (http == NULL) return;
	fts_door_drain(http->door, DRAIN_MS);
	fts_channel_close(http->channel); /* what is still open ends with that */
	fts_door_destroy(http->door);
	free(http);
}
