/* Why this file exists: see replica/peers.h. */
#include "replica/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/member_text.h"
#include "rpc/endpoint.h"
#include "rpc/mesh.h"

#define PEER_PORT_OFFSET 3
#define HELLO_MAX_BYTES 16384u

enum happening { HAPPENING_MESSAGE, HAPPENING_UP, HAPPENING_DOWN };

/* What the loop is to be told. bytes: a message, or an address with its zero byte. */
struct news {
	struct news *next;
	enum happening what;
	size_t size_bytes;
	uint8_t bytes[];
};

struct ftsi_peers {
	struct ftsi_post post; /* first: on its way to the loop while posted is true */
	struct ftsi_peers_options options;
	struct ftsi_transport transport;
	struct ftsi_mesh *mesh;
	pthread_mutex_t lock;
	struct news *first, **last; /* guarded by lock */
	size_t waiting_bytes;       /* guarded by lock */
	bool posted;                /* guarded by lock */
	bool stopped;               /* guarded by lock: nothing is delivered any more */
	bool held;                  /* guarded by lock: reading has been stopped somewhere */
};

/* ---- Towards the loop ---- */

static void drop(struct news *first)
{
	while (first != NULL) {
		struct news *next = first->next;
		free(first);
		first = next;
	}
}

static struct news *take(struct ftsi_peers *peers, bool *out_read_on)
{
	pthread_mutex_lock(&peers->lock);
	struct news *first = peers->first;
	peers->first = NULL;
	peers->last = &peers->first;
	peers->posted = false;
	peers->waiting_bytes = 0;
	*out_read_on = peers->held;
	peers->held = false;
	bool stopped = peers->stopped;
	pthread_mutex_unlock(&peers->lock);
	if (!stopped) return first;
	drop(first);
	*out_read_on = false;
	return NULL;
}

static void tell(struct fts_replica *replica, const struct news *news)
{
	switch (news->what) {
	case HAPPENING_MESSAGE:
		ftsi_replica_receive(replica, (struct fts_bytes){news->bytes, news->size_bytes});
		return;
	case HAPPENING_UP:
		ftsi_replica_connected(replica, (const char *)news->bytes);
		return;
	case HAPPENING_DOWN:
		ftsi_replica_disconnected(replica, (const char *)news->bytes);
		return;
	}
}

/* Thread: loop. */
static void deliver(struct fts_replica *replica, struct ftsi_post *post)
{
	struct ftsi_peers *peers = (struct ftsi_peers *)(void *)post;
	bool read_on = false;
	struct news *news = take(peers, &read_on);
	while (news != NULL) {
		struct news *next = news->next;
		tell(replica, news);
		free(news);
		news = next;
	}
	if (read_on) ftsi_mesh_read_on(peers->mesh);
}

/* False: reading has to stop, as the loop has enough to do. */
static bool give(struct ftsi_peers *peers, enum happening what, const void *bytes, size_t size_bytes)
{
	struct news *news = malloc(sizeof *news + size_bytes);
	if (news == NULL) return true; /* lost, as on any network: raft says it again */
	*news = (struct news){.what = what, .size_bytes = size_bytes};
	memcpy(news->bytes, bytes, size_bytes);
	pthread_mutex_lock(&peers->lock);
	bool dropped = peers->stopped, post = !dropped && !peers->posted;
	if (!dropped) {
		*peers->last = news;
		peers->last = &news->next;
		peers->waiting_bytes += size_bytes + sizeof *news;
		peers->posted = true;
	}
	bool room = dropped || peers->waiting_bytes < FTSI_PEER_INBOX_MAX_BYTES;
	if (!room) peers->held = true;
	pthread_mutex_unlock(&peers->lock);
	if (dropped) free(news);
	/* A loop that has ended takes nothing: what waits is dropped with the rest. */
	if (post && !peers->options.post(peers->options.replica, &peers->post)) return true;
	return room;
}

/* ---- What the mesh tells: nng's threads ---- */

static void on_up(void *ctx, const char *key)
{
	(void)give(ctx, HAPPENING_UP, key, strlen(key) + 1);
}

static void on_down(void *ctx, const char *key)
{
	(void)give(ctx, HAPPENING_DOWN, key, strlen(key) + 1);
}

/* Whose connection it is, from its first message. False: that was no Hello. */
static bool name_line(struct ftsi_mesh_line *line, struct fts_bytes message)
{
	char text[FTSI_MEMBER_TEXT_BYTES];
	struct ftsi_endpoint endpoint;
	Fts__Replica__V1__PeerMessage *first = NULL;
	if (message.size_bytes <= HELLO_MAX_BYTES)
		first = fts__replica__v1__peer_message__unpack(NULL, message.size_bytes, message.data);
	bool hello = first != NULL && first->kind_case == FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO;
	if (hello) {
		const Fts__Replica__V1__Hello *who = first->hello;
		hello = who->name[0] != '\0' && strlen(who->name) < FTSI_MEMBER_NAME_BYTES && strchr(who->name, '=') == NULL &&
			ftsi_endpoint_parse(who->address, strlen(who->address), &endpoint, NULL) == FTS_OK;
		if (hello) ftsi_mesh_line_name(line, ftsi_member_text(who->name, endpoint.text, text));
	}
	if (first != NULL) fts__replica__v1__peer_message__free_unpacked(first, NULL);
	return hello;
}

