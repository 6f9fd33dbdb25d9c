/* Why this file exists: see access/transition.h. */
#include "access/transition.h"

#include <string.h>

#include <fts/access/v1/access.fts.h>

#include "credentials/token.h"

#define LIST_MAX 1000
#define CALLS_PER_S_MAX 1000000u
#define LIFETIME_MS_MAX (100ull * 365 * 24 * 3600 * 1000)
#define JOIN_LIFETIME_MS_MAX (7ull * 24 * 3600 * 1000)

static enum fts_status broken(struct fts_apply *apply, enum fts_status status)
{
	if (status == FTS_OK || status == FTS_RESOURCE_EXHAUSTED) return status;
	return fts_apply_refuse(apply, FTS_INTERNAL, "the tokens can't be read or written: %s",
				fts_status_name(status));
}

static enum fts_status tell(struct fts_apply *apply, const Fts__Access__V1__Token *token,
			    Fts__Access__V1__Change change)
{
	Fts__Access__V1__TokenEvent event = FTS__ACCESS__V1__TOKEN_EVENT__INIT;
	event.id = token->id;
	event.role = token->role;
	event.subject = token->subject;
	event.change = change;
	return fts_apply_publish(apply, fts_access_v1_token_event_topic.name, &event.base);
}

/* ---- What there is ---- */

static bool is_lasting_admin(const Fts__Access__V1__Token *token)
{
	return token->role == FTS__ACCESS__V1__ROLE__ADMIN && token->expires_ms == 0;
}

struct census {
	size_t count, lasting_admin_count, gone_count;
	int64_t now_ms;
	char gone[64][FTSI_TOKEN_ID_MAX + 1]; /* expired, to be cleared away */
};

static bool count_token(void *ctx, const Fts__Access__V1__Token *token)
{
	struct census *census = ctx;
	census->count++;
	census->lasting_admin_count += is_lasting_admin(token);
	if (token->expires_ms == 0 || token->expires_ms > census->now_ms ||
	    census->gone_count == sizeof census->gone / sizeof *census->gone)
		return true;
	memcpy(census->gone[census->gone_count++], token->id, strlen(token->id) + 1);
	return true;
}

static enum fts_status take_census(struct fts_apply *apply, struct census *out_census)
{
	*out_census = (struct census){.now_ms = apply->time_ms};
	return ftsi_access_visit_tokens(apply->txn, "", count_token, out_census);
}

/* ---- Make ---- */

static bool is_id(const char *text)
{
	return strlen(text) == FTSI_TOKEN_ID_MAX && strspn(text, "0123456789abcdef") == FTSI_TOKEN_ID_MAX &&
	       strspn(text, "0") < FTSI_TOKEN_ID_MAX; /* all zeros: the nodes' own */
}

static bool is_number(const char *text)
{
	size_t size = strlen(text);
	return size > 0 && size <= 10 && text[0] != '0' && strspn(text, "0123456789") == size;
}

static bool has_subject(Fts__Access__V1__Role role)
{
	return role == FTS__ACCESS__V1__ROLE__AGENCY || role == FTS__ACCESS__V1__ROLE__PLAYER ||
	       role == FTS__ACCESS__V1__ROLE__MEMBER || role == FTS__ACCESS__V1__ROLE__JOIN;
}

static enum fts_status check_role(struct fts_apply *apply, const Fts__Access__V1__MakeRequest *request)
{
	size_t subject_bytes = strlen(request->subject);
	if (request->role < FTS__ACCESS__V1__ROLE__ADMIN || request->role > FTS__ACCESS__V1__ROLE__JOIN)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "role: %d is none that a token may have",
					(int)request->role);
	if (has_subject(request->role) != (subject_bytes > 0) || subject_bytes > FTSI_TOKEN_SUBJECT_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"subject: agency, player, member and join are bound to one, of 1 to %d bytes; "
					"the other roles to none",
					FTSI_TOKEN_SUBJECT_MAX);
	if (request->role == FTS__ACCESS__V1__ROLE__AGENCY && !is_number(request->subject))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "subject: the number of an agency is expected");
	return FTS_OK;
}

static enum fts_status check_make(struct fts_apply *apply, const Fts__Access__V1__MakeRequest *request)
{
	bool joins = request->role == FTS__ACCESS__V1__ROLE__JOIN;
	if (!is_id(request->id))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "id: %d hexadecimal digits are expected",
					FTSI_TOKEN_ID_MAX);
	if (request->hash.len != FTS_TOKEN_HASH_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "hash: %d bytes are expected",
					FTS_TOKEN_HASH_BYTES);
	if (strlen(request->label) > FTSI_TOKEN_LABEL_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "label: at most %d bytes", FTSI_TOKEN_LABEL_MAX);
	if (request->lifetime_ms > LIFETIME_MS_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "lifetime_ms: at most 100 years");
	if (joins && (request->lifetime_ms == 0 || request->lifetime_ms > JOIN_LIFETIME_MS_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"lifetime_ms: a token to join with is good for at most a week");
	if (request->calls_per_s > CALLS_PER_S_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "calls_per_s: at most %u; 0: no limit",
					CALLS_PER_S_MAX);
	return check_role(apply, request);
}

