/* Why this file exists: `doctor`: looks at every node it is told of or hears of, names what is wrong, and the next
 * command. It believes nobody alone: the port is tried, the certificate read, and each node asked for itself.
 *
 * Invariants: every finding has a cause (a word that scripts may rely on), what was seen, and what to do; nothing is
 * changed. Exit 0: nothing is wrong. 1: findings. 4: no node could be asked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/cli/doctor_look.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/cluster/v1/cluster.fts.h"
#include "fts/health/v1/health.fts.h"

#define NODES_MAX 64u
#define FINDINGS_MAX 128u
#define LOOK_MS_MAX 3000u
#define CLOCK_OFF_MS 1000 /* clocks order kv's writes and end leases of elections' histories for people */
#define CERTIFICATE_SOON_DAYS 30
#define DAY_MS INT64_C(86400000)
#define DISK_LOW_PERCENT 10u
#define TEXT_BYTES 360u

struct finding {
	char node[64];
	const char *cause; /* static */
	char detail[TEXT_BYTES];
	char next[TEXT_BYTES];
};

struct node {
	struct ftsi_endpoint endpoint;
	char name[64]; /* "": not known */
	bool answered;
	Fts__Cluster__V1__StatusResponse *status; /* owned; NULL: none */
	Fts__Health__V1__CheckResponse *check;    /* owned; NULL: none */
	int64_t clock_off_ms;                     /* against this machine's */
};

struct doctor {
	struct ftsi_cli *cli;
	struct fts_tls tls;
	size_t node_count, finding_count;
	struct node nodes[NODES_MAX];
	struct finding findings[FINDINGS_MAX];
};

/* ---- Findings ---- */

static void find(struct doctor *doctor, const char *node, const char *cause, const char *next, const char *format, ...)
    FTS_PRINTF(5, 6);
static void find(struct doctor *doctor, const char *node, const char *cause, const char *next, const char *format, ...)
{
	va_list arguments;
	if (doctor->finding_count == FINDINGS_MAX) return;
	struct finding *finding = &doctor->findings[doctor->finding_count++];
	snprintf(finding->node, sizeof(finding->node), "%s", node);
	finding->cause = cause;
	snprintf(finding->next, sizeof(finding->next), "%s", next);
	va_start(arguments, format);
	vsnprintf(finding->detail, sizeof(finding->detail), format, arguments);
	va_end(arguments);
}

static const char *name_of(const struct node *node)
{
	return node->name[0] != '\0' ? node->name : node->endpoint.text;
}

/* ---- Which nodes ---- */

static struct node *add_node(struct doctor *doctor, const struct ftsi_endpoint *endpoint, const char *name)
{
	for (size_t i = 0; i < doctor->node_count; i++) {
		struct node *known = &doctor->nodes[i];
		if (strcmp(known->endpoint.text, endpoint->text) != 0) continue;
		if (known->name[0] == '\0') snprintf(known->name, sizeof(known->name), "%s", name);
		return known;
	}
	if (doctor->node_count == NODES_MAX) return NULL;
	struct node *node = &doctor->nodes[doctor->node_count++];
	node->endpoint = *endpoint;
	snprintf(node->name, sizeof(node->name), "%s", name);
	return node;
}

static void add_members(struct doctor *doctor, const Fts__Cluster__V1__StatusResponse *status)
{
	struct ftsi_endpoint endpoint;
	for (size_t i = 0; i < status->n_nodes; i++) {
		const Fts__Cluster__V1__NodeStatus *member = status->nodes[i];
		if (member->role != FTS__CLUSTER__V1__ROLE__EXPECTED &&
		    ftsi_endpoint_parse(member->address, strlen(member->address), &endpoint, NULL) == FTS_OK)
			(void)add_node(doctor, &endpoint, member->name);
	}
}

/* ---- One node ---- */