static bool on_message(void *ctx, struct ftsi_mesh_line *line, struct fts_bytes message)
{
	struct ftsi_peers *peers = ctx;
	if (ftsi_mesh_line_key(line)[0] == '\0' && !name_line(line, message)) {
		FTS_LOG_DEBUG("peers.garbage", "bytes=%zu", message.size_bytes);
		ftsi_mesh_line_close(line, "its first message was no Hello");
		return true;
	}
	return give(peers, HAPPENING_MESSAGE, message.data, message.size_bytes);
}

/* ---- What the replica asks: loop ---- */

static bool send_message(void *ctx, const char *address, struct fts_bytes message)
{
	struct ftsi_peers *peers = ctx;
	return ftsi_mesh_send(peers->mesh, address, message);
}

static size_t backlog_bytes(void *ctx, const char *address)
{
	struct ftsi_peers *peers = ctx;
	return ftsi_mesh_backlog_bytes(peers->mesh, address);
}

/* Where the node at a raft address listens for peers. False: it is no address. out: FTSI_ENDPOINT_TEXT_BYTES. */
static bool peer_endpoint(const char *address, char *out)
{
	struct ftsi_endpoint endpoint;
	char name[FTSI_MEMBER_NAME_BYTES], calls[FTSI_MEMBER_ADDRESS_BYTES];
	ftsi_member_split(address, name, calls);
	if (ftsi_endpoint_parse(calls, strlen(calls), &endpoint, NULL) != FTS_OK ||
	    endpoint.port > UINT16_MAX - PEER_PORT_OFFSET)
		return false;
	int length = snprintf(out, FTSI_ENDPOINT_TEXT_BYTES, endpoint.ipv6 ? "[%s]:%u" : "%s:%u", endpoint.host,
			      endpoint.port + PEER_PORT_OFFSET);
	return length > 0 && (size_t)length < FTSI_ENDPOINT_TEXT_BYTES;
}

static void set_peers(void *ctx, const char *const *addresses, size_t count)
{
	struct ftsi_peers *peers = ctx;
	struct ftsi_mesh_target targets[FTSI_MESH_LINK_MAX];
	char endpoints[FTSI_MESH_LINK_MAX][FTSI_ENDPOINT_TEXT_BYTES];
	size_t target_count = 0;
	for (size_t i = 0; i < count && target_count < FTSI_MESH_LINK_MAX; i++) {
		if (!peer_endpoint(addresses[i], endpoints[target_count])) continue;
		targets[target_count] = (struct ftsi_mesh_target){addresses[i], endpoints[target_count]};
		target_count++;
	}
	ftsi_mesh_set(peers->mesh, targets, target_count);
}

/* ---- Life ---- */

enum fts_status ftsi_peers_create(const struct ftsi_peers_options *options, struct ftsi_peers **out_peers,
				  struct fts_error *out_error)
{
	struct ftsi_peers *peers = calloc(1, sizeof *peers);
	if (peers == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for peers");
	struct ftsi_mesh_options mesh = {
	    .listen = options->listen,
	    .tls = options->tls,
	    .message_max_bytes = FTSI_PEER_MESSAGE_MAX_BYTES,
	    .backlog_max_bytes = FTSI_PEER_BACKLOG_MAX_BYTES,
	    .on_up = on_up,
	    .on_down = on_down,
	    .on_message = on_message,
	    .ctx = peers,
	};
	peers->options = *options;
	peers->post.run = deliver;
	peers->transport = (struct ftsi_transport){
	    .send = send_message, .set_peers = set_peers, .backlog_bytes = backlog_bytes, .ctx = peers};
	peers->last = &peers->first;
	pthread_mutex_init(&peers->lock, NULL);
	enum fts_status status = ftsi_mesh_create(&mesh, &peers->mesh, out_error);
	if (status == FTS_OK)
		*out_peers = peers;
	else
		ftsi_peers_destroy(peers);
	return status;
}

uint16_t ftsi_peers_port(const struct ftsi_peers *peers)
{
	return ftsi_mesh_port(peers->mesh);
}

const struct ftsi_transport *ftsi_peers_transport(struct ftsi_peers *peers)
{
	return &peers->transport;
}

void ftsi_peers_stop(struct ftsi_peers *peers)
{
	pthread_mutex_lock(&peers->lock);
	peers->stopped = true;
	pthread_mutex_unlock(&peers->lock);
	ftsi_mesh_stop(peers->mesh);
}

void ftsi_peers_destroy(struct ftsi_peers *peers)
{
	if (peers == NULL) return;
	ftsi_mesh_destroy(peers->mesh);
	drop(peers->first);
	pthread_mutex_destroy(&peers->lock);
	free(peers);
}
