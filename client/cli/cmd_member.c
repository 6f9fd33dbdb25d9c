/* Why this file exists: `member list|add|remove|replace|lead`: who belongs to the cluster, and who leads it. Each
 * prints the members as they stand afterwards. Asked again after any failure, a change goes on where the first call
 * stopped. */
#include "client/cli/nodes.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "fts/cluster/v1/cluster.fts.h"

static char *positional(const struct ftsi_cli *cli, size_t place)
{
	return (char *)(uintptr_t)cli->args.positionals[place]; /* protobuf-c's strings are not const */
}

/* A change takes as long as it takes: the method's own limit, unless the user gave one. */
static struct fts_call_options change_options(const struct ftsi_cli *cli, struct fts_call_info *info)
{
	struct fts_call_options options = ftsi_call_options(cli, info);
	if (!ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given) options.timeout_ms = 0;
	return options;
}

static void print_nodes(const struct ftsi_cli *cli, Fts__Cluster__V1__NodeStatus *const *nodes, size_t count)
{
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:o}", "nodes", ftsi_nodes_json(nodes, count)));
	else
		ftsi_nodes_print(nodes, count);
}

/* response: owned; NULL unless st is OK. */
static enum ftsi_exit report(struct ftsi_cli *cli, const char *method, enum fts_status st,
			     const struct fts_call_info *info, Fts__Cluster__V1__MemberResponse *response,
			     const struct fts_error *error)
{
	ftsi_explain(cli, method, info);
	if (st != FTS_OK) return ftsi_fail(cli, error);
	print_nodes(cli, response->nodes, response->n_nodes);
	fts__cluster__v1__member_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_member_list(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	Fts__Cluster__V1__StatusResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_cluster_status(cli->channel, &request, &options, &response, &error);

	ftsi_explain(cli, "Cluster/Status", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_nodes(cli, response->nodes, response->n_nodes);
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_member_add(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__MemberAddRequest request = FTS__CLUSTER__V1__MEMBER_ADD_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = change_options(cli, &info);

	request.name = positional(cli, 0);
	request.address = positional(cli, 1);
	enum fts_status st = fts_cluster_member_add(cli->channel, &request, &options, &response, &error);
	return report(cli, "Cluster/MemberAdd", st, &info, response, &error);
}

enum ftsi_exit ftsi_run_member_remove(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__MemberRemoveRequest request = FTS__CLUSTER__V1__MEMBER_REMOVE_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = change_options(cli, &info);

	request.name = positional(cli, 0);
	enum fts_status st = fts_cluster_member_remove(cli->channel, &request, &options, &response, &error);
	return report(cli, "Cluster/MemberRemove", st, &info, response, &error);
}

enum ftsi_exit ftsi_run_member_replace(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__MemberReplaceRequest request = FTS__CLUSTER__V1__MEMBER_REPLACE_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = change_options(cli, &info);

	request.old_name = positional(cli, 0);
	request.new_name = positional(cli, 1);
	request.new_address = positional(cli, 2);
	enum fts_status st = fts_cluster_member_replace(cli->channel, &request, &options, &response, &error);
	return report(cli, "Cluster/MemberReplace", st, &info, response, &error);
}

enum ftsi_exit ftsi_run_member_lead(struct ftsi_cli *cli)
{
	Fts__Cluster__V1__MemberLeadRequest request = FTS__CLUSTER__V1__MEMBER_LEAD_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = change_options(cli, &info);

	request.name = positional(cli, 0);
	enum fts_status st = fts_cluster_member_lead(cli->channel, &request, &options, &response, &error);
	return report(cli, "Cluster/MemberLead", st, &info, response, &error);
}