static void tell_look(struct doctor *doctor, const struct node *node, enum ftsi_look look, const char *detail)
{
	static const struct {
		const char *cause, *next;
	} words[] = {
	    [FTSI_LOOK_NAME] = {"name_unknown", "correct the address, or the name service: getent hosts NAME"},
	    [FTSI_LOOK_CLOSED] = {"port_closed",
				  "start the node there: systemctl start ftsd (or ftsd --data DIR); journalctl -u ftsd "
				  "says why it ended"},
	    [FTSI_LOOK_SILENT] =
		{"port_silent",
		 "is the machine up, and do its four ports (P to P + 3) pass the firewall? ping HOST; nft list "
		 "ruleset"},
	    [FTSI_LOOK_EXPIRED] =
		{"certificate_expired",
		 "make it anew and copy it there, no restart is needed: fts-cli tls node DIR NAME --hosts "
		 "HOST"},
	    [FTSI_LOOK_OTHER_NAME] = {"certificate_name",
				      "make it anew for all names it is called by: fts-cli tls node DIR NAME --hosts "
				      "HOST,…"},
	    [FTSI_LOOK_FOREIGN] = {"certificate_foreign",
				   "give the authority that signed it: fts-cli --tls-ca DIR/nodes-ca.pem doctor"},
	    [FTSI_LOOK_REFUSED] = {"tls_refused",
				   "give a certificate it takes: --tls-cert and --tls-key of fts-cli tls client"},
	};
	find(doctor, name_of(node), words[look].cause, words[look].next, "%s", detail);
}

static struct fts_call_options patience(const struct doctor *doctor)
{
	uint32_t limit_ms = doctor->cli->timeout_ms < LOOK_MS_MAX ? doctor->cli->timeout_ms : LOOK_MS_MAX;
	return (struct fts_call_options){.timeout_ms = limit_ms, .no_retry = true};
}

static void tell_refusal(struct doctor *doctor, const struct node *node, const struct fts_error *error)
{
	if (error->status == FTS_UNAUTHENTICATED || error->status == FTS_PERMISSION_DENIED)
		find(doctor, name_of(node), "token_refused", "give a token with role reader: --token-file FILE", "%s",
		     error->detail);
	else if (doctor->tls.ca_file == NULL)
		find(doctor, name_of(node), "not_fts",
		     "if it has TLS, give --tls-ca, --tls-cert and --tls-key; otherwise: fts-cli status --explain",
		     "somebody listens and does not answer as a node does: %s", error->detail);
	else
		find(doctor, name_of(node), "no_answer", "what does it log? journalctl -u ftsd", "%s", error->detail);
}

static void ask(struct doctor *doctor, struct node *node)
{
	Fts__Cluster__V1__StatusRequest status_request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	Fts__Health__V1__CheckRequest check_request = FTS__HEALTH__V1__CHECK_REQUEST__INIT;
	struct fts_call_options options = patience(doctor);
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	struct fts_channel_options to = {.endpoints = node->endpoint.text, .tls = doctor->tls};
	enum fts_status st = ftsi_session_token(doctor->cli, token, &to.token, &error);

	if (st == FTS_OK) st = fts_channel_open(&to, &channel, &error);
	if (st == FTS_OK) st = fts_cluster_status(channel, &status_request, &options, &node->status, &error);
	int64_t before_ms = fts_clock_wall_ms();
	if (st == FTS_OK) st = fts_health_check(channel, &check_request, &options, &node->check, &error);
	int64_t middle_ms = before_ms + (fts_clock_wall_ms() - before_ms) / 2;
	fts_channel_close(channel);
	node->answered = st == FTS_OK && node->check->report != NULL;
	if (!node->answered) {
		tell_refusal(doctor, node, &error);
		return;
	}
	node->clock_off_ms = node->check->report->clock_ms - middle_ms;
	snprintf(node->name, sizeof(node->name), "%s", node->check->report->name);
}

static void examine(struct doctor *doctor, struct node *node)
{
	char detail[FTSI_LOOK_DETAIL_BYTES];
	struct fts_call_options options = patience(doctor);
	enum ftsi_look look = ftsi_doctor_look(&node->endpoint, &doctor->tls, options.timeout_ms, detail);
	if (look != FTSI_LOOK_WELL)
		tell_look(doctor, node, look, detail);
	else
		ask(doctor, node);
}

