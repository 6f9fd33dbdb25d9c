/* Why this file exists: the `kv` commands of an operator: verify, move, accept-loss, database create. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/cli/kv_call.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/session.h"
#include "client/cli/value.h"

#define PARTITION_COUNT 256u

/* Without --timeout the method's own limit holds: its work is long. */
static struct fts_call_options long_options(const struct ftsi_cli *cli, struct fts_call_info *info)
{
	struct fts_call_options options = ftsi_call_options(cli, info);

	if (!ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given) options.timeout_ms = 0;
	return options;
}

/* ---- verify ---- */

/* One call looks at as many partitions as it has time for; sum: of all calls so far, moved on. */
static enum fts_status verify_some(struct ftsi_cli *cli, Fts__Kv__V1__VerifyResponse *sum, json_t *names,
				   struct fts_error *out_error)
{
	Fts__Kv__V1__VerifyRequest request = FTS__KV__V1__VERIFY_REQUEST__INIT;
	Fts__Kv__V1__VerifyResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = long_options(cli, &info);

	request.repair = ftsi_value_of(cli, "repair")->given;
	request.from = sum->next;
	enum fts_status st = fts_kv_verify(cli->channel, &request, &options, &response, out_error);
	ftsi_explain(cli, "Kv/Verify", &info);
	if (st != FTS_OK) return st;
	if (response->next != 0 && response->next <= sum->next)
		st = fts_error_set(out_error, FTS_INTERNAL, "the server does not get on at partition %" PRIu32,
				   sum->next);
	sum->partitions += response->partitions;
	sum->divergent += response->divergent;
	sum->missing += response->missing;
	sum->repaired += response->repaired;
	sum->unreachable += response->unreachable;
	sum->damaged += response->damaged;
	sum->hints_pending = response->hints_pending; /* of the whole cluster, as it is now */
	sum->next = response->next;
	json_array_clear(names); /* as it is now */
	for (size_t i = 0; i < response->n_unanswered; i++)
		json_array_append_new(names, ftsi_json("s", response->unanswered[i]));
	fts__kv__v1__verify_response__free_unpacked(response, NULL);
	return st;
}

/* names: who does not answer. */
static void print_sum(const struct ftsi_cli *cli, const Fts__Kv__V1__VerifyResponse *sum, json_t *names)
{
	if (cli->json)
		ftsi_print_json(ftsi_json(
		    "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O}", "partitions", (json_int_t)sum->partitions, "divergent",
		    (json_int_t)sum->divergent, "missing", (json_int_t)sum->missing, "hints_pending",
		    (json_int_t)sum->hints_pending, "repaired", (json_int_t)sum->repaired, "unreachable",
		    (json_int_t)sum->unreachable, "damaged", (json_int_t)sum->damaged, "unanswered", names));
	else
		printf("%" PRIu32 " partitions: %" PRIu32 " divergent, %" PRIu64 " records missing or behind, %" PRIu64
		       " repaired, %" PRIu64 " hints pending, %" PRIu32 " with an owner that did not answer\n",
		       sum->partitions, sum->divergent, sum->missing, sum->repaired, sum->hints_pending,
		       sum->unreachable);
	if (sum->damaged > 0)
		ftsi_note("%" PRIu64 " records were found damaged on a disk: other owners have them, look at the disk",
			  sum->damaged);
	for (size_t i = 0; i < json_array_size(names); i++)
		ftsi_note("%s does not answer: what it has could not be compared",
			  json_string_value(json_array_get(names, i)));
}

/* Nobody can say of what did not answer whether it is whole: partly done. */
static enum ftsi_exit verdict(const struct ftsi_cli *cli, const Fts__Kv__V1__VerifyResponse *sum)
{
	bool mended = ftsi_value_of(cli, "repair")->given && sum->repaired >= sum->missing;

