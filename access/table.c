/* Why this file exists: see access/table.h. */
#include "access/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_ARENA_BYTES (1024 * 1024)

struct ftsi_table {
	uint8_t admin_hash[FTS_TOKEN_HASH_BYTES];
	bool has_admin_hash;
	atomic_bool open;
	atomic_uint_fast64_t generation; /* of the content: what threads remember is of one */
	struct fts_arena_pool *arenas;
	pthread_rwlock_t lock;
	/* Guarded by lock. */
	struct ftsi_holder *holders;  /* by id */
	atomic_uint_fast64_t *due_ns; /* of each: see ftsi_table_charge; written under the read lock */
	size_t count;
	char node_token[FTS_TOKEN_TEXT_BYTES]; /* "": none */
	uint8_t node_hashes[2][FTS_TOKEN_HASH_BYTES];
	size_t node_hash_count;
	int64_t node_made_ms;
	uint64_t node_generation;
};

/* The last token this thread found. */
static _Thread_local struct {
	uint64_t generation; /* 0: none */
	uint8_t token[FTS_TOKEN_TEXT_BYTES];
	struct ftsi_holder holder;
} last;

struct ftsi_table *ftsi_table_create(const uint8_t *admin_hash)
{
	static atomic_uint_fast64_t tables;
	struct ftsi_table *table = calloc(1, sizeof *table);
	if (table == NULL || (table->arenas = fts_arena_pool_create(SECRET_ARENA_BYTES)) == NULL) {
		free(table);
		return NULL;
	}
	if (admin_hash != NULL) memcpy(table->admin_hash, admin_hash, sizeof table->admin_hash);
	table->has_admin_hash = admin_hash != NULL;
	atomic_init(&table->open, admin_hash == NULL);
	/* no two tables of one process ever have the same */
	atomic_init(&table->generation, (atomic_fetch_add(&tables, 1) + 1) << 40);
	pthread_rwlock_init(&table->lock, NULL);
	return table;
}

void ftsi_table_destroy(struct ftsi_table *table)
{
	if (table == NULL) return;
	free(table->holders);
	free((void *)table->due_ns);
	fts_arena_pool_destroy(table->arenas);
	pthread_rwlock_destroy(&table->lock);
	explicit_bzero(table, sizeof *table);
	free(table);
}

static int compare_id(const void *id, const void *holder)
{
	return strcmp(id, ((const struct ftsi_holder *)holder)->id);
}

/* Called with the lock held. NULL: nobody. */
static const struct ftsi_holder *holder_of(const struct ftsi_table *table, const char *id)
{
	if (table->count == 0) return NULL;
	return bsearch(id, table->holders, table->count, sizeof *table->holders, compare_id);
}

/* ---- From the state ---- */

struct loading {
	struct ftsi_holder *holders;
	atomic_uint_fast64_t *due_ns;
	size_t count;
};

static bool load_one(void *ctx, const Fts__Access__V1__Token *token)
{
	struct loading *loading = ctx;
	if (loading->count == FTSI_TOKEN_MAX || token->hash.len != FTS_TOKEN_HASH_BYTES) return true;
	struct ftsi_holder *holder = &loading->holders[loading->count++];
	(void)snprintf(holder->id, sizeof holder->id, "%s", token->id);
	(void)snprintf(holder->subject, sizeof holder->subject, "%s", token->subject);
	holder->role = token->role;
	holder->expires_ms = token->expires_ms;
	holder->calls_per_s = token->calls_per_s;
	memcpy(holder->hash, token->hash.data, sizeof holder->hash);
	return true;
}

/* The nodes' token as text, made of the secret. */
static void node_text(const ProtobufCBinaryData *secret, char out_text[FTS_TOKEN_TEXT_BYTES])
{
	char *at = out_text + snprintf(out_text, FTS_TOKEN_TEXT_BYTES, "fts_%s_", FTSI_NODE_TOKEN_ID);
	for (size_t i = 0; i < secret->len; i++)
		at += snprintf(at, 3, "%02x", secret->data[i]);
}