/* ---- What the answers say together ---- */

static void judge_disk(struct doctor *doctor, const char *name, const Fts__Health__V1__Report *report)
{
	uint64_t total = report->disk_total_bytes, free_mib = report->disk_free_bytes >> 20;
	if (report->disk_full)
		find(doctor, name, "disk_full", "make room where --data lies: df -h; du -xh DIR | sort -h | tail",
		     "its disk is full but for the reserve (%" PRIu64 " MiB free): it refuses writes", free_mib);
	else if (total > 0 && report->disk_free_bytes / (total / 100 + 1) < DISK_LOW_PERCENT)
		find(doctor, name, "disk_low",
		     "make room before writes are refused: df -h; du -xh DIR | sort -h | tail",
		     "its disk has %" PRIu64 " MiB free, less than %u %%", free_mib, DISK_LOW_PERCENT);
	if (report->disk_slow)
		find(doctor, name, "disk_slow",
		     "who else uses that disk? iostat -x 1; let another lead meanwhile: fts-cli member lead NAME",
		     "an append to its log takes longer than a leader may take");
}

/* By its own clock, as it serves. One that has ended is seen from outside: certificate_expired. */
static void judge_certificate(struct doctor *doctor, const char *name, const Fts__Health__V1__Report *report)
{
	int64_t left_ms = report->certificate_ends_ms - report->clock_ms;
	if (report->certificate_ends_ms == 0 || left_ms > CERTIFICATE_SOON_DAYS * DAY_MS) return;
	find(doctor, name, "certificate_ends",
	     "make it anew where the authority's key lies, and put it in its place: fts-cli tls node; it is taken "
	     "without a restart",
	     "%s ends in %" PRId64 " days", report->certificate_file, left_ms < 0 ? 0 : left_ms / DAY_MS);
}

static void judge_node(struct doctor *doctor, const struct node *node)
{
	const Fts__Health__V1__Report *report = node->check->report;
	const char *name = name_of(node);
	judge_disk(doctor, name, report);
	if (report->clock_ms == 0) return; /* a version that does not tell, nor what follows */
	if (node->clock_off_ms > CLOCK_OFF_MS || node->clock_off_ms < -CLOCK_OFF_MS)
		find(doctor, name, "clock_off", "set its clock, or this machine's: timedatectl; chronyc makestep",
		     "its clock is %.1f s %s this machine's", (double)llabs(node->clock_off_ms) / 1000,
		     node->clock_off_ms > 0 ? "ahead of" : "behind");
	judge_certificate(doctor, name, report);
	if (report->digest_differs)
		find(doctor, name, "state_differs",
		     "it fetches the state again by itself; when it comes again, look at its memory and disk: "
		     "journalctl -u "
		     "ftsd | grep digest",
		     "its state is another than the others': it does not serve");
	if (report->overrun_method[0] != '\0')
		find(doctor, name, "call_overrun", "fts-cli health says more; a node under fts-watchdog is restarted",
		     "%s has been running for %u ms", report->overrun_method, report->overrun_ms);
}

static void judge_versions(struct doctor *doctor)
{
	const struct node *first = NULL;
	for (size_t i = 0; i < doctor->node_count; i++) {
		const struct node *node = &doctor->nodes[i];
		if (!node->answered) continue;
		if (first == NULL) first = node;
		if (strcmp(first->check->report->version, node->check->report->version) == 0) continue;
		find(doctor, name_of(node), "version_mismatch",
		     "finish the upgrade, one node after the other: apt install ./fts_VERSION.deb; systemctl restart "
		     "ftsd",
		     "it runs %s, and %s runs %s", node->check->report->version, name_of(first),
		     first->check->report->version);
	}
}

