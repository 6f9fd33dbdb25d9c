/* Why this file exists: see tests/kv/help.h. */
#include "tests/kv/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static ProtobufCBinaryData data_of(const char *text)
{
	return (ProtobufCBinaryData){text == NULL ? 0 : strlen(text), (uint8_t *)(uintptr_t)text};
}

static void keep_text(char *out, size_t capacity_bytes, const void *data, size_t size_bytes)
{
	size_t size = size_bytes < capacity_bytes ? size_bytes : capacity_bytes - 1;
	if (size > 0) memcpy(out, data, size);
	out[size] = '\0';
}

/* Closed with the cluster. */
struct fts_channel *kv_channel(struct harness_cluster *cluster, size_t node)
{
	struct harness_member *member = &cluster->members[node];
	const struct fts_channel_options options = {.endpoints = member->endpoint, .connect_timeout_ms = 1000};
	struct fts_error error;
	if (member->channel == NULL && fts_channel_open(&options, &member->channel, &error) != FTS_OK)
		fail_msg("no channel: %s", error.detail);
	return member->channel;
}

static struct fts_call_options options_of(const struct kv_call *call)
{
	return (struct fts_call_options){.timeout_ms = call->timeout_ms == 0 ? 5000 : call->timeout_ms,
					 .no_retry = true};
}

struct kv_answer kv_set(struct harness_cluster *cluster, struct kv_call call)
{
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__SetResponse *response = NULL;
	const struct fts_call_options options = options_of(&call);
	struct kv_answer answer = {0};
	uint64_t began_ns = harness_now_ns();
	request.db = call.db;
	request.key = data_of(call.key);
	request.value = data_of(call.value);
	request.consistency = call.level;
	request.if_fence = call.fence;
	answer.status = fts_kv_set(kv_channel(cluster, call.via), &request, &options, &response, &answer.error);
	answer.took_ms = (harness_now_ns() - began_ns) / 1000000;
	if (answer.status != FTS_OK) return answer;
	keep_text(answer.version, sizeof answer.version, response->version, strlen(response->version));
	answer.acks = response->acks;
	answer.replicas = response->replicas;
	answer.hints = response->hints;
	answer.kept_by_router = response->kept_by_router;
	fts__kv__v1__set_response__free_unpacked(response, NULL);
	return answer;
}

struct kv_answer kv_get(struct harness_cluster *cluster, struct kv_call call)
{
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	Fts__Kv__V1__GetResponse *response = NULL;
	const struct fts_call_options options = options_of(&call);
	struct kv_answer answer = {0};
	uint64_t began_ns = harness_now_ns();
	request.db = call.db;
	request.key = data_of(call.key);
	request.consistency = call.level;
	answer.status = fts_kv_get(kv_channel(cluster, call.via), &request, &options, &response, &answer.error);
	answer.took_ms = (harness_now_ns() - began_ns) / 1000000;
	if (answer.status != FTS_OK) return answer;
	keep_text(answer.value, sizeof answer.value, response->value.data, response->value.len);
	keep_text(answer.version, sizeof answer.version, response->version, strlen(response->version));
	answer.acks = response->acks;
	answer.replicas = response->replicas;
	answer.maybe_stale = response->maybe_stale;
	fts__kv__v1__get_response__free_unpacked(response, NULL);
	return answer;
}

struct kv_answer kv_delete(struct harness_cluster *cluster, struct kv_call call)
{
	Fts__Kv__V1__DeleteRequest request = FTS__KV__V1__DELETE_REQUEST__INIT;
	Fts__Kv__V1__DeleteResponse *response = NULL;
	const struct fts_call_options options = options_of(&call);
	struct kv_answer answer = {0};
	request.db = call.db;
	request.key = data_of(call.key);
	request.consistency = call.level;
	answer.status = fts_kv_delete(kv_channel(cluster, call.via), &request, &options, &response, &answer.error);
	if (answer.status != FTS_OK) return answer;
	answer.existed = response->existed;
	answer.acks = response->acks;
	fts__kv__v1__delete_response__free_unpacked(response, NULL);
	return answer;
}

struct kv_answer kv_look(struct harness_cluster *cluster, size_t node, uint32_t db, const char *key)
{
	Fts__Kv__V1__ReadRequest request = FTS__KV__V1__READ_REQUEST__INIT;
	Fts__Kv__V1__ReadKey read_key = FTS__KV__V1__READ_KEY__INIT, *keys[] = {&read_key};
	Fts__Kv__V1__ReadResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = 2000, .no_retry = true};
	struct kv_answer answer = {0};
	read_key.db = db;
	read_key.key = data_of(key);
	request.keys = keys;
	request.n_keys = 1;
	answer.status = fts_kv_storage_read(kv_channel(cluster, node), &request, &options, &response, NULL);
	if (answer.status != FTS_OK) return answer;
	const Fts__Kv__V1__Record *record = response->n_records == 1 ? response->records[0] : NULL;
	if (response->n_damaged > 0)
		answer.status = FTS_DATA_LOSS;
	else if (record == NULL || record->version_time == 0 || record->tombstone)
		answer.status = FTS_NOT_FOUND;
	else
		keep_text(answer.value, sizeof answer.value, record->value.data, record->value.len);
	answer.existed = record != NULL && record->version_time != 0; /* a tombstone, too */
	fts__kv__v1__read_response__free_unpacked(response, NULL);
	return answer;
}