	if (sum->divergent > 0 && !mended) return FTSI_EXIT_NO;
	return sum->unreachable > 0 ? FTSI_EXIT_PARTLY : FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_kv_verify(struct ftsi_cli *cli)
{
	Fts__Kv__V1__VerifyResponse sum = FTS__KV__V1__VERIFY_RESPONSE__INIT;
	struct ftsi_progress progress;
	struct fts_error error = {0};
	json_t *names = ftsi_json("[]");
	enum ftsi_exit code;
	enum fts_status st;

	ftsi_progress_start(&progress);
	do {
		st = verify_some(cli, &sum, names, &error);
		ftsi_progress_show(&progress, sum.partitions, PARTITION_COUNT, sum.partitions, 0);
	} while (st == FTS_OK && sum.next != 0);
	ftsi_progress_clear(&progress);
	if (st == FTS_OK) print_sum(cli, &sum, names);
	code = st == FTS_OK ? verdict(cli, &sum) : ftsi_fail(cli, &error);
	json_decref(names);
	return code;
}

/* ---- move ---- */

enum ftsi_exit ftsi_run_kv_move(struct ftsi_cli *cli)
{
	Fts__Kv__V1__MoveRequest request = FTS__KV__V1__MOVE_REQUEST__INIT;
	Fts__Kv__V1__MoveResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint64_t partition;

	if (ftsi_number_parse(cli->args.positionals[0], 0, PARTITION_COUNT - 1, &partition, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "PARTITION: %s", error.detail);
	request.partition = (uint32_t)partition;
	request.node = (char *)cli->args.positionals[1];
	enum fts_status st = fts_kv_admin_move(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "KvAdmin/Move", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:s,s:I}", "partition", (json_int_t)partition, "node", request.node,
					  "epoch", (json_int_t)response->epoch));
	else
		printf("partition %" PRIu64 " is at %s, or on its way there; see kv where and status\n", partition,
		       request.node);
	fts__kv__v1__move_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- accept-loss ---- */

static void print_accepted(const struct ftsi_cli *cli, const Fts__Kv__V1__AcceptLossResponse *response)
{
	json_t *names = ftsi_json("[]");

	for (size_t i = 0; i < response->n_unanswered; i++) {
		json_array_append_new(names, ftsi_json("s", response->unanswered[i]));
		if (!cli->json) ftsi_note("%s does not answer: what it has is passed over", response->unanswered[i]);
	}
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:O}", "copies", (json_int_t)response->copies, "unanswered", names));
	else
		printf("%" PRIu32 " copies go on with what can be reached; see status\n", response->copies);
	json_decref(names);
}

enum ftsi_exit ftsi_run_kv_accept_loss(struct ftsi_cli *cli)
{
	Fts__Kv__V1__AcceptLossRequest request = FTS__KV__V1__ACCEPT_LOSS_REQUEST__INIT;
	Fts__Kv__V1__AcceptLossResponse *response = NULL;
	const struct ftsi_value *partition = ftsi_value_of(cli, "partition");
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = long_options(cli, &info);

	request.all = ftsi_value_of(cli, "all")->given;
	if (request.all == partition->given) return ftsi_fail_usage(cli, "one of --partition N and --all is needed");
	if (partition->given) request.partition = (uint32_t)partition->number;
	enum fts_status st = fts_kv_accept_loss(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Kv/AcceptLoss", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_accepted(cli, response);
	fts__kv__v1__accept_loss_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- database create ---- */

enum ftsi_exit ftsi_run_kv_database_create(struct ftsi_cli *cli)
{
	Fts__Kv__V1__CreateDatabaseRequest request = FTS__KV__V1__CREATE_DATABASE_REQUEST__INIT;
	Fts__Kv__V1__CreateDatabaseResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint64_t db;

	if (ftsi_number_parse(cli->args.positionals[0], 0, UINT32_MAX, &db, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "N: %s", error.detail);
	request.db = (uint32_t)db;
	request.linearizable = ftsi_value_of(cli, "linearizable")->given;
	enum fts_status st = fts_kv_create_database(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Kv/CreateDatabase", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(
		    ftsi_json("{s:I,s:b}", "database", (json_int_t)db, "linearizable", request.linearizable));
	else
		printf("database %" PRIu64 " is there\n", db);
	fts__kv__v1__create_database_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}
