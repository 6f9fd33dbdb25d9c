/* Why this file exists: see access/access.h: the machines of access control, the table made from them, and the check
 * of every call. */
#include "access/access.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <fts/access/v1/access.fts.h>

#include "access/policy.h"
#include "access/table.h"
#include "access/transition.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

enum { MACHINE_COUNT = 2, METHOD_COUNT = 3, LOG_METHOD_COUNT = 2 };

#define ROTATE_AFTER_MS (24ll * 3600 * 1000)
#define ROTATE_AGAIN_MS 2000

struct fts_access {
	struct fts_machine machines[MACHINE_COUNT];
	const struct fts_machine *machine_list[MACHINE_COUNT];
	struct fts_machine_method methods[METHOD_COUNT], log_methods[LOG_METHOD_COUNT];
	struct ftsi_table *table;
	atomic_bool changed; /* a command has changed tokens since the table was made */
	atomic_bool ready;   /* all that was committed before this start has been applied */
	int64_t asked_ms;    /* when a new secret was last proposed; of the loop */
	pthread_mutex_t lock;
	struct fts_replica *replica; /* guarded by lock; NULL: not attached */
};

/* ---- What is told ---- */

static const char *change_name(Fts__Access__V1__Change change)
{
	static const char *const names[] = {"unknown", "made", "revoked", "spent"};
	return names[change];
}

/* On each node, as it applies. */
static void tell(const char *id, const Fts__Access__V1__MakeRequest *made, Fts__Access__V1__Change change)
{
	char subject[2 * FTSI_TOKEN_SUBJECT_MAX + 4];
	if (made == NULL)
		FTS_LOG_INFO("audit.token", "change=%s id=%.16s", change_name(change), id);
	else
		FTS_LOG_INFO("audit.token", "change=%s id=%.16s role=%s subject=%s", change_name(change), id,
			     ftsi_policy_role_name(made->role), fts_log_quote(subject, sizeof subject, made->subject));
}

/* ---- Transitions, and that they took place ---- */

static enum fts_status apply_make(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx)
{
	struct fts_access *access = ctx;
	const Fts__Access__V1__MakeRequest *made = (const Fts__Access__V1__MakeRequest *)request;
	enum fts_status status = ftsi_access_apply_make(apply, request, response, NULL);
	if (status != FTS_OK) return status;
	atomic_store(&access->changed, true);
	tell(made->id, made, FTS__ACCESS__V1__CHANGE__MADE);
	return status;
}

static enum fts_status apply_revoke(struct fts_apply *apply, const ProtobufCMessage *request,
				    ProtobufCMessage *response, void *ctx)
{
	struct fts_access *access = ctx;
	enum fts_status status = ftsi_access_apply_revoke(apply, request, response, NULL);
	if (status != FTS_OK) return status;
	atomic_store(&access->changed, true);
	tell(((const Fts__Access__V1__RevokeRequest *)request)->id, NULL, FTS__ACCESS__V1__CHANGE__REVOKED);
	return status;
}

static enum fts_status apply_spend(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				   void *ctx)
{
	enum fts_status status = ftsi_access_apply_spend(apply, request, response, NULL);
	(void)ctx;
	if (status == FTS_OK)
		tell(((const Fts__Access__V1__SpendCommand *)request)->id, NULL, FTS__ACCESS__V1__CHANGE__SPENT);
	return status;
}

static enum fts_status apply_rotate(struct fts_apply *apply, const ProtobufCMessage *request,
				    ProtobufCMessage *response, void *ctx)
{
	struct fts_access *access = ctx;
	enum fts_status status = ftsi_access_apply_rotate(apply, request, response, NULL);
	if (status == FTS_OK) atomic_store(&access->changed, true);
	return status;
}

/* ---- On the loop ---- */

static void load(struct fts_access *access, struct fts_txn *view)
{
	enum fts_status status = ftsi_table_load(access->table, view);
	if (status == FTS_OK) return;
	atomic_store(&access->changed, true); /* the next turn tries again */
	FTS_LOG_ERROR("access.load_failed", "status=%s", fts_status_name(status));
}

static void on_replaced(void *ctx, struct fts_txn *view)
{
	load(ctx, view);
}

