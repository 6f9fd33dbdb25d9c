/* Why this file exists: `token make`, `token join`, `token list`, `token revoke`, `token new`: who may do what
 * (docs/security.md). A token is drawn here and goes into a file that only its owner reads; the cluster gets its hash.
 *
 * Invariant: the file is there before the cluster knows the hash, so that no token is known that nobody has; it is
 * taken away again when the cluster certainly does not know it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fts/access/v1/access.fts.h>

#include "base/secret_file.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/utf8.h"
#include "credentials/token.h"

#define SUBJECT_BYTES 128
#define TIME_BYTES 32
#define LABEL_BYTES 256
#define PAGE_MAX 1000

static const struct {
	const char *name;
	Fts__Access__V1__Role role;
} roles[] = {
    {"admin", FTS__ACCESS__V1__ROLE__ADMIN},   {"operator", FTS__ACCESS__V1__ROLE__OPERATOR},
    {"writer", FTS__ACCESS__V1__ROLE__WRITER}, {"reader", FTS__ACCESS__V1__ROLE__READER},
    {"agency", FTS__ACCESS__V1__ROLE__AGENCY}, {"player", FTS__ACCESS__V1__ROLE__PLAYER},
    {"member", FTS__ACCESS__V1__ROLE__MEMBER}, {"join", FTS__ACCESS__V1__ROLE__JOIN},
};

static const char *role_name(Fts__Access__V1__Role role)
{
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (roles[i].role == role) return roles[i].name;
	return "none";
}

/* "agency:3" -> role, subject. False: no such role, or its subject is missing or too much. */
static bool parse_role(const char *text, Fts__Access__V1__Role *out_role, char out_subject[SUBJECT_BYTES])
{
	const char *colon = strchr(text, ':');
	size_t name_bytes = colon == NULL ? strlen(text) : (size_t)(colon - text);
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		if (strlen(roles[i].name) != name_bytes || memcmp(roles[i].name, text, name_bytes) != 0) continue;
		bool bound = roles[i].role >= FTS__ACCESS__V1__ROLE__AGENCY;
		if (bound != (colon != NULL && colon[1] != '\0')) return false;
		*out_role = roles[i].role;
		(void)snprintf(out_subject, SUBJECT_BYTES, "%s", bound ? colon + 1 : "");
		return true;
	}
	return false;
}

static const char *print_time(int64_t time_ms, char out_text[TIME_BYTES])
{
	struct tm parts;
	time_t seconds = (time_t)(time_ms / 1000);
	if (time_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
	    strftime(out_text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		(void)snprintf(out_text, TIME_BYTES, "never");
	return out_text;
}

/* ---- Making ---- */

/* A token, in a file or for standard output. */
struct fresh {
	char text[FTS_TOKEN_TEXT_BYTES];
	char id[FTS_TOKEN_ID_BYTES];
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
	const char *path; /* NULL: it is printed */
};

static enum fts_status draw(struct fresh *fresh, const char *path, struct fts_error *out_error)
{
	fresh->path = path;
	if (!fts_token_make(fresh->text) || !fts_token_id(fresh->text, strlen(fresh->text), fresh->id))
		return fts_error_set(out_error, FTS_INTERNAL, "this machine gives no randomness");
	fts_token_hash(fresh->text, strlen(fresh->text), fresh->hash);
	if (path == NULL) return FTS_OK;
	fresh->text[FTS_TOKEN_TEXT_BYTES - 1] = '\n';
	enum fts_status status = fts_secret_file_make(path, fresh->text, FTS_TOKEN_TEXT_BYTES, out_error);
	fresh->text[FTS_TOKEN_TEXT_BYTES - 1] = '\0';
	return status;
}

static void tell_made(const struct ftsi_cli *cli, const struct fresh *fresh, const char *role, int64_t expires_ms)
{
	char time[TIME_BYTES];
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:s,s:s,s:s}", "id", fresh->id, "role", role, "expires",
					  print_time(expires_ms, time), fresh->path != NULL ? "file" : "token",
					  fresh->path != NULL ? fresh->path : fresh->text));
	else if (fresh->path != NULL)
		printf("token %s of %s is in %s, expires %s\n", fresh->id, role, fresh->path,
		       print_time(expires_ms, time));
	else
		printf("%s\n", fresh->text);
}