/* Nobody leads: who is missing? */
static void judge_quorum(struct doctor *doctor)
{
	char away[TEXT_BYTES] = "";
	size_t voters = 0, answering = 0;
	for (size_t i = 0; i < doctor->node_count; i++) {
		const struct node *node = &doctor->nodes[i];
		if (node->answered && node->status->leader[0] != '\0') return; /* somebody knows a leader */
		voters++;
		answering += node->answered;
		if (!node->answered) {
			size_t used = strlen(away);
			snprintf(away + used, sizeof(away) - used, "%s%s", used > 0 ? ", " : "", name_of(node));
		}
	}
	if (answering == 0) return; /* said already, of each */
	if (answering * 2 <= voters)
		find(doctor, "cluster", "no_quorum",
		     "start those that are away; when they are lost for good: docs/operator.md, \"More than half are "
		     "lost\"",
		     "no leader: %zu of %zu nodes answer, more than half are needed; away: %s", answering, voters,
		     away);
	else
		find(doctor, "cluster", "no_leader",
		     "wait a few seconds and ask again; if it stays so: can they reach each other's ports P + 3?",
		     "no leader, though %zu of %zu nodes answer", answering, voters);
}

static void judge(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->node_count; i++)
		if (doctor->nodes[i].answered) judge_node(doctor, &doctor->nodes[i]);
	judge_versions(doctor);
	judge_quorum(doctor);
}

/* ---- The report ---- */

static size_t answered_count(const struct doctor *doctor)
{
	size_t count = 0;
	for (size_t i = 0; i < doctor->node_count; i++)
		count += doctor->nodes[i].answered;
	return count;
}

static void print_json(const struct doctor *doctor)
{
	json_t *list = ftsi_json("[]");
	for (size_t i = 0; i < doctor->finding_count; i++) {
		const struct finding *finding = &doctor->findings[i];
		json_array_append_new(list,
				      ftsi_json("{s:s,s:s,s:s,s:s}", "node", finding->node, "cause", finding->cause,
						"detail", finding->detail, "next", finding->next));
	}
	ftsi_print_json(ftsi_json("{s:I,s:I,s:o}", "nodes", (json_int_t)doctor->node_count, "answered",
				  (json_int_t)answered_count(doctor), "findings", list));
}

static void print_text(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->finding_count; i++) {
		const struct finding *finding = &doctor->findings[i];
		ftsi_print_state('b', 0, finding->cause);
		printf("  %s: %s\n    next: %s\n", finding->node, finding->detail, finding->next);
	}
	if (doctor->finding_count == 0)
		printf("%zu of %zu nodes answer, and nothing is wrong with them\n", answered_count(doctor),
		       doctor->node_count);
}

enum ftsi_exit ftsi_run_doctor(struct ftsi_cli *cli)
{
	struct ftsi_endpoint_list list;
	struct fts_error error = {0};
	struct doctor *doctor = calloc(1, sizeof(*doctor));
	enum ftsi_exit code = FTSI_EXIT_DONE;

	if (doctor == NULL) return ftsi_fail_usage(cli, "out of memory");
	doctor->cli = cli;
	doctor->tls = ftsi_tls(cli);
	if (ftsi_endpoint_list_parse(ftsi_endpoints(cli), &list, &error) != FTS_OK) {
		free(doctor);
		return ftsi_fail(cli, &error);
	}
	for (uint32_t i = 0; i < list.count; i++)
		(void)add_node(doctor, &list.items[i], "");
	for (size_t i = 0; i < doctor->node_count; i++) { /* grows while members are heard of */
		examine(doctor, &doctor->nodes[i]);
		if (doctor->nodes[i].status != NULL) add_members(doctor, doctor->nodes[i].status);
	}
	judge(doctor);
	if (cli->json)
		print_json(doctor);
	else
		print_text(doctor);
	if (doctor->finding_count > 0) code = answered_count(doctor) > 0 ? FTSI_EXIT_NO : FTSI_EXIT_UNREACHABLE;
	for (size_t i = 0; i < doctor->node_count; i++) {
		struct node *node = &doctor->nodes[i];
		if (node->status != NULL) fts__cluster__v1__status_response__free_unpacked(node->status, NULL);
		if (node->check != NULL) fts__health__v1__check_response__free_unpacked(node->check, NULL);
	}
	free(doctor);
	return code;
}