static bool bytes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	return a.len == b.len && fts_token_equal(a.data, b.data, a.len);
}

static bool is_same(const Fts__Access__V1__Token *token, const Fts__Access__V1__MakeRequest *request)
{
	return bytes_equal(token->hash, request->hash) && token->role == request->role &&
	       token->calls_per_s == request->calls_per_s &&
	       strcmp(token->subject, request->subject) == 0;
}

static enum fts_status make_room(struct fts_apply *apply, const struct census *census)
{
	enum fts_status status = FTS_OK;
	for (size_t i = 0; i < census->gone_count && status == FTS_OK; i++)
		status = ftsi_access_delete_token(apply->txn, census->gone[i]);
	return status;
}

enum fts_status ftsi_access_apply_make(struct fts_apply *apply, const ProtobufCMessage *request_base,
				       ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Access__V1__MakeRequest *request = (const Fts__Access__V1__MakeRequest *)request_base;
	Fts__Access__V1__MakeResponse *response = (Fts__Access__V1__MakeResponse *)response_base;
	Fts__Access__V1__Token token = FTS__ACCESS__V1__TOKEN__INIT, *before = NULL;
	struct census census;
	(void)ctx;
	enum fts_status status = check_make(apply, request);
	if (status != FTS_OK) return status;
	status = ftsi_access_get_token(apply->txn, apply->arena, request->id, &before);
	if (status == FTS_OK && is_same(before, request)) {
		response->expires_ms = before->expires_ms;
		return FTS_OK;
	}
	if (status == FTS_OK) return fts_apply_refuse(apply, FTS_ALREADY_EXISTS, "id: there is another of this id");
	if (status != FTS_NOT_FOUND || (status = take_census(apply, &census)) != FTS_OK) return broken(apply, status);
	token.id = request->id;
	token.hash = request->hash;
	token.role = request->role;
	token.subject = request->subject;
	token.label = request->label;
	token.calls_per_s = request->calls_per_s;
	token.made_ms = apply->time_ms;
	token.expires_ms = request->lifetime_ms == 0 ? 0 : apply->time_ms + (int64_t)request->lifetime_ms;
	if (census.lasting_admin_count == 0 && !is_lasting_admin(&token))
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION,
					"the first token must be an admin's that never expires, so that somebody can "
					"make others: fts-cli token make --role admin");
	if (census.count - census.gone_count >= FTSI_TOKEN_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "there are %d tokens: revoke some",
					FTSI_TOKEN_MAX);
	status = make_room(apply, &census);
	if (status == FTS_OK) status = ftsi_access_put_token(apply->txn, apply->arena, &token);
	if (status != FTS_OK) return broken(apply, status);
	response->expires_ms = token.expires_ms;
	return tell(apply, &token, FTS__ACCESS__V1__CHANGE__MADE);
}

/* ---- Revoke ---- */

enum fts_status ftsi_access_apply_revoke(struct fts_apply *apply, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Access__V1__RevokeRequest *request = (const Fts__Access__V1__RevokeRequest *)request_base;
	Fts__Access__V1__Token *token = NULL;
	struct census census;
	(void)response_base;
	(void)ctx;
	if (!is_id(request->id))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "id: %d hexadecimal digits are expected",
					FTSI_TOKEN_ID_MAX);
	enum fts_status status = ftsi_access_get_token(apply->txn, apply->arena, request->id, &token);
	if (status == FTS_NOT_FOUND) return fts_apply_refuse(apply, status, "there is no token %s", request->id);
	if (status == FTS_OK) status = take_census(apply, &census);
	if (status != FTS_OK) return broken(apply, status);
	if (is_lasting_admin(token) && census.lasting_admin_count == 1)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION,
					"%s is the last admin's: make another before it is revoked", request->id);
	status = ftsi_access_delete_token(apply->txn, request->id);
	return status == FTS_OK ? tell(apply, token, FTS__ACCESS__V1__CHANGE__REVOKED) : broken(apply, status);
}

/* ---- Spend ---- */

static enum fts_status check_spend(struct fts_apply *apply, const Fts__Access__V1__SpendCommand *command,
				   const Fts__Access__V1__Token *token)
{
	if (token == NULL || token->role != FTS__ACCESS__V1__ROLE__JOIN || !bytes_equal(token->hash, command->hash))
		return fts_apply_refuse(apply, FTS_UNAUTHENTICATED,
					"the join token is unknown or was revoked: an admin makes one with `fts-cli "
					"token join %.64s`",
					command->name);
	if (strcmp(token->subject, command->name) != 0)
		return fts_apply_refuse(apply, FTS_PERMISSION_DENIED, "the join token is for %s, not for %.64s",
					token->subject, command->name);
	if (token->spent_by != 0 && token->spent_by != command->node_id)
		return fts_apply_refuse(apply, FTS_PERMISSION_DENIED,
					"the join token of %s was used by another start of it already: it is good once",
					token->subject);
	if (token->expires_ms <= apply->time_ms)
		return fts_apply_refuse(apply, FTS_UNAUTHENTICATED, "the join token of %s has expired", token->subject);
	return FTS_OK;
}