/* Called with the write lock held. */
static void take_secret(struct ftsi_table *table, const Fts__Access__V1__NodeSecret *secret)
{
	const ProtobufCBinaryData *secrets[] = {&secret->current, &secret->previous};
	char text[FTS_TOKEN_TEXT_BYTES];
	table->node_hash_count = 0;
	for (size_t i = 0; i < 2; i++) {
		if (secrets[i]->len != FTSI_NODE_SECRET_BYTES) continue;
		node_text(secrets[i], text);
		if (i == 0) memcpy(table->node_token, text, sizeof text);
		fts_token_hash(text, strlen(text), table->node_hashes[table->node_hash_count++]);
	}
	explicit_bzero(text, sizeof text);
	table->node_made_ms = secret->made_ms;
	table->node_generation = secret->generation;
}

/* Called with the write lock held: what was counted goes on. */
static void keep_due(const struct ftsi_table *table, struct loading *loading)
{
	for (size_t i = 0; i < loading->count; i++) {
		const struct ftsi_holder *before =
		    loading->holders[i].calls_per_s == 0 ? NULL : holder_of(table, loading->holders[i].id);
		if (before != NULL)
			atomic_store(&loading->due_ns[i], atomic_load(&table->due_ns[before - table->holders]));
	}
}

enum fts_status ftsi_table_load(struct ftsi_table *table, struct fts_txn *view)
{
	struct loading loading = {.holders = calloc(FTSI_TOKEN_MAX, sizeof *loading.holders),
				  .due_ns = calloc(FTSI_TOKEN_MAX, sizeof *loading.due_ns)};
	struct fts_arena *arena = fts_arena_acquire(table->arenas, SECRET_ARENA_BYTES);
	Fts__Access__V1__NodeSecret *secret = NULL;
	enum fts_status status =
	    loading.holders == NULL || loading.due_ns == NULL || arena == NULL ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
	if (status == FTS_OK) status = ftsi_access_visit_tokens(view, "", load_one, &loading);
	if (status == FTS_OK) status = ftsi_access_get_secret(view, arena, &secret);
	if (status == FTS_NOT_FOUND) status = FTS_OK;
	if (status != FTS_OK) goto out;
	struct ftsi_holder *smaller = realloc(loading.holders, (loading.count + 1) * sizeof *smaller);
	if (smaller != NULL) loading.holders = smaller;
	pthread_rwlock_wrlock(&table->lock);
	keep_due(table, &loading);
	struct ftsi_holder *old = table->holders;
	atomic_uint_fast64_t *old_due = table->due_ns;
	table->holders = loading.holders;
	table->due_ns = loading.due_ns;
	loading.holders = old;
	loading.due_ns = old_due;
	table->count = loading.count;
	if (secret != NULL) take_secret(table, secret);
	atomic_fetch_add(&table->generation, 1);
	atomic_store(&table->open, table->count == 0 && !table->has_admin_hash);
	pthread_rwlock_unlock(&table->lock);
out:
	free(loading.holders);
	free((void *)loading.due_ns);
	if (arena != NULL) fts_arena_release(arena);
	return status;
}

/* ---- Who is it? ---- */

bool ftsi_table_is_open(const struct ftsi_table *table)
{
	return atomic_load_explicit(&table->open, memory_order_acquire);
}

/* Called with the lock held. */
static bool find_node(const struct ftsi_table *table, const uint8_t *hash, struct ftsi_holder *out_holder)
{
	bool found = false;
	for (size_t i = 0; i < table->node_hash_count; i++)
		found |= fts_token_equal(table->node_hashes[i], hash, FTS_TOKEN_HASH_BYTES);
	if (found) *out_holder = (struct ftsi_holder){.id = "node", .role = FTS__ACCESS__V1__ROLE__NODE};
	return found;
}