/* A token of the nodes' own, once there are any tokens, and a new one every day. */
static void rotate(struct fts_access *access, int64_t now_ms)
{
	Fts__Access__V1__RotateCommand command = FTS__ACCESS__V1__ROTATE_COMMAND__INIT;
	uint8_t secret[FTSI_NODE_SECRET_BYTES];
	int64_t made_ms = ftsi_table_node_made_ms(access->table, &command.generation);
	if (ftsi_table_is_open(access->table) || (made_ms != 0 && now_ms - made_ms < ROTATE_AFTER_MS)) return;
	if (now_ms >= access->asked_ms && now_ms - access->asked_ms < ROTATE_AGAIN_MS) return;
	if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret) return;
	access->asked_ms = now_ms;
	command.secret = (ProtobufCBinaryData){sizeof secret, secret};
	pthread_mutex_lock(&access->lock);
	enum fts_status status =
	    access->replica == NULL
		? FTS_UNAVAILABLE
		: fts_replica_propose(access->replica, fts_access_log_rotate_method, &command.base, NULL, NULL);
	pthread_mutex_unlock(&access->lock);
	explicit_bzero(secret, sizeof secret);
	(void)status; /* it is tried again until the table has one */
}

/* What came after the state on disk may hold another token, or take one back: what an admin may waits for it.
 * Once known it stays so, also when the majority is lost later: then an admin is wanted most. */
static bool knows(struct fts_access *access)
{
	struct fts_replica_status status = {.ready = false};
	if (atomic_load_explicit(&access->ready, memory_order_relaxed)) return true;
	pthread_mutex_lock(&access->lock);
	if (access->replica != NULL) fts_replica_status(access->replica, &status);
	pthread_mutex_unlock(&access->lock);
	if (status.ready) atomic_store(&access->ready, true);
	return status.ready;
}

static void on_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct fts_access *access = ctx;
	if (atomic_exchange(&access->changed, false)) load(access, view);
	if (leader) rotate(access, now_ms);
	(void)knows(access); /* so that it is remembered though nobody asks meanwhile */
}

/* ---- The check ---- */

static enum fts_status refuse(const struct fts_method *method, const struct ftsi_holder *holder, bool has_token,
			      struct fts_error *out_error)
{
	const char *need = ftsi_policy_need_name(ftsi_policy_need(method));
	if (holder == NULL) {
		FTS_LOG_WARN("audit.refused", "status=UNAUTHENTICATED method=%s token=%s", method->full_name,
			     has_token ? "unknown" : "none");
		return fts_error_set(out_error, FTS_UNAUTHENTICATED,
				     has_token ? "the token is unknown, was revoked or has expired"
					       : "%s needs a token (%s): send one, as with fts-cli --token-file",
				     method->name, need);
	}
	FTS_LOG_WARN("audit.refused", "status=PERMISSION_DENIED method=%s token=%s role=%s", method->full_name,
		     holder->id, ftsi_policy_role_name(holder->role));
	const char *field = ftsi_policy_field(ftsi_policy_need(method));
	if (field != NULL && strcmp(need, ftsi_policy_role_name(holder->role)) == 0)
		return fts_error_set(out_error, FTS_PERMISSION_DENIED, "token %s is of %s %s, and this is another",
				     holder->id, need, holder->subject);
	return fts_error_set(out_error, FTS_PERMISSION_DENIED, "%s needs the role %s, and token %s has %s",
			     method->name, need, holder->id, ftsi_policy_role_name(holder->role));
}

static enum fts_status charge(struct fts_access *access, const struct fts_method *method,
			      const struct ftsi_holder *holder, struct fts_error *out_error)
{
	uint32_t wait_ms = ftsi_table_charge(access->table, holder, fts_clock_monotonic_ns());
	if (wait_ms == 0) return FTS_OK;
	FTS_LOG_WARN("audit.refused", "status=RESOURCE_EXHAUSTED method=%s token=%s role=%s", method->full_name,
		     holder->id, ftsi_policy_role_name(holder->role));
	fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "token %s may call each node %u times a second: call later",
		      holder->id, holder->calls_per_s);
	out_error->retry_after_ms = wait_ms;
	return FTS_RESOURCE_EXHAUSTED;
}

enum fts_status fts_access_recognize(void *ctx, const struct fts_method *method, struct fts_bytes token,
				     struct fts_error *out_error)
{
	struct fts_access *access = ctx;
	struct ftsi_holder holder;
	if (ftsi_policy_need(method) == FTSI_NEED_ANYBODY || ftsi_table_is_open(access->table) ||
	    ftsi_table_find(access->table, token, fts_clock_wall_ms(), &holder))
		return FTS_OK;
	return refuse(method, NULL, token.size_bytes > 0, out_error);
}

