/* Why this file exists: questions to the nodes of a test's cluster (tests/harness/cluster.h), by the calls that an
 * operator's tools use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define ASK_MS 1000
#define LEAD_MS 60000

static struct fts_channel *channel_to(struct harness_member *member)
{
	struct fts_error error;
	struct fts_channel_options options = {.endpoints = member->endpoint, .connect_timeout_ms = ASK_MS};
	if (member->channel == NULL && fts_channel_open(&options, &member->channel, &error) != FTS_OK)
		fail_msg("no channel to %s: %s", member->name, error.detail);
	return member->channel;
}

static void fill_report(const Fts__Cluster__V1__StatusResponse *response, const char *name,
			struct harness_member_report *out_report)
{
	*out_report = (struct harness_member_report){
	    .term = response->term, .commit_index = response->index, .node_count = response->n_nodes};
	snprintf(out_report->leader, sizeof(out_report->leader), "%s", response->leader);
	for (size_t i = 0; i < response->n_nodes; i++) {
		Fts__Cluster__V1__Role role = response->nodes[i]->role;
		out_report->voter_count +=
		    role == FTS__CLUSTER__V1__ROLE__LEADER || role == FTS__CLUSTER__V1__ROLE__FOLLOWER;
		if (strcmp(response->nodes[i]->name, name) != 0) continue;
		out_report->applied_index = response->nodes[i]->applied;
		out_report->digest_ok = response->nodes[i]->digest_ok;
	}
}

bool harness_cluster_ask(struct harness_cluster *cluster, size_t member, uint32_t timeout_ms,
			 struct harness_member_report *out_report)
{
	struct harness_member *at = &cluster->members[member];
	struct fts_call_options options = {.timeout_ms = timeout_ms, .no_retry = true};
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	Fts__Cluster__V1__StatusResponse *response = NULL;
	struct fts_error error;
	if (fts_cluster_status(channel_to(at), &request, &options, &response, &error) != FTS_OK) return false;
	fill_report(response, at->name, out_report);
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
	return true;
}

size_t harness_cluster_leader(struct harness_cluster *cluster)
{
	size_t leader = HARNESS_NOBODY;
	uint64_t term = 0;
	for (size_t i = 0; i < cluster->count; i++) {
		struct harness_member_report report;
		if (!harness_cluster_runs(cluster, i) || !harness_cluster_ask(cluster, i, ASK_MS, &report)) continue;
		if (strcmp(report.leader, cluster->members[i].name) != 0 || report.term < term) continue;
		leader = i;
		term = report.term;
	}
	return leader;
}

size_t harness_cluster_wait_leader(struct harness_cluster *cluster, size_t but, uint32_t timeout_ms)
{
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		size_t leader = harness_cluster_leader(cluster);
		if (leader != HARNESS_NOBODY && leader != but) return leader;
		if (!harness_wait_more(&wait)) fail_msg("no leader within %u ms", timeout_ms);
	}
}

void harness_cluster_wait_voters(struct harness_cluster *cluster, size_t count, uint32_t timeout_ms)
{
	struct harness_member_report report = {0};
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		size_t leader = harness_cluster_leader(cluster);
		if (leader != HARNESS_NOBODY && harness_cluster_ask(cluster, leader, ASK_MS, &report) &&
		    report.voter_count == count)
			return;
		if (!harness_wait_more(&wait))
			fail_msg("%zu voters, not %zu, after %u ms", report.voter_count, count, timeout_ms);
	}
}

bool harness_cluster_lead(struct harness_cluster *cluster, size_t member)
{
	struct fts_channel *channel = NULL;
	struct fts_channel_options to = {.endpoints = cluster->endpoints};
	struct fts_call_options options = {.timeout_ms = LEAD_MS};
	Fts__Cluster__V1__MemberLeadRequest request = FTS__CLUSTER__V1__MEMBER_LEAD_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_error error;
	if (fts_channel_open(&to, &channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
	request.name = cluster->members[member].name;
	enum fts_status status = fts_cluster_member_lead(channel, &request, &options, &response, &error);
	if (status == FTS_OK) fts__cluster__v1__member_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
	return status == FTS_OK;
}

/* All that run agree. what: why not, for people. */
static bool all_equal(struct harness_cluster *cluster, uint64_t *out_index, char *what, size_t what_bytes)
{
	struct harness_member_report first = {0}, report;
	bool any = false;
	for (size_t i = 0; i < cluster->count; i++) {
		const char *name = cluster->members[i].name;
		if (!harness_cluster_runs(cluster, i)) continue;
		if (!harness_cluster_ask(cluster, i, ASK_MS, &report)) {
			snprintf(what, what_bytes, "%s does not answer", name);
			return false;
		}
		if (!any) first = report;
		any = true;
		if (report.leader[0] != '\0' && strcmp(report.leader, first.leader) == 0 && report.digest_ok &&
		    report.applied_index == first.applied_index && report.commit_index == first.applied_index)
			continue;
		snprintf(what, what_bytes,
			 "%s: leader '%s', applied %llu of %llu, digest %s; the first: leader '%s', applied %llu", name,
			 report.leader, (unsigned long long)report.applied_index,
			 (unsigned long long)report.commit_index, report.digest_ok ? "ok" : "differs", first.leader,
			 (unsigned long long)first.applied_index);
		return false;
	}
	*out_index = first.applied_index;
	return any;
}

uint64_t harness_cluster_wait_equal(struct harness_cluster *cluster, uint32_t timeout_ms)
{
	char what[256] = "nobody runs";
	uint64_t index = 0;
	for (struct harness_wait wait = harness_wait_ms(timeout_ms); !all_equal(cluster, &index, what, sizeof(what));)
		if (!harness_wait_more(&wait)) fail_msg("not equal within %u ms: %s", timeout_ms, what);
	return index;
}