/* What was to be printed is nowhere else, and without the first token nobody is let in any more. */
static enum ftsi_exit rescue(struct fresh *fresh)
{
	char path[FTS_TOKEN_ID_BYTES + sizeof "fts_.token"];
	(void)snprintf(path, sizeof path, "fts_%s.token", fresh->id);
	fresh->text[FTS_TOKEN_TEXT_BYTES - 1] = '\n';
	bool kept = fts_secret_file_make(path, fresh->text, FTS_TOKEN_TEXT_BYTES, NULL) == FTS_OK;
	fresh->text[FTS_TOKEN_TEXT_BYTES - 1] = '\0';
	if (kept)
		ftsi_note("the token %s is made and could not be printed: it is in the file %s", fresh->id, path);
	else
		ftsi_note("the token is made and could be neither printed nor kept in %s: it is %s", path, fresh->text);
	return FTSI_EXIT_NO;
}

static enum ftsi_exit make(struct ftsi_cli *cli, const char *role_text, uint64_t lifetime_ms, uint32_t calls_per_s)
{
	Fts__Access__V1__MakeRequest request = FTS__ACCESS__V1__MAKE_REQUEST__INIT;
	Fts__Access__V1__MakeResponse *response = NULL;
	const char *label = ftsi_value_of(cli, "label")->text;
	struct fresh fresh;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	char subject[SUBJECT_BYTES];
	if (!parse_role(role_text, &request.role, subject))
		return ftsi_fail_usage(cli,
				       "\"%.100s\" is no role: admin, operator, writer, reader, agency:N, "
				       "player:MATCH, member:ELECTION or join:NODE is expected",
				       role_text);
	if (draw(&fresh, ftsi_value_of(cli, "out")->text, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	request.id = fresh.id;
	request.hash = (ProtobufCBinaryData){sizeof fresh.hash, fresh.hash};
	request.subject = subject;
	request.label = (char *)(uintptr_t)(label != NULL ? label : "");
	request.lifetime_ms = lifetime_ms;
	request.calls_per_s = calls_per_s;
	enum ftsi_exit code = FTSI_EXIT_DONE;
	if (fts_access_make(cli->channel, &request, &options, &response, &error) == FTS_OK) {
		tell_made(cli, &fresh, role_text, response->expires_ms);
		(void)fflush(stdout);
		if (fresh.path == NULL && !ftsi_output_open()) code = rescue(&fresh);
		fts__access__v1__make_response__free_unpacked(response, NULL);
	} else {
		if (error.executed == FTS_EXECUTED_NO && fresh.path != NULL) (void)unlink(fresh.path);
		code = ftsi_fail(cli, &error);
	}
	ftsi_explain(cli, "Access/Make", &info);
	explicit_bzero(&fresh, sizeof fresh);
	return code;
}

enum ftsi_exit ftsi_run_token_make(struct ftsi_cli *cli)
{
	const struct ftsi_value *expires = ftsi_value_of(cli, "expires");
	const struct ftsi_value *calls = ftsi_value_of(cli, "calls-per-second");
	return make(cli, ftsi_value_of(cli, "role")->text, expires->given ? expires->number : 0,
		    calls->given ? (uint32_t)calls->number : 0);
}

enum ftsi_exit ftsi_run_token_join(struct ftsi_cli *cli)
{
	char role[SUBJECT_BYTES];
	if (strlen(cli->args.positionals[0]) + sizeof "join:" > sizeof role)
		return ftsi_fail_usage(cli, "%.64s… is no name of a node", cli->args.positionals[0]);
	(void)snprintf(role, sizeof role, "join:%s", cli->args.positionals[0]);
	return make(cli, role, ftsi_value_of(cli, "expires")->number, 0);
}

enum ftsi_exit ftsi_run_token_new(struct ftsi_cli *cli)
{
	struct fresh fresh;
	struct fts_error error = {0};
	char hash[2 * FTS_TOKEN_HASH_BYTES + 1];
	if (draw(&fresh, cli->args.positionals[0], &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	for (size_t i = 0; i < sizeof fresh.hash; i++)
		(void)snprintf(hash + 2 * i, 3, "%02x", fresh.hash[i]);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:s,s:s}", "id", fresh.id, "file", fresh.path, "hash", hash));
	else
		printf("%s\n", hash);
	explicit_bzero(&fresh, sizeof fresh);
	return FTSI_EXIT_DONE;
}

/* ---- Listing ---- */

static json_t *token_json(const Fts__Access__V1__Token *token)
{
	char made[TIME_BYTES], expires[TIME_BYTES];
	return ftsi_json("{s:s,s:s,s:o,s:o,s:s,s:s,s:b,s:I}", "id", token->id, "role", role_name(token->role),
			 "subject", ftsi_text_json(token->subject), "label", ftsi_text_json(token->label), "made",
			 print_time(token->made_ms, made), "expires", print_time(token->expires_ms, expires), "spent",
			 token->spent_by != 0, "calls_per_second", (json_int_t)token->calls_per_s);
}

static void print_token(const Fts__Access__V1__Token *token)
{
	char role[2 * SUBJECT_BYTES], made[TIME_BYTES], expires[TIME_BYTES], label[LABEL_BYTES];
	(void)snprintf(role, sizeof role, "%s%s%s", role_name(token->role), token->subject[0] != '\0' ? ":" : "",
		       token->subject);
	printf("%-16s  %-20s  %-20s  %-20s  %s%s\n", token->id, role, print_time(token->made_ms, made),
	       print_time(token->expires_ms, expires), token->spent_by != 0 ? "(spent) " : "",
	       ftsi_utf8_clean(label, sizeof label, token->label, false));
}

enum ftsi_exit ftsi_run_token_list(struct ftsi_cli *cli)
{
	char after[FTS_TOKEN_ID_BYTES] = "";
	json_t *list = json_array();
	bool more = true;
	while (more) {
		Fts__Access__V1__ListRequest request = FTS__ACCESS__V1__LIST_REQUEST__INIT;
		Fts__Access__V1__ListResponse *response = NULL;
		struct fts_error error = {0};
		struct fts_call_info info;
		struct fts_call_options options = ftsi_call_options(cli, &info);
		request.after = after;
		request.limit = PAGE_MAX;
		enum fts_status status = fts_access_list(cli->channel, &request, &options, &response, &error);
		ftsi_explain(cli, "Access/List", &info);
		if (status != FTS_OK) {
			json_decref(list);
			return ftsi_fail(cli, &error);
		}
		if (!cli->json && !after[0])
			printf("%-16s  %-20s  %-20s  %-20s  %s\n", "ID", "ROLE", "MADE", "EXPIRES", "LABEL");
		for (size_t i = 0; i < response->n_tokens; i++) {
			if (cli->json)
				json_array_append_new(list, token_json(response->tokens[i]));
			else
				print_token(response->tokens[i]);
		}
		more = response->more && response->n_tokens > 0;
		if (more) (void)snprintf(after, sizeof after, "%s", response->tokens[response->n_tokens - 1]->id);
		fts__access__v1__list_response__free_unpacked(response, NULL);
	}
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:o}", "tokens", list));
	else
		json_decref(list);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_token_revoke(struct ftsi_cli *cli)
{
	Fts__Access__V1__RevokeRequest request = FTS__ACCESS__V1__REVOKE_REQUEST__INIT;
	Fts__Access__V1__RevokeResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	request.id = (char *)(uintptr_t)cli->args.positionals[0];
	enum fts_status status = fts_access_revoke(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Access/Revoke", &info);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	fts__access__v1__revoke_response__free_unpacked(response, NULL);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s}", "revoked", request.id));
	else
		printf("token %s is revoked\n", request.id);
	return FTSI_EXIT_DONE;
}