enum fts_status fts_access_check(void *ctx, const struct fts_method *method, struct fts_bytes token,
				 struct fts_bytes payload, struct fts_error *out_error)
{
	struct fts_access *access = ctx;
	struct ftsi_holder holder = {.id = "none"};
	enum ftsi_need need = ftsi_policy_need(method);
	bool audited = need == FTSI_NEED_ADMIN, open = ftsi_table_is_open(access->table);
	enum fts_status status;
	if (need == FTSI_NEED_ANYBODY) return FTS_OK;
	if (audited && !open && !knows(access))
		return fts_error_set(out_error, FTS_UNAVAILABLE, "this node is still reading its log: try again");
	if (!open) {
		uint64_t generation;
		if (need == FTSI_NEED_NODE && ftsi_table_node_made_ms(access->table, &generation) == 0)
			return fts_error_set(out_error, FTS_UNAVAILABLE, "the nodes have no token yet: try again");
		if (!ftsi_table_find(access->table, token, fts_clock_wall_ms(), &holder))
			return refuse(method, NULL, token.size_bytes > 0, out_error);
		if (!ftsi_policy_allows(holder.role, holder.subject, method, payload))
			return refuse(method, &holder, true, out_error);
	}
	if (!open && holder.calls_per_s > 0 && (status = charge(access, method, &holder, out_error)) != FTS_OK)
		return status;
	if (audited)
		FTS_LOG_INFO("audit.call", "method=%s token=%s role=%s", method->full_name, holder.id,
			     open ? "open" : ftsi_policy_role_name(holder.role));
	return FTS_OK;
}

size_t fts_access_node_token(void *ctx, uint8_t *out_token)
{
	struct fts_access *access = ctx;
	char text[FTS_TOKEN_TEXT_BYTES];
	size_t size = ftsi_table_node_token(access->table, text);
	memcpy(out_token, text, size);
	return size;
}

/* ---- Joining ---- */

/* Shared by who waits and the loop: the last of both frees it. */
struct admission {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int ref_count;
	bool done;
	struct fts_error error;
};

static void admission_release(struct admission *admission)
{
	pthread_mutex_lock(&admission->lock);
	bool last = --admission->ref_count == 0;
	pthread_mutex_unlock(&admission->lock);
	if (!last) return;
	pthread_cond_destroy(&admission->wake);
	pthread_mutex_destroy(&admission->lock);
	free(admission);
}

static struct admission *admission_create(void)
{
	pthread_condattr_t attributes;
	struct admission *admission = calloc(1, sizeof *admission);
	if (admission == NULL) return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&admission->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&admission->lock, NULL);
	admission->ref_count = 1;
	return admission;
}

static void on_spent(void *ctx, enum fts_status status, struct fts_bytes response, const struct fts_error *error)
{
	struct admission *admission = ctx;
	(void)response;
	pthread_mutex_lock(&admission->lock);
	if (error != NULL) admission->error = *error;
	admission->error.status = status;
	admission->done = true;
	pthread_cond_signal(&admission->wake);
	pthread_mutex_unlock(&admission->lock);
	admission_release(admission);
}

static enum fts_status propose(struct fts_access *access, const Fts__Access__V1__SpendCommand *command,
			       struct admission *admission)
{
	admission->ref_count++; /* nobody else has it yet */
	pthread_mutex_lock(&access->lock);
	enum fts_status status = access->replica == NULL
				     ? FTS_UNAVAILABLE
				     : fts_replica_propose(access->replica, fts_access_log_spend_method, &command->base,
							   on_spent, admission);
	pthread_mutex_unlock(&access->lock);
	if (status != FTS_OK) admission_release(admission);
	return status;
}

static enum fts_status wait_for(struct admission *admission, uint32_t timeout_ms, struct fts_error *out_error)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	int result = 0;
	pthread_mutex_lock(&admission->lock);
	while (!admission->done && result == 0)
		result = pthread_cond_timedwait(&admission->wake, &admission->lock, &until);
	struct fts_error error = admission->error;
	if (!admission->done) fts_error_set(&error, FTS_DEADLINE_EXCEEDED, "the join token could not be spent in time");
	pthread_mutex_unlock(&admission->lock);
	if (error.status != FTS_OK) *out_error = error;
	return error.status;
}

