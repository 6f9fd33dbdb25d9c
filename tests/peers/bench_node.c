/* Why this file exists: see bench_node.h. */
#include "bench_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/member_text.h"
#include "tests/harness/clock.h"

/* ---- What the transport tells ---- */

struct heard *bench_node_heard(struct fts_replica *node, const char *address)
{
	struct heard *found = NULL;
	pthread_mutex_lock(&node->lock);
	for (size_t i = 0; i < NODE_MAX && found == NULL; i++) {
		struct heard *heard = &node->heard[i];
		if (heard->address[0] == '\0') (void)snprintf(heard->address, sizeof heard->address, "%s", address);
		if (strcmp(heard->address, address) == 0) found = heard;
	}
	pthread_mutex_unlock(&node->lock);
	if (found == NULL) fail_msg("%s has heard of too many", node->name);
	return found;
}

void ftsi_replica_connected(struct fts_replica *node, const char *address)
{
	(void)bench_node_send_hello(node, address); /* as a node does: the first message */
	atomic_fetch_add(&bench_node_heard(node, address)->connected, 1);
}

void ftsi_replica_disconnected(struct fts_replica *node, const char *address)
{
	struct heard *heard = bench_node_heard(node, address);
	atomic_store(&heard->disconnected_ns, harness_now_ns());
	atomic_fetch_add(&heard->disconnected, 1);
}

void ftsi_replica_receive(struct fts_replica *node, struct fts_bytes bytes)
{
	Fts__Replica__V1__PeerMessage *message =
	    fts__replica__v1__peer_message__unpack(NULL, bytes.size_bytes, bytes.data);
	atomic_fetch_add(&node->received_bytes, bytes.size_bytes);
	if (message == NULL) {
		atomic_fetch_add(&node->other_count, 1);
		return;
	}
	if (message->kind_case == FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO) {
		atomic_fetch_add(&node->hello_count, 1);
	} else if (message->kind_case == FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE) {
		if (message->read_index_probe->round != atomic_load(&node->next_round))
			atomic_fetch_add(&node->bad_order_count, 1);
		atomic_store(&node->next_round, message->read_index_probe->round + 1);
	} else {
		atomic_fetch_add(&node->other_count, 1);
	}
	fts__replica__v1__peer_message__free_unpacked(message, NULL);
}

/* ---- Its loop ---- */

static bool post(struct fts_replica *node, struct ftsi_post *what)
{
	pthread_mutex_lock(&node->lock);
	bool taken = !node->ended;
	if (taken) {
		what->next = NULL;
		*node->last = what;
		node->last = &what->next;
		pthread_cond_signal(&node->wake);
	}
	pthread_mutex_unlock(&node->lock);
	return taken;
}

static struct ftsi_post *next_post(struct fts_replica *node)
{
	pthread_mutex_lock(&node->lock);
	while ((node->first == NULL || atomic_load(&node->blocked)) && !node->ended)
		pthread_cond_wait(&node->wake, &node->lock);
	struct ftsi_post *first = node->first;
	if (first != NULL && (node->first = first->next) == NULL) node->last = &node->first;
	pthread_mutex_unlock(&node->lock);
	return first;
}

static void *run_loop(void *ctx)
{
	struct fts_replica *node = ctx;
	for (struct ftsi_post *next = next_post(node); next != NULL; next = next_post(node))
		next->run(node, next);
	return NULL;
}

void bench_node_start(struct fts_replica *node, const char *name, uint16_t port, const struct fts_tls *tls)
{
	struct fts_error error;
	memset(node, 0, sizeof *node);
	(void)snprintf(node->name, sizeof node->name, "%s", name);
	(void)snprintf(node->address, sizeof node->address, "127.0.0.1:%u", port);
	(void)snprintf(node->listen, sizeof node->listen, "127.0.0.1:%u", port + 3u);
	(void)ftsi_member_text(name, node->address, node->text);
	pthread_mutex_init(&node->lock, NULL);
	pthread_cond_init(&node->wake, NULL);
	node->last = &node->first;
	struct ftsi_peers_options options = {.listen = node->listen, .replica = node, .post = post};
	if (tls != NULL) options.tls = *tls;
	if (ftsi_peers_create(&options, &node->peers, &error) != FTS_OK) fail_msg("%s", error.detail);
	node->transport = ftsi_peers_transport(node->peers);
	assert_int_equal(pthread_create(&node->thread, NULL, run_loop, node), 0);
}

void bench_node_stop(struct fts_replica *node)
{
	pthread_mutex_lock(&node->lock);
	node->ended = true;
	pthread_cond_signal(&node->wake);
	pthread_mutex_unlock(&node->lock);
	pthread_join(node->thread, NULL);
	ftsi_peers_stop(node->peers);
	ftsi_peers_destroy(node->peers);
	pthread_cond_destroy(&node->wake);
	pthread_mutex_destroy(&node->lock);
}

/* ---- What it says ---- */

void bench_node_dial(struct fts_replica *node, const struct fts_replica *const *others, size_t count)
{
	const char *addresses[NODE_MAX];
	for (size_t i = 0; i < count; i++)
		addresses[i] = others[i]->text;
	node->transport->set_peers(node->transport->ctx, addresses, count);
}

bool bench_node_send_hello(struct fts_replica *node, const char *address)
{
	uint8_t packed[512];
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Hello hello = FTS__REPLICA__V1__HELLO__INIT;
	hello.name = node->name;
	hello.address = node->address;
	message.from = 1;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO;
	message.hello = &hello;
	struct fts_bytes bytes = {packed, fts__replica__v1__peer_message__pack(&message, packed)};
	return node->transport->send(node->transport->ctx, address, bytes);
}

/* Unknown fields are legal protobuf: padding makes a message as large as wanted. */
bool bench_node_send(struct fts_replica *node, const char *address, uint64_t round, size_t size_bytes)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__ReadIndexProbe probe = FTS__REPLICA__V1__READ_INDEX_PROBE__INIT;
	uint8_t *padding = calloc(1, size_bytes + 8), *packed = malloc(size_bytes + 128);
	assert_true(padding != NULL && packed != NULL);
	ProtobufCMessageUnknownField field = {
	    .tag = 999, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .data = padding};
	size_t prefix = 0;
	for (size_t rest = size_bytes; prefix == 0 || rest > 0; rest >>= 7, prefix++)
		padding[prefix] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
	field.len = prefix + size_bytes;
	probe.round = round;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE;
	message.read_index_probe = &probe;
	if (size_bytes > 0) {
		message.base.n_unknown_fields = 1;
		message.base.unknown_fields = &field;
	}
	struct fts_bytes bytes = {packed, fts__replica__v1__peer_message__pack(&message, packed)};
	bool sent = node->transport->send(node->transport->ctx, address, bytes);
	free(packed);
	free(padding);
	return sent;
}

void bench_wait(atomic_uint *value, unsigned at_least, const char *what)
{
	for (struct harness_wait wait = harness_wait_ms(20000); atomic_load(value) < at_least;) {
		if (!harness_wait_more(&wait)) fail_msg("%s: %u of %u", what, atomic_load(value), at_least);
	}
}