void kv_wait_has(struct harness_cluster *cluster, size_t node, uint32_t db, const char *key, const char *value,
		 uint32_t timeout_ms)
{
	struct kv_answer answer = {0};
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		answer = kv_look(cluster, node, db, key);
		if (value == NULL && answer.status == FTS_NOT_FOUND) return;
		if (value != NULL && answer.status == FTS_OK && strcmp(answer.value, value) == 0) return;
		if (!harness_wait_more(&wait))
			fail_msg("%s has %s under %s (%s) instead of %s", cluster->members[node].name, answer.value,
				 key, fts_status_name(answer.status), value == NULL ? "nothing" : value);
	}
}

static size_t place_of(const struct harness_cluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (strcmp(cluster->members[i].name, name) == 0) return i;
	fail_msg("there is no node %s", name);
	return 0;
}

size_t kv_owners(struct harness_cluster *cluster, size_t via, uint32_t db, const char *key, size_t *out_owners)
{
	Fts__Kv__V1__WhereRequest request = FTS__KV__V1__WHERE_REQUEST__INIT;
	Fts__Kv__V1__WhereResponse *response = NULL;
	struct fts_error error;
	request.db = db;
	request.key = data_of(key);
	if (fts_kv_where(kv_channel(cluster, via), &request, NULL, &response, &error) != FTS_OK)
		fail_msg("where %s: %s", key, error.detail);
	size_t count = response->n_replicas;
	assert_true(count <= 3);
	for (size_t i = 0; i < count; i++)
		out_owners[i] = place_of(cluster, response->replicas[i]);
	fts__kv__v1__where_response__free_unpacked(response, NULL);
	return count;
}

static bool knows_map(struct harness_cluster *cluster, size_t via, size_t node_count, char *out_what, size_t size)
{
	Fts__Kv__V1__MapRequest request = FTS__KV__V1__MAP_REQUEST__INIT;
	Fts__Kv__V1__MapResponse *map = NULL;
	struct fts_error error;
	const struct fts_call_options options = {.timeout_ms = 1000, .no_retry = true};
	if (fts_kv_map(kv_channel(cluster, via), &request, &options, &map, &error) != FTS_OK) {
		(void)snprintf(out_what, size, "%.200s", error.detail);
		return false;
	}
	bool same = map->n_nodes == node_count && map->moving == 0;
	(void)snprintf(out_what, size, "%zu nodes, %u moving", map->n_nodes, map->moving);
	fts__kv__v1__map_response__free_unpacked(map, NULL);
	return same;
}

void kv_wait_map(struct harness_cluster *cluster, size_t via, size_t node_count, uint32_t timeout_ms)
{
	char what[300] = "";
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);
	     !knows_map(cluster, via, node_count, what, sizeof what);)
		if (!harness_wait_more(&wait)) fail_msg("no map of %zu nodes at rest: %s", node_count, what);
}

bool kv_map_rests(struct harness_cluster *cluster, size_t via, const char *name, uint64_t *out_id)
{
	Fts__Kv__V1__MapRequest request = FTS__KV__V1__MAP_REQUEST__INIT;
	Fts__Kv__V1__MapResponse *map = NULL;
	const struct fts_call_options options = {.timeout_ms = 1000, .no_retry = true};
	if (fts_kv_map(kv_channel(cluster, via), &request, &options, &map, NULL) != FTS_OK) return false;
	bool rests = map->moving == 0;
	*out_id = 0;
	for (size_t i = 0; i < map->n_nodes; i++) {
		rests = rests && !map->nodes[i]->leaving;
		if (strcmp(map->nodes[i]->name, name) == 0) *out_id = map->nodes[i]->node_id;
	}
	fts__kv__v1__map_response__free_unpacked(map, NULL);
	return rests;
}

bool kv_verify(struct harness_cluster *cluster, size_t via, bool repair, Fts__Kv__V1__VerifyResponse *out_sum)
{
	Fts__Kv__V1__VerifyRequest request = FTS__KV__V1__VERIFY_REQUEST__INIT;
	fts__kv__v1__verify_response__init(out_sum);
	request.repair = repair;
	do {
		Fts__Kv__V1__VerifyResponse *part = NULL;
		if (fts_kv_verify(kv_channel(cluster, via), &request, NULL, &part, NULL) != FTS_OK) return false;
		out_sum->partitions += part->partitions;
		out_sum->divergent += part->divergent;
		out_sum->missing += part->missing;
		out_sum->repaired += part->repaired;
		out_sum->unreachable += part->unreachable;
		out_sum->damaged += part->damaged;
		out_sum->hints_pending = part->hints_pending;
		request.from = part->next;
		fts__kv__v1__verify_response__free_unpacked(part, NULL);
	} while (request.from != 0);
	return out_sum->unreachable == 0;
}

void kv_wait_clean(struct harness_cluster *cluster, size_t via, uint32_t timeout_ms)
{
	Fts__Kv__V1__VerifyResponse sum;
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		if (kv_verify(cluster, via, false, &sum) && sum.partitions == 256 && sum.divergent == 0 &&
		    sum.hints_pending == 0)
			return;
		if (!harness_wait_more(&wait))
			fail_msg("verify: %u partitions, %u divergent, %llu missing, %llu hints, %u unreachable",
				 sum.partitions, sum.divergent, (unsigned long long)sum.missing,
				 (unsigned long long)sum.hints_pending, sum.unreachable);
	}
}
