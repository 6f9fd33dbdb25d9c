/* Why this file exists: `list`, `describe` and `call`: any server, with nothing but what it says of itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/reflect.h"
#include "client/cli/session.h"
#include "fts/rpc/v1/reflection.fts.h"
#include "rpc/json.h"

enum ftsi_exit ftsi_run_list(struct ftsi_cli *cli)
{
	Fts__Rpc__V1__ListServicesRequest request = FTS__RPC__V1__LIST_SERVICES_REQUEST__INIT;
	Fts__Rpc__V1__ListServicesResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_reflection_list_services(cli->channel, &request, &options, &response, &error);

	ftsi_explain(cli, "Reflection/ListServices", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	json_t *services = ftsi_json("[]");
	for (size_t i = 0; i < response->n_services; i++) {
		if (cli->json)
			json_array_append_new(services, ftsi_json("s", response->services[i]));
		else
			puts(response->services[i]);
	}
	if (cli->json) ftsi_print_json(ftsi_json("{s:O}", "services", services));
	json_decref(services);
	fts__rpc__v1__list_services_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum fts_status ftsi_reflect_describe(struct ftsi_cli *cli, const char *name,
				      Fts__Rpc__V1__DescribeResponse **out_description, struct fts_error *out_error)
{
	Fts__Rpc__V1__DescribeRequest request = FTS__RPC__V1__DESCRIBE_REQUEST__INIT;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.name = (char *)name;
	enum fts_status st = fts_reflection_describe(cli->channel, &request, &options, out_description, out_error);
	ftsi_explain(cli, "Reflection/Describe", &info);
	return st;
}

static enum fts_status print_description(const struct ftsi_cli *cli, const Fts__Rpc__V1__DescribeResponse *description,
					 struct fts_error *out_error)
{
	struct fts_json_options options = {.print_defaults = true};
	char *text = NULL;
	enum fts_status st = cli->json ? fts_json_encode(&description->base, &options, &text, NULL, out_error)
				       : fts_schema_print(description, &text, out_error);

	if (st == FTS_OK) printf("%s%s", text, cli->json ? "\n" : "");
	free(text);
	return st;
}

enum ftsi_exit ftsi_run_describe(struct ftsi_cli *cli)
{
	Fts__Rpc__V1__DescribeResponse *description = NULL;
	struct fts_error error = {0};
	enum fts_status st = ftsi_reflect_describe(cli, cli->args.positionals[0], &description, &error);

	if (st == FTS_OK) st = print_description(cli, description, &error);
	if (description) fts__rpc__v1__describe_response__free_unpacked(description, NULL);
	return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(cli, &error);
}

/* ---- call ---- */

/* Everything of a stream, at most FTS_JSON_TEXT_MAX_BYTES. out_text: returned (free()). */
static enum fts_status read_stream(FILE *in, const char *name, char **out_text, size_t *out_size_bytes,
				   struct fts_error *out_error)
{
	char *text = malloc(FTS_JSON_TEXT_MAX_BYTES + 1);

	if (!text) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	size_t size_bytes = fread(text, 1, FTS_JSON_TEXT_MAX_BYTES + 1, in);
	if (ferror(in) || size_bytes > FTS_JSON_TEXT_MAX_BYTES) {
		fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--data %s: %s", name,
			      ferror(in) ? strerror(errno) : "longer than 8 MiB");
		free(text);
		return FTS_INVALID_ARGUMENT;
	}
	*out_text = text;
	*out_size_bytes = size_bytes;
	return FTS_OK;
}

/* What -d names: JSON itself, @FILE, or - for standard input. out_text: returned (free()). */
static enum fts_status read_data(const char *data, char **out_text, size_t *out_size_bytes, struct fts_error *out_error)
{
	if (strcmp(data, "-") == 0) return read_stream(stdin, data, out_text, out_size_bytes, out_error);
	if (data[0] == '@') {
		FILE *in = fopen(data + 1, "re");
		if (!in) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--data %s: %s", data, strerror(errno));
		enum fts_status st = read_stream(in, data, out_text, out_size_bytes, out_error);
		fclose(in);
		return st;
	}
	*out_text = strdup(data);
	*out_size_bytes = strlen(data);
	return *out_text ? FTS_OK : fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
}

/* One call of method. out_response: returned (protobuf_c_message_free_unpacked). */
static enum fts_status call(struct ftsi_cli *cli, const struct fts_method *method, const ProtobufCMessage *request,
			    ProtobufCMessage **out_response, struct fts_error *out_error)
{
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	options.stale = ftsi_value_of(cli, "stale")->given;
	if (!ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given) options.timeout_ms = 0; /* the method's own */
	enum fts_status st = fts_channel_call(cli->channel, method, request, &options, out_response, out_error);
	ftsi_explain(cli, method->full_name, &info);
	return st;
}

static enum fts_status print_response(const struct ftsi_cli *cli, const ProtobufCMessage *response,
				      struct fts_error *out_error)
{
	struct fts_json_options options = {.print_defaults = true, .pretty = !cli->json};
	char *text = NULL;
	enum fts_status st = fts_json_encode(response, &options, &text, NULL, out_error);

	if (st == FTS_OK) puts(text);
	free(text);
	return st;
}

/* out_usage: the fault is in what the user wrote. */
static enum fts_status call_method(struct ftsi_cli *cli, const struct fts_method *method, bool *out_usage,
				   struct fts_error *out_error)
{
	ProtobufCMessage *request = NULL, *response = NULL;
	char *text = NULL;
	size_t size_bytes = 0;
	enum fts_status st = read_data(ftsi_value_of(cli, "data")->text, &text, &size_bytes, out_error);

	if (st == FTS_OK) {
		struct fts_bytes bytes = {(const uint8_t *)text, size_bytes};
		st = fts_json_decode(bytes, method->request, NULL, &request, out_error);
	}
	*out_usage = st == FTS_INVALID_ARGUMENT;
	if (st == FTS_OK) st = call(cli, method, request, &response, out_error);
	if (st == FTS_OK) st = print_response(cli, response, out_error);
	if (request) protobuf_c_message_free_unpacked(request, NULL);
	if (response) protobuf_c_message_free_unpacked(response, NULL);
	free(text);
	return st;
}

enum ftsi_exit ftsi_run_call(struct ftsi_cli *cli)
{
	const char *name = cli->args.positionals[0];
	Fts__Rpc__V1__DescribeResponse *description = NULL;
	struct fts_schema *schema = NULL;
	struct fts_error error = {0};
	bool usage = false;

	if (!strchr(name, '/'))
		return ftsi_fail_usage(cli, "\"%s\" names no method: write SERVICE/METHOD, see fts-cli list", name);
	enum fts_status st = ftsi_reflect_describe(cli, name, &description, &error);
	if (st == FTS_OK) st = fts_schema_build(description, &schema, &error);
	const struct fts_method *method = st == FTS_OK ? fts_schema_method(schema, name) : NULL;
	if (method)
		st = call_method(cli, method, &usage, &error);
	else if (st == FTS_OK)
		st = fts_error_set(&error, FTS_NOT_FOUND, "the server does not describe %s", name);
	fts_schema_destroy(schema);
	if (description) fts__rpc__v1__describe_response__free_unpacked(description, NULL);
	if (st == FTS_OK) return FTSI_EXIT_DONE;
	return usage ? ftsi_fail_usage(cli, "%s", error.detail) : ftsi_fail(cli, &error);
}
