/* Why this file exists: the `kv` commands on one key: one call, one answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/bytes.h"
#include "client/cli/kv_call.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

/* The user's mistake: exit 2; everything else as the call ended. */
static enum ftsi_exit fail_before(const struct ftsi_cli *cli, const struct fts_error *error)
{
	return error->status == FTS_INVALID_ARGUMENT ? ftsi_fail_usage(cli, "%s", error->detail)
						     : ftsi_fail(cli, error);
}

static enum fts_status read_place(const struct ftsi_cli *cli, bool writes, struct ftsi_kv_place *out_place,
				  struct fts_error *out_error)
{
	enum fts_status st = ftsi_kv_place_read(cli, writes, out_place, out_error);

	return st == FTS_OK ? ftsi_kv_key_read(cli, out_place, out_error) : st;
}

/* ---- set ---- */

/* Of the second argument, or of --file. out_block: returned (free()); NULL: value is the argument itself. */
static enum fts_status read_value(const struct ftsi_cli *cli, ProtobufCBinaryData *out_value, uint8_t **out_block,
				  struct fts_error *out_error)
{
	const char *text = cli->args.positional_count > 1 ? cli->args.positionals[1] : NULL;
	const char *path = ftsi_value_of(cli, "file")->text;

	if (!text == !path) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "write either VALUE or --file FILE");
	if (text) {
		*out_value = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
		return FTS_OK;
	}
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!in) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s", path, strerror(errno));
	enum fts_status st = FTS_OK;
	*out_block = malloc(FTSI_KV_VALUE_MAX_BYTES + 1);
	if (*out_block)
		*out_value = (ProtobufCBinaryData){fread(*out_block, 1, FTSI_KV_VALUE_MAX_BYTES + 1, in), *out_block};
	else
		st = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	if (st == FTS_OK && ferror(in))
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s", path, strerror(errno));
	if (in != stdin) fclose(in);
	return st;
}

static enum fts_status check_value(const ProtobufCBinaryData *value, struct fts_error *out_error)
{
	if (value->len <= FTSI_KV_VALUE_MAX_BYTES) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "value: at most %u bytes, not %zu or more",
			     FTSI_KV_VALUE_MAX_BYTES, value->len);
}

static void print_set(const struct ftsi_cli *cli, const Fts__Kv__V1__SetResponse *response)
{
	if (!cli->json) {
		printf("version %s, %" PRIu32 " of %" PRIu32 " replicas", response->version, response->acks,
		       response->replicas);
		if (response->hints > 0) printf(", %" PRIu32 " will get it later", response->hints);
		puts(response->kept_by_router ? ", kept by the router until an owner returns" : "");
		return;
	}
	json_t *json = ftsi_json("{s:s,s:I,s:I}", "version", response->version, "acks", (json_int_t)response->acks,
				 "replicas", (json_int_t)response->replicas);
	if (response->hints > 0) json_object_set_new(json, "hints", json_integer(response->hints));
	if (response->kept_by_router) json_object_set_new(json, "kept_by_router", json_true());
	ftsi_print_json(json);
}

static enum ftsi_exit set(struct ftsi_cli *cli, Fts__Kv__V1__SetRequest *request)
{
	Fts__Kv__V1__SetResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_kv_set(cli->channel, request, &options, &response, &error);