enum fts_status ftsi_access_apply_spend(struct fts_apply *apply, const ProtobufCMessage *request_base,
					ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Access__V1__SpendCommand *command = (const Fts__Access__V1__SpendCommand *)request_base;
	Fts__Access__V1__Token *token = NULL;
	(void)response_base;
	(void)ctx;
	enum fts_status status = FTS_NOT_FOUND;
	if (is_id(command->id)) status = ftsi_access_get_token(apply->txn, apply->arena, command->id, &token);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return broken(apply, status);
	if ((status = check_spend(apply, command, token)) != FTS_OK) return status;
	if (token->spent_by == command->node_id) return FTS_OK;
	token->spent_by = command->node_id;
	status = ftsi_access_put_token(apply->txn, apply->arena, token);
	return status == FTS_OK ? tell(apply, token, FTS__ACCESS__V1__CHANGE__SPENT) : broken(apply, status);
}

/* ---- Rotate ---- */

enum fts_status ftsi_access_apply_rotate(struct fts_apply *apply, const ProtobufCMessage *request_base,
					 ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Access__V1__RotateCommand *command = (const Fts__Access__V1__RotateCommand *)request_base;
	Fts__Access__V1__NodeSecret fresh = FTS__ACCESS__V1__NODE_SECRET__INIT, *before = NULL;
	Fts__Access__V1__SecretEvent event = FTS__ACCESS__V1__SECRET_EVENT__INIT;
	(void)response_base;
	(void)ctx;
	if (command->secret.len != FTSI_NODE_SECRET_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "secret: %d bytes", FTSI_NODE_SECRET_BYTES);
	enum fts_status status = ftsi_access_get_secret(apply->txn, apply->arena, &before);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return broken(apply, status);
	if (command->generation != (before == NULL ? 0 : before->generation)) return FTS_OK;
	fresh.current = command->secret;
	if (before != NULL) fresh.previous = before->current;
	fresh.generation = event.generation = command->generation + 1;
	fresh.made_ms = apply->time_ms;
	status = ftsi_access_put_secret(apply->txn, apply->arena, &fresh);
	if (status != FTS_OK) return broken(apply, status);
	return fts_apply_publish(apply, fts_access_v1_secret_event_topic.name, &event.base);
}

/* ---- List ---- */

struct listing {
	struct fts_arena *arena;
	Fts__Access__V1__Token **items;
	size_t count, limit;
	bool more, exhausted;
};

static bool list_one(void *ctx, const Fts__Access__V1__Token *token)
{
	struct listing *listing = ctx;
	listing->more = listing->count == listing->limit;
	if (listing->more) return false;
	Fts__Access__V1__Token *item = fts_arena_alloc(listing->arena, sizeof *item);
	char *id = fts_arena_copy(listing->arena, token->id, strlen(token->id));
	char *subject = fts_arena_copy(listing->arena, token->subject, strlen(token->subject));
	char *label = fts_arena_copy(listing->arena, token->label, strlen(token->label));
	listing->exhausted = item == NULL || id == NULL || subject == NULL || label == NULL;
	if (listing->exhausted) return false;
	*item = *token;
	item->id = id;
	item->subject = subject;
	item->label = label;
	item->hash = (ProtobufCBinaryData){0, NULL};
	listing->items[listing->count++] = item;
	return true;
}

enum fts_status ftsi_access_read_list(struct fts_read *read, const ProtobufCMessage *request_base,
				      ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Access__V1__ListRequest *request = (const Fts__Access__V1__ListRequest *)request_base;
	Fts__Access__V1__ListResponse *response = (Fts__Access__V1__ListResponse *)response_base;
	struct listing listing = {.arena = read->arena, .limit = request->limit == 0 ? LIST_MAX : request->limit};
	(void)ctx;
	if (listing.limit > LIST_MAX || strlen(request->after) > FTSI_TOKEN_ID_MAX)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "limit: at most %d; after: an id", LIST_MAX);
	listing.items = fts_arena_alloc(read->arena, listing.limit * sizeof(Fts__Access__V1__Token *));
	if (listing.items == NULL) return fts_read_refuse(read, FTS_RESOURCE_EXHAUSTED, "no memory for the answer");
	enum fts_status status = ftsi_access_visit_tokens(read->view, request->after, list_one, &listing);
	if (status == FTS_OK && listing.exhausted) status = FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK)
		return fts_read_refuse(read, status == FTS_RESOURCE_EXHAUSTED ? status : FTS_INTERNAL,
				       "the tokens can't be read: %s", fts_status_name(status));
	response->tokens = listing.items;
	response->n_tokens = listing.count;
	response->more = listing.more;
	return FTS_OK;
}
