/* Why this file exists: which node libfts sends a call on a key to. Three servers that only count stand in for nodes;
 * the map they tell is the test's. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/kv.h>

#include "client/kv_map.h"
#include "storage/record.h"
#include "tests/harness/clock.h"

enum { NODES = 3, KEYS = 64, WAIT_MS = 30000 };

struct cluster;

struct node {
	struct cluster *cluster;
	struct fts_server *server;
	atomic_uint set_count, get_count, delete_count, map_count;
	char address[64];
};

struct cluster {
	struct node nodes[NODES];
	pthread_mutex_t lock;
	Fts__Kv__V1__MapResponse map; /* guarded by lock */
	Fts__Kv__V1__MapNode map_nodes[NODES], *list[NODES];
	uint8_t owners[FTS_KV_PARTITION_COUNT];
	struct fts_channel *channel;
	struct fts_kv_client *client;
};

/* ---- Servers ---- */

static void set(struct fts_call *call, const Fts__Kv__V1__SetRequest *request, void *ctx)
{
	struct node *node = ctx;
	Fts__Kv__V1__SetResponse response = FTS__KV__V1__SET_RESPONSE__INIT;
	atomic_fetch_add(&node->set_count, 1);
	pthread_mutex_lock(&node->cluster->lock);
	if (request->epoch != 0 && request->epoch != node->cluster->map.epoch) response.map = &node->cluster->map;
	fts_kv_set_reply(call, &response);
	pthread_mutex_unlock(&node->cluster->lock);
}

static void get(struct fts_call *call, const Fts__Kv__V1__GetRequest *request, void *ctx)
{
	struct node *node = ctx;
	Fts__Kv__V1__GetResponse response = FTS__KV__V1__GET_RESPONSE__INIT;
	(void)request;
	atomic_fetch_add(&node->get_count, 1);
	fts_kv_get_reply(call, &response);
}

static void delete_key(struct fts_call *call, const Fts__Kv__V1__DeleteRequest *request, void *ctx)
{
	struct node *node = ctx;
	Fts__Kv__V1__DeleteResponse response = FTS__KV__V1__DELETE_RESPONSE__INIT;
	(void)request;
	atomic_fetch_add(&node->delete_count, 1);
	fts_kv_delete_reply(call, &response);
}

static void tell_map(struct fts_call *call, const Fts__Kv__V1__MapRequest *request, void *ctx)
{
	struct node *node = ctx;
	(void)request;
	atomic_fetch_add(&node->map_count, 1);
	pthread_mutex_lock(&node->cluster->lock);
	fts_kv_map_reply(call, &node->cluster->map);
	pthread_mutex_unlock(&node->cluster->lock);
}

static void start_node(struct cluster *cluster, struct node *node)
{
	static const struct fts_kv_handlers handlers = {.set = set, .get = get, .delete = delete_key, .map = tell_map};
	const struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "n"};
	struct fts_error error;
	node->cluster = cluster;
	assert_int_equal(fts_server_create(&options, &node->server, &error), FTS_OK);
	assert_int_equal(fts_kv_register(node->server, &handlers, node, &error), FTS_OK);
	assert_int_equal(fts_server_start(node->server, &error), FTS_OK);
	(void)snprintf(node->address, sizeof node->address, "127.0.0.1:%u", fts_server_port(node->server));
}

static void start(struct cluster *cluster)
{
	struct fts_error error;
	memset(cluster, 0, sizeof *cluster);
	pthread_mutex_init(&cluster->lock, NULL);
	fts__kv__v1__map_response__init(&cluster->map);
	for (size_t i = 0; i < NODES; i++) {
		start_node(cluster, &cluster->nodes[i]);
		fts__kv__v1__map_node__init(&cluster->map_nodes[i]);
		cluster->map_nodes[i].address = cluster->nodes[i].address;
		cluster->list[i] = &cluster->map_nodes[i];
	}
	for (size_t p = 0; p < FTS_KV_PARTITION_COUNT; p++)
		cluster->owners[p] = (uint8_t)(p % NODES);
	cluster->map.epoch = 7;
	cluster->map.replicas = 1;
	cluster->map.nodes = cluster->list;
	cluster->map.n_nodes = NODES;
	cluster->map.owners = (ProtobufCBinaryData){sizeof cluster->owners, cluster->owners};
	const struct fts_channel_options options = {.endpoints = cluster->nodes[0].address};
	assert_int_equal(fts_channel_open(&options, &cluster->channel, &error), FTS_OK);
	assert_int_equal(fts_kv_client_create(cluster->channel, &cluster->client, &error), FTS_OK);
}