/* Called with the lock held. */
static bool find(const struct ftsi_table *table, const char *id, const uint8_t *hash, struct ftsi_holder *out_holder)
{
	if (strcmp(id, FTSI_NODE_TOKEN_ID) == 0) return find_node(table, hash, out_holder);
	if (table->has_admin_hash && fts_token_equal(table->admin_hash, hash, FTS_TOKEN_HASH_BYTES)) {
		*out_holder = (struct ftsi_holder){.id = "configured", .role = FTS__ACCESS__V1__ROLE__ADMIN};
		return true;
	}
	const struct ftsi_holder *holder = holder_of(table, id);
	if (holder == NULL || !fts_token_equal(holder->hash, hash, FTS_TOKEN_HASH_BYTES)) return false;
	*out_holder = *holder;
	return true;
}

static bool has_expired(const struct ftsi_holder *holder, int64_t now_ms)
{
	return holder->expires_ms != 0 && holder->expires_ms <= now_ms;
}

bool ftsi_table_find(struct ftsi_table *table, struct fts_bytes token, int64_t now_ms, struct ftsi_holder *out_holder)
{
	char id[FTS_TOKEN_ID_BYTES];
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
	struct ftsi_holder holder;
	uint64_t generation = atomic_load(&table->generation);
	if (!fts_token_id(token.data, token.size_bytes, id)) return false;
	if (last.generation == generation && fts_token_equal(last.token, token.data, token.size_bytes)) {
		*out_holder = last.holder;
		return !has_expired(out_holder, now_ms);
	}
	fts_token_hash(token.data, token.size_bytes, hash);
	pthread_rwlock_rdlock(&table->lock);
	generation = atomic_load(&table->generation);
	bool found = find(table, id, hash, &holder);
	pthread_rwlock_unlock(&table->lock);
	if (!found) return false;
	last.generation = generation;
	memcpy(last.token, token.data, token.size_bytes);
	last.holder = *out_holder = holder;
	return !has_expired(out_holder, now_ms);
}

/* How far ahead of the clock the calls so far reach, each taking its share of a second: at most a second. Source: the
 * generic cell rate algorithm, ITU-T I.371. */
uint32_t ftsi_table_charge(struct ftsi_table *table, const struct ftsi_holder *holder, uint64_t now_ns)
{
	const uint64_t second_ns = 1000000000u;
	uint64_t share_ns = holder->calls_per_s == 0 ? 0 : second_ns / holder->calls_per_s;
	uint32_t wait_ms = 0;
	if (share_ns == 0) return 0;
	pthread_rwlock_rdlock(&table->lock);
	const struct ftsi_holder *at = holder_of(table, holder->id);
	atomic_uint_fast64_t *due = at == NULL ? NULL : &table->due_ns[at - table->holders];
	uint64_t before = due == NULL ? 0 : atomic_load(due), after = 0;
	do {
		uint64_t from = before > now_ns ? before : now_ns;
		after = from + share_ns;
		if (after - now_ns > second_ns) wait_ms = (uint32_t)((after - now_ns - second_ns) / 1000000u) + 1;
	} while (due != NULL && wait_ms == 0 && !atomic_compare_exchange_weak(due, &before, after));
	pthread_rwlock_unlock(&table->lock);
	return wait_ms;
}

size_t ftsi_table_node_token(struct ftsi_table *table, char *out_token)
{
	if (ftsi_table_is_open(table)) return 0;
	pthread_rwlock_rdlock(&table->lock);
	memcpy(out_token, table->node_token, sizeof table->node_token);
	pthread_rwlock_unlock(&table->lock);
	return strlen(out_token);
}

int64_t ftsi_table_node_made_ms(struct ftsi_table *table, uint64_t *out_generation)
{
	pthread_rwlock_rdlock(&table->lock);
	int64_t made_ms = table->node_made_ms;
	*out_generation = table->node_generation;
	pthread_rwlock_unlock(&table->lock);
	return made_ms;
}
