/* Why this file exists: the channel of one run of fts-cli; see session.h. */
#include "client/cli/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret_file.h"
#include "client/cli/output.h"
#include "rpc/endpoint.h"
#include "rpc/presence.h"

const char *ftsi_endpoints(const struct ftsi_cli *cli)
{
	const struct ftsi_value *flag = ftsi_global_of(cli, FTSI_GLOBAL_ENDPOINTS);
	const char *environment = getenv("FTS_ENDPOINTS");

	return !flag->given && environment && *environment ? environment : flag->text;
}

/* A global flag, or what the environment says in its place: names of files, never what is in them. */
static const char *named(const struct ftsi_cli *cli, enum ftsi_global global, const char *variable)
{
	const char *text = ftsi_global_of(cli, global)->text, *environment = getenv(variable);

	return text == NULL && environment && *environment ? environment : text;
}

struct fts_tls ftsi_tls(const struct ftsi_cli *cli)
{
	return (struct fts_tls){.ca_file = named(cli, FTSI_GLOBAL_TLS_CA, "FTS_TLS_CA"),
				.cert_file = named(cli, FTSI_GLOBAL_TLS_CERT, "FTS_TLS_CERT"),
				.key_file = named(cli, FTSI_GLOBAL_TLS_KEY, "FTS_TLS_KEY")};
}

enum fts_status ftsi_token_read(const char *path, uint8_t *buf, size_t *out_size_bytes, struct fts_error *out_error)
{
	return fts_secret_file_read(path, "token", buf, FTSI_TOKEN_MAX_BYTES, out_size_bytes, out_error);
}

enum fts_status ftsi_session_token(const struct ftsi_cli *cli, uint8_t *buf, struct fts_bytes *out_token,
				   struct fts_error *out_error)
{
	const char *path = named(cli, FTSI_GLOBAL_TOKEN_FILE, "FTS_TOKEN_FILE");

	*out_token = (struct fts_bytes){buf, 0};
	return path == NULL ? FTS_OK : ftsi_token_read(path, buf, &out_token->size_bytes, out_error);
}

bool ftsi_session_stays_local(const struct ftsi_cli *cli, struct fts_bytes token)
{
	return token.size_bytes > 0 && ftsi_tls(cli).ca_file == NULL &&
	       !ftsi_global_of(cli, FTSI_GLOBAL_INSECURE)->given;
}

/* As far as the texts say: names other than localhost are not looked up for it. What is no list is refused later. */
static bool all_on_this_machine(const char *endpoints)
{
	struct ftsi_endpoint_list list = {.count = 0};

	if (ftsi_endpoint_list_parse(endpoints, &list, NULL) != FTS_OK) return true;
	for (uint32_t i = 0; i < list.count; i++)
		if (!ftsi_endpoint_is_loopback(&list.items[i])) return false;
	return true;
}

enum fts_status ftsi_session_channel_to(const struct ftsi_cli *cli, const char *endpoints,
					struct fts_channel **out_channel, struct fts_error *out_error)
{
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];
	struct fts_channel_options options = {.endpoints = endpoints, .tls = ftsi_tls(cli), .learn_members = true};

	enum fts_status st = ftsi_session_token(cli, token, &options.token, out_error);
	if (st != FTS_OK) return st;
	options.stay_local = ftsi_session_stays_local(cli, options.token);
	if (options.stay_local && !all_on_this_machine(endpoints))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "%.200s: a token is not sent to another machine without TLS: give --tls-ca, "
				     "--tls-cert and --tls-key, or --insecure",
				     endpoints);
	return fts_channel_open(&options, out_channel, out_error);
}

enum fts_status ftsi_session_channel(const struct ftsi_cli *cli, struct fts_channel **out_channel,
				     struct fts_error *out_error)
{
	return ftsi_session_channel_to(cli, ftsi_endpoints(cli), out_channel, out_error);
}

enum fts_status ftsi_session_open(struct ftsi_cli *cli, struct fts_error *out_error)
{
	return ftsi_session_channel(cli, &cli->channel, out_error);
}

void ftsi_session_close(struct ftsi_cli *cli)
{
	fts_channel_close(cli->channel);
	cli->channel = NULL;
}

struct fts_call_options ftsi_call_options(const struct ftsi_cli *cli, struct fts_call_info *info)
{
	*info = (struct fts_call_info){0};
	return (struct fts_call_options){.timeout_ms = cli->timeout_ms, .info = info};
}

void ftsi_explain(const struct ftsi_cli *cli, const char *method, const struct fts_call_info *info)
{
	if (!cli->explain) return;
	fprintf(stderr,
		"explain: %s attempts=%" PRIu32 " node=%s endpoint=%s moves=%" PRIu32 " term=%" PRIu64 " index=%" PRIu64
		" age_ms=%" PRIu32 " connect_us=%" PRIu64 " retry_us=%" PRIu64 " wait_us=%" PRIu64 " server_us=%" PRIu64
		" total_us=%" PRIu64 "\n",
		method, info->attempts, info->node[0] ? info->node : "-", info->endpoint[0] ? info->endpoint : "-",
		info->moves, info->term, info->index, info->age_ms, info->connect_us, info->retry_us, info->wait_us,
		info->server_us, info->total_us);
}

/* ---- Presence ---- */

struct ftsi_presence {
	struct fts_channel *channel; /* its own: a command may change its channel for another */
	struct fts_presence *presence;
};

struct ftsi_presence *ftsi_session_presence(const struct ftsi_cli *cli, const char *name)
{
	struct ftsi_presence *made = calloc(1, sizeof(*made));
	struct fts_error error = {.detail = "out of memory"};
	enum fts_status st = FTS_RESOURCE_EXHAUSTED;

	if (made) st = ftsi_session_channel(cli, &made->channel, &error);
	if (st == FTS_OK) {
		const struct fts_presence_options options = {.name = name,
							     .kind = FTS_PRESENCE_AGENT,
							     .endpoints = ftsi_endpoints(cli),
							     .tls = ftsi_tls(cli),
							     .channel = made->channel};
		st = fts_presence_create(&options, &made->presence, &error);
	}
	if (st == FTS_OK) return made;
	ftsi_note("health surveys will not see this agent: %s", error.detail);
	ftsi_session_presence_end(made);
	return NULL;
}

void ftsi_session_presence_end(struct ftsi_presence *presence)
{
	if (!presence) return;
	fts_presence_destroy(presence->presence);
	fts_channel_close(presence->channel);
	free(presence);
}