static enum fts_status spend(struct fts_access *access, struct fts_bytes token, const struct ftsi_holder *holder,
			     const char *name, uint64_t node_id, uint32_t timeout_ms, struct fts_error *out_error)
{
	Fts__Access__V1__SpendCommand command = FTS__ACCESS__V1__SPEND_COMMAND__INIT;
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
	struct admission *admission = admission_create();
	if (admission == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	fts_token_hash(token.data, token.size_bytes, hash);
	command.id = (char *)(uintptr_t)holder->id;
	command.hash = (ProtobufCBinaryData){sizeof hash, hash};
	command.name = (char *)(uintptr_t)name;
	command.node_id = node_id;
	enum fts_status status = propose(access, &command, admission);
	if (status != FTS_OK)
		fts_error_set(out_error, status, "the join token can't be spent here: this node does not lead");
	else
		status = wait_for(admission, timeout_ms, out_error);
	admission_release(admission);
	return status;
}

enum fts_status fts_access_admit(struct fts_access *access, struct fts_bytes token, const char *name, uint64_t node_id,
				 bool local, uint32_t timeout_ms, struct fts_error *out_error)
{
	struct ftsi_holder holder;
	if (ftsi_table_is_open(access->table) && local) return FTS_OK;
	if (ftsi_table_is_open(access->table))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				     "joining takes a join token, and this cluster has no tokens yet: `fts-cli token make "
				     "--role admin --out FILE`, then `fts-cli token join %.64s --out FILE`, and start it "
				     "with --join-token-file FILE",
				     name);
	if (!ftsi_table_find(access->table, token, fts_clock_wall_ms(), &holder))
		return fts_error_set(out_error, FTS_UNAUTHENTICATED,
				     "the join token is unknown, was revoked or has expired: an admin makes one with "
				     "`fts-cli token join %.64s`",
				     name);
	if (holder.role != FTS__ACCESS__V1__ROLE__JOIN) return FTS_OK; /* the check has let it through */
	return spend(access, token, &holder, name, node_id, timeout_ms, out_error);
}

/* ---- Life ---- */

static void set_machines(struct fts_access *access)
{
	const struct fts_machine_method methods[] = {
	    {.apply = apply_make}, {.apply = apply_revoke}, {.read = ftsi_access_read_list}};
	const struct fts_machine_method log_methods[] = {{.apply = apply_spend}, {.apply = apply_rotate}};
	_Static_assert(sizeof methods == sizeof access->methods, "one a method, in the service's order");
	_Static_assert(sizeof log_methods == sizeof access->log_methods, "one a method, in the service's order");
	FTS_ASSERT(fts_access_service.method_count == METHOD_COUNT);
	FTS_ASSERT(fts_access_log_service.method_count == LOG_METHOD_COUNT);
	memcpy(access->methods, methods, sizeof methods);
	memcpy(access->log_methods, log_methods, sizeof log_methods);
	access->machines[0] = (struct fts_machine){
	    .service = &fts_access_service, .methods = access->methods, .ctx = access, .on_replaced = on_replaced};
	access->machines[1] = (struct fts_machine){.service = &fts_access_log_service,
						   .methods = access->log_methods,
						   .internal = true,
						   .ctx = access,
						   .on_turn = on_turn};
	access->machine_list[0] = &access->machines[0];
	access->machine_list[1] = &access->machines[1];
}

enum fts_status fts_access_create(const uint8_t *admin_hash, struct fts_access **out_access,
				  struct fts_error *out_error)
{
	struct fts_access *access = calloc(1, sizeof *access);
	if (access == NULL || (access->table = ftsi_table_create(admin_hash)) == NULL) {
		free(access);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for access control");
	}
	pthread_mutex_init(&access->lock, NULL);
	set_machines(access);
	*out_access = access;
	return FTS_OK;
}

const struct fts_machine *const *fts_access_machines(const struct fts_access *access, size_t *out_count)
{
	*out_count = MACHINE_COUNT;
	return access->machine_list;
}

enum fts_status fts_access_attach(struct fts_access *access, struct fts_replica *replica, struct fts_error *out_error)
{
	struct fts_txn *view = NULL;
	enum fts_status status = fts_replica_view(replica, &view);
	if (status == FTS_OK) {
		status = ftsi_table_load(access->table, view);
		fts_txn_abort(view);
	}
	if (status != FTS_OK) return fts_error_set(out_error, status, "the tokens can't be read");
	pthread_mutex_lock(&access->lock);
	access->replica = replica;
	pthread_mutex_unlock(&access->lock);
	atomic_store(&access->changed, true); /* of what was applied while this read */
	return FTS_OK;
}

void fts_access_detach(struct fts_access *access)
{
	if (access == NULL) return;
	pthread_mutex_lock(&access->lock);
	access->replica = NULL;
	pthread_mutex_unlock(&access->lock);
}

void fts_access_destroy(struct fts_access *access)
{
	if (access == NULL) return;
	ftsi_table_destroy(access->table);
	pthread_mutex_destroy(&access->lock);
	free(access);
}
