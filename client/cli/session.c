/* Why this file exists: the channel of one run of fts-cli; see session.h. */
#include "client/cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *ftsi_endpoints(const struct ftsi_cli *cli)
{
	const struct ftsi_value *flag = ftsi_global_of(cli, FTSI_GLOBAL_ENDPOINTS);
	const char *environment = getenv("FTS_ENDPOINTS");

	return !flag->given && environment && *environment ? environment : flag->text;
}

struct fts_tls ftsi_tls(const struct ftsi_cli *cli)
{
	return (struct fts_tls){.ca_file = ftsi_global_of(cli, FTSI_GLOBAL_TLS_CA)->text,
				.cert_file = ftsi_global_of(cli, FTSI_GLOBAL_TLS_CERT)->text,
				.key_file = ftsi_global_of(cli, FTSI_GLOBAL_TLS_KEY)->text};
}

enum fts_status ftsi_token_read(const char *path, uint8_t *buf, size_t *out_size_bytes, struct fts_error *out_error)
{
	struct stat about;
	enum fts_status st = FTS_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &about) != 0) {
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token file %s: %s", path, strerror(errno));
		goto out;
	}
	if (about.st_mode & (S_IRWXG | S_IRWXO)) {
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token file %s can be read by others: chmod 600 %s",
				   path, path);
		goto out;
	}
	ssize_t got = read(fd, buf, FTSI_TOKEN_MAX_BYTES + 2);
	while (got > 0 && strchr(" \t\r\n", buf[got - 1]))
		got--;
	if (got <= 0 || got > (ssize_t)FTSI_TOKEN_MAX_BYTES)
		st = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token file %s holds no token of 1 to %u bytes",
				   path, FTSI_TOKEN_MAX_BYTES);
	else
		*out_size_bytes = (size_t)got;
out:
	if (fd >= 0) close(fd);
	return st;
}

enum fts_status ftsi_session_channel_to(const struct ftsi_cli *cli, const char *endpoints,
					struct fts_channel **out_channel, struct fts_error *out_error)
{
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];
	const char *token_file = ftsi_global_of(cli, FTSI_GLOBAL_TOKEN_FILE)->text;
	struct fts_channel_options options = {.endpoints = endpoints, .tls = ftsi_tls(cli), .learn_members = true};

	if (token_file) {
		options.token.data = token;
		enum fts_status st = ftsi_token_read(token_file, token, &options.token.size_bytes, out_error);
		if (st != FTS_OK) return st;
	}
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