	ftsi_explain(cli, "Kv/Set", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_set(cli, response);
	fts__kv__v1__set_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_kv_set(struct ftsi_cli *cli)
{
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	struct ftsi_kv_place place;
	struct fts_error error = {0};
	uint8_t *block = NULL;
	const char *if_version = ftsi_value_of(cli, "if-version")->text;
	enum fts_status st = read_place(cli, true, &place, &error);

	if (st == FTS_OK) st = read_value(cli, &request.value, &block, &error);
	if (st == FTS_OK) st = check_value(&request.value, &error);
	request.db = place.db;
	request.key = place.key;
	request.consistency = place.level;
	if (if_version) request.if_version = (char *)if_version;
	request.if_fence = ftsi_value_of(cli, "if-fence")->number;
	enum ftsi_exit code = st == FTS_OK ? set(cli, &request) : fail_before(cli, &error);
	free(block);
	ftsi_kv_place_free(&place);
	return code;
}

/* ---- get ---- */

static void print_get(const struct ftsi_cli *cli, const struct ftsi_kv_place *place,
		      const Fts__Kv__V1__GetResponse *response)
{
	if (!cli->json) {
		fwrite(response->value.data, 1, response->value.len, stdout);
		if (isatty(STDOUT_FILENO)) putchar('\n'); /* a person's next line; scripts get the bytes alone */
		if (response->maybe_stale) ftsi_note("no owner answered: there may be a newer value");
		return;
	}
	json_t *json = ftsi_json("{}");
	ftsi_bytes_set(json, "key", place->key.data, place->key.len);
	ftsi_bytes_set(json, "value", response->value.data, response->value.len);
	json_object_set_new(json, "version", ftsi_json("s", response->version));
	if (response->maybe_stale) json_object_set_new(json, "maybe_stale", json_true());
	ftsi_print_json(json);
}

enum ftsi_exit ftsi_run_kv_get(struct ftsi_cli *cli)
{
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	Fts__Kv__V1__GetResponse *response = NULL;
	struct ftsi_kv_place place;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum ftsi_exit code = FTSI_EXIT_DONE;

	if (read_place(cli, false, &place, &error) != FTS_OK) {
		code = fail_before(cli, &error);
		goto out;
	}
	request.db = place.db;
	request.key = place.key;
	request.consistency = place.level;
	enum fts_status st = fts_kv_get(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Kv/Get", &info);
	if (st == FTS_OK)
		print_get(cli, &place, response);
	else
		code = ftsi_fail(cli, &error);
out:
	if (response) fts__kv__v1__get_response__free_unpacked(response, NULL);
	ftsi_kv_place_free(&place);
	return code;
}

/* ---- delete ---- */

static void print_delete(const struct ftsi_cli *cli, const Fts__Kv__V1__DeleteResponse *response)
{
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:b,s:s,s:I,s:I}", "existed", response->existed, "version",
					  response->version, "acks", (json_int_t)response->acks, "replicas",
					  (json_int_t)response->replicas));
	else
		puts(response->existed ? "deleted" : "there was no such key");
}

enum ftsi_exit ftsi_run_kv_delete(struct ftsi_cli *cli)
{
	Fts__Kv__V1__DeleteRequest request = FTS__KV__V1__DELETE_REQUEST__INIT;
	Fts__Kv__V1__DeleteResponse *response = NULL;
	struct ftsi_kv_place place;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	const char *if_version = ftsi_value_of(cli, "if-version")->text;
	enum ftsi_exit code = FTSI_EXIT_DONE;

	if (read_place(cli, true, &place, &error) != FTS_OK) {
		code = fail_before(cli, &error);
		goto out;
	}
	request.db = place.db;
	request.key = place.key;
	request.consistency = place.level;
	if (if_version) request.if_version = (char *)if_version;
	request.if_fence = ftsi_value_of(cli, "if-fence")->number;
	enum fts_status st = fts_kv_delete(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Kv/Delete", &info);
	if (st == FTS_OK)
		print_delete(cli, response);
	else
		code = ftsi_fail(cli, &error);
out:
	if (response) fts__kv__v1__delete_response__free_unpacked(response, NULL);
	ftsi_kv_place_free(&place);
	return code;
}

/* ---- where ---- */

static void print_where(const struct ftsi_cli *cli, const Fts__Kv__V1__WhereResponse *response)
{
	json_t *replicas = ftsi_json("[]");

	if (!cli->json && response->linearizable)
		printf("in the log of all nodes (the database is linearizable):");
	else if (!cli->json)
		printf("partition %" PRIu32 ":", response->partition);
	for (size_t i = 0; i < response->n_replicas; i++) {
		if (cli->json)
			json_array_append_new(replicas, ftsi_json("s", response->replicas[i]));
		else
			printf(" %s", response->replicas[i]);
	}
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:O,s:b}", "partition", (json_int_t)response->partition, "replicas",
					  replicas, "linearizable", (int)response->linearizable));
	else
		putchar('\n');
	json_decref(replicas);
}

enum ftsi_exit ftsi_run_kv_where(struct ftsi_cli *cli)
{
	Fts__Kv__V1__WhereRequest request = FTS__KV__V1__WHERE_REQUEST__INIT;
	Fts__Kv__V1__WhereResponse *response = NULL;
	struct ftsi_kv_place place;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum ftsi_exit code = FTSI_EXIT_DONE;

	if (read_place(cli, false, &place, &error) != FTS_OK) {
		code = fail_before(cli, &error);
		goto out;
	}
	request.db = place.db;
	request.key = place.key;
	enum fts_status st = fts_kv_where(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Kv/Where", &info);
	if (st == FTS_OK)
		print_where(cli, response);
	else
		code = ftsi_fail(cli, &error);
out:
	if (response) fts__kv__v1__where_response__free_unpacked(response, NULL);
	ftsi_kv_place_free(&place);
	return code;
}