static void stop(struct cluster *cluster)
{
	fts_kv_client_destroy(cluster->client);
	fts_channel_close(cluster->channel);
	for (size_t i = 0; i < NODES; i++)
		fts_server_destroy(cluster->nodes[i].server);
	pthread_mutex_destroy(&cluster->lock);
}

/* ---- Calls ---- */

static void set_key(struct cluster *cluster, const char *key)
{
	Fts__Kv__V1__SetRequest request = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__SetResponse *response = NULL;
	struct fts_error error;
	request.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
	if (fts_kv_client_set(cluster->client, &request, NULL, &response, &error) != FTS_OK)
		fail_msg("set %s: %s", key, error.detail);
	fts__kv__v1__set_response__free_unpacked(response, NULL);
}

static void wait_epoch(struct cluster *cluster, uint64_t epoch)
{
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); fts_kv_client_epoch(cluster->client) != epoch;)
		if (!harness_wait_more(&wait)) fail_msg("the client does not know epoch %u", (unsigned)epoch);
}

static uint32_t partition_of(const char *key)
{
	return fts_kv_partition(0, (struct fts_bytes){(const uint8_t *)key, strlen(key)});
}

/* Sets KEYS keys; how many of them each owner was to get, and got. */
static void set_all(struct cluster *cluster, uint32_t *out_wanted, uint32_t *out_got)
{
	char key[16];
	for (size_t i = 0; i < NODES; i++) {
		out_wanted[i] = 0;
		out_got[i] = atomic_load(&cluster->nodes[i].set_count);
	}
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key%d", i);
		out_wanted[cluster->owners[partition_of(key)]]++;
		set_key(cluster, key);
	}
	for (size_t i = 0; i < NODES; i++)
		out_got[i] = atomic_load(&cluster->nodes[i].set_count) - out_got[i];
}

/* Once the connections are made (a slow dial sends a call elsewhere) every call goes to its owner. */
static void wait_all_direct(struct cluster *cluster)
{
	uint32_t wanted[NODES], got[NODES];
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);;) {
		set_all(cluster, wanted, got);
		if (memcmp(wanted, got, sizeof got) == 0) return;
		if (!harness_wait_more(&wait))
			fail_msg("owners were to get %u %u %u keys, and got %u %u %u", wanted[0], wanted[1], wanted[2],
				 got[0], got[1], got[2]);
	}
}

/* ---- Cases ---- */

static void calls_go_to_the_owner(void **state)
{
	struct cluster cluster;
	(void)state;
	start(&cluster);
	assert_int_equal(fts_kv_client_epoch(cluster.client), 0);
	set_key(&cluster, "first"); /* to anybody; the map is asked for */
	wait_epoch(&cluster, 7);
	wait_all_direct(&cluster);
	assert_int_equal(atomic_load(&cluster.nodes[0].map_count), 1);
	stop(&cluster);
}

static void an_old_map_is_replaced_by_the_first_answer(void **state)
{
	struct cluster cluster;
	(void)state;
	start(&cluster);
	set_key(&cluster, "first");
	wait_epoch(&cluster, 7);
	pthread_mutex_lock(&cluster.lock);
	cluster.map.epoch = 8;
	for (size_t p = 0; p < FTS_KV_PARTITION_COUNT; p++)
		cluster.owners[p] = (uint8_t)((p + 1) % NODES);
	pthread_mutex_unlock(&cluster.lock);
	set_key(&cluster, "second"); /* to who owned it; the answer has the map */
	assert_int_equal(fts_kv_client_epoch(cluster.client), 8);
	wait_all_direct(&cluster);
	stop(&cluster);
}

static void a_dead_owner_is_replaced_by_anybody(void **state)
{
	struct cluster cluster;
	uint32_t wanted[NODES], got[NODES], sum = 0;
	(void)state;
	start(&cluster);
	set_key(&cluster, "first");
	wait_epoch(&cluster, 7);
	fts_server_destroy(cluster.nodes[2].server);
	cluster.nodes[2].server = NULL;
	set_all(&cluster, wanted, got);
	for (size_t i = 0; i < NODES; i++)
		sum += got[i];
	assert_true(wanted[2] > 0 && got[2] == 0);
	assert_int_equal(sum, KEYS);
	stop(&cluster);
}

static void count_set(void *ctx, enum fts_status status, const Fts__Kv__V1__SetResponse *response,
		      const struct fts_error *error)
{
	(void)response;
	(void)error;
	if (status == FTS_OK) atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void count_get(void *ctx, enum fts_status status, const Fts__Kv__V1__GetResponse *response,
		      const struct fts_error *error)
{
	(void)response;
	(void)error;
	if (status == FTS_OK) atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void count_delete(void *ctx, enum fts_status status, const Fts__Kv__V1__DeleteResponse *response,
			 const struct fts_error *error)
{
	(void)response;
	(void)error;
	if (status == FTS_OK) atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void what_was_started_ends_before_the_client(void **state)
{
	struct cluster cluster;
	Fts__Kv__V1__SetRequest set_request = FTS__KV__V1__SET_REQUEST__INIT;
	Fts__Kv__V1__GetRequest get_request = FTS__KV__V1__GET_REQUEST__INIT;
	Fts__Kv__V1__DeleteRequest delete_request = FTS__KV__V1__DELETE_REQUEST__INIT;
	atomic_uint done = 0;
	(void)state;
	start(&cluster);
	set_key(&cluster, "first");
	wait_epoch(&cluster, 7);
	for (int i = 0; i < KEYS; i++) {
		char key[16];
		(void)snprintf(key, sizeof key, "key%d", i);
		set_request.key = get_request.key = delete_request.key =
		    (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
		struct fts_kv_client *client = cluster.client;
		assert_int_equal(fts_kv_client_set_start(client, &set_request, NULL, count_set, &done, NULL), FTS_OK);
		assert_int_equal(fts_kv_client_get_start(client, &get_request, NULL, count_get, &done, NULL), FTS_OK);
		assert_int_equal(fts_kv_client_delete_start(client, &delete_request, NULL, count_delete, &done, NULL),
				 FTS_OK);
	}
	fts_kv_client_destroy(cluster.client);
	cluster.client = NULL;
	assert_int_equal(atomic_load(&done), 3 * KEYS);
	for (size_t i = 0; i < NODES; i++)
		assert_true(atomic_load(&cluster.nodes[i].get_count) > 0);
	stop(&cluster);
}

static void partitions_are_the_owners_own(void **state)
{
	uint8_t bytes[64];
	uint64_t random = 42;
	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		for (size_t k = 0; k < sizeof bytes; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes[k] = (uint8_t)(random >> 56);
		}
		const struct fts_bytes key = {bytes, i % sizeof bytes};
		assert_int_equal(fts_kv_partition(i % 7, key), ftsi_record_partition(i % 7, key));
	}
}

/* A cluster that was begun anew from a snapshot counts its maps from an older one on. */
static void only_older_maps_are_believed_at_last(void **state)
{
	const uint64_t ms = 1000000, later_ns = (FTSI_KV_OLDER_MS + 1) * ms;
	Fts__Kv__V1__MapNode node = FTS__KV__V1__MAP_NODE__INIT, *nodes[] = {&node};
	Fts__Kv__V1__MapResponse message = FTS__KV__V1__MAP_RESPONSE__INIT;
	uint8_t owners[FTS_KV_PARTITION_COUNT] = {0};
	char address[FTSI_KV_ADDRESS_MAX];
	struct ftsi_kv_map map;
	(void)state;
	ftsi_kv_map_init(&map);
	message.nodes = nodes;
	message.n_nodes = message.replicas = 1;
	message.owners = (ProtobufCBinaryData){sizeof owners, owners};
	node.address = (char *)(uintptr_t) "127.0.0.1:1";
	message.epoch = 9;
	ftsi_kv_map_take(&map, &message, ms);
	node.address = (char *)(uintptr_t) "127.0.0.1:2";
	message.epoch = 4;
	ftsi_kv_map_take(&map, &message, 2 * ms);
	ftsi_kv_map_take(&map, NULL, 3 * ms); /* one node was behind, the others are not */
	ftsi_kv_map_take(&map, &message, 2 * ms + later_ns);
	ftsi_kv_map_take(&map, &message, 3 * ms + later_ns);
	assert_int_equal(ftsi_kv_map_owner(&map, 0, address), 9);
	ftsi_kv_map_take(&map, &message, 2 * ms + 2 * later_ns);
	assert_int_equal(ftsi_kv_map_owner(&map, 0, address), 4);
	assert_string_equal(address, "127.0.0.1:2");
	ftsi_kv_map_fini(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calls_go_to_the_owner),
	    cmocka_unit_test(an_old_map_is_replaced_by_the_first_answer),
	    cmocka_unit_test(a_dead_owner_is_replaced_by_anybody),
	    cmocka_unit_test(what_was_started_ends_before_the_client),
	    cmocka_unit_test(partitions_are_the_owners_own),
	    cmocka_unit_test(only_older_maps_are_believed_at_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
