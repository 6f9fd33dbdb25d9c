/* Why this file exists: see router/remote.h. */
#include "router/remote.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/conn.h"

enum {
	REMOTES_MAX = 256,
	UNDER_WAY_MAX = 4,
	BATCH_ITEMS_MAX = 512,
	BATCH_BYTES_MAX = 1024 * 1024,
	SILENT_TIMEOUT_MS = 500,
	CONNECT_TIMEOUT_MS = 1000,
};

/* Items of one kind that wait or are under way; both kinds begin alike. */
struct queue {
	void *first;
	void **last;
	uint32_t count, under_way;
};

struct ftsi_remote {
	struct ftsi_remotes *remotes;
	uint64_t node_id;
	char name[64], address[128];
	struct fts_channel *channel;
	pthread_mutex_t lock;
	struct queue puts, reads; /* guarded by lock, as all below */
	bool stopped;
	atomic_bool silent; /* written under lock; read without it where a moment more does no harm */
};

struct ftsi_remotes {
	struct ftsi_remotes_options options;
	pthread_mutex_t lock;
	struct ftsi_remote *list[REMOTES_MAX]; /* guarded by lock, as all below */
	size_t count;
	bool stopped;
};

/* ---- Queues: an item's first member is its `next` ---- */

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, void *item)
{
	*(void **)item = NULL;
	*queue->last = item;
	queue->last = item;
	queue->count++;
}

static void *queue_pop(struct queue *queue)
{
	void *item = queue->first;
	if (item == NULL) return NULL;
	queue->first = *(void **)item;
	if (queue->first == NULL) queue->last = &queue->first;
	queue->count--;
	*(void **)item = NULL;
	return item;
}

/* ---- Ends ---- */

static void end_put(struct ftsi_put_item *item, enum fts_status status, const char *detail)
{
	const struct fts_router_taken taken = {.status = status, .detail = detail};
	item->done(item->ctx, &taken);
}

static void end_read(struct ftsi_read_item *item, enum fts_status status, const char *detail)
{
	const struct fts_router_read read = {.status = status, .detail = detail};
	item->done(item->ctx, &read);
}

static void end_puts(struct ftsi_put_item *item, enum fts_status status, const char *detail)
{
	while (item != NULL) {
		struct ftsi_put_item *next = item->next; /* it is its owner's again once done */
		end_put(item, status, detail);
		item = next;
	}
}

static void end_reads(struct ftsi_read_item *item, enum fts_status status, const char *detail)
{
	while (item != NULL) {
		struct ftsi_read_item *next = item->next;
		end_read(item, status, detail);
		item = next;
	}
}

/* ---- Batches ---- */

struct batch {
	struct ftsi_remote *remote;
	bool is_put;
	size_t count;
	struct ftsi_put_item *puts[BATCH_ITEMS_MAX];
	struct ftsi_read_item *reads[BATCH_ITEMS_MAX];
};

static bool may_send(const struct ftsi_remote *remote, const struct queue *queue)
{
	uint32_t most = remote->silent ? 1 : UNDER_WAY_MAX;
	return queue->first != NULL && queue->under_way < most && !remote->stopped;
}

static bool fits_put(const struct batch *batch, const struct ftsi_put_item *item, size_t bytes)
{
	if (batch->count == 0) return true;
	const struct fts_router_stamp *first = &batch->puts[0]->stamp;
	return batch->count < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX && item->stamp.epoch == first->epoch &&
	       item->stamp.background == first->background;
}

/* Called with the lock held. False: nothing to send. */
static bool take_puts(struct ftsi_remote *remote, struct batch *batch)
{
	size_t bytes = 0;
	if (!may_send(remote, &remote->puts)) return false;
	while (remote->puts.first != NULL && fits_put(batch, remote->puts.first, bytes)) {
		struct ftsi_put_item *item = queue_pop(&remote->puts);
		bytes += item->record->key.size_bytes + item->record->value.size_bytes;
		batch->puts[batch->count++] = item;
	}
	remote->puts.under_way++;
	return true;
}

static bool take_reads(struct ftsi_remote *remote, struct batch *batch)
{
	if (!may_send(remote, &remote->reads)) return false;
	while (remote->reads.first != NULL && batch->count < BATCH_ITEMS_MAX &&
	       (batch->count == 0 || ((struct ftsi_read_item *)remote->reads.first)->epoch == batch->reads[0]->epoch))
		batch->reads[batch->count++] = queue_pop(&remote->reads);
	remote->reads.under_way++;
	return true;
}

/* As long as the most patient of its items waits, but no less than a node may take: callers in a hurry share messages
 * with others, and their time limit says nothing about the node. */
static uint32_t timeout_of(const struct ftsi_remote *remote, uint64_t latest_ns)
{
	uint32_t left = fts_clock_left_ms(fts_clock_monotonic_ns(), latest_ns);
	uint32_t most = remote->silent ? SILENT_TIMEOUT_MS : FTSI_REMOTE_TIMEOUT_MS;
	if (left < SILENT_TIMEOUT_MS) left = SILENT_TIMEOUT_MS;
	return left < most ? left : most;
}

static uint64_t latest_put_ns(const struct batch *batch)
{
	uint64_t latest_ns = 0;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->puts[i]->deadline_ns > latest_ns) latest_ns = batch->puts[i]->deadline_ns;
	return latest_ns;
}

static uint64_t latest_read_ns(const struct batch *batch)
{
	uint64_t latest_ns = 0;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->reads[i]->deadline_ns > latest_ns) latest_ns = batch->reads[i]->deadline_ns;
	return latest_ns;
}

static void pump(struct ftsi_remote *remote);

/* What its end says about the node. Empties the queues of one that is silent. */
static void note_end(struct batch *batch, enum fts_status status)
{
	struct ftsi_remote *remote = batch->remote;
	struct ftsi_put_item *puts = NULL;
	struct ftsi_read_item *reads = NULL;
	char detail[128];
	pthread_mutex_lock(&remote->lock);
	(batch->is_put ? &remote->puts : &remote->reads)->under_way--;
	if (status == FTS_DEADLINE_EXCEEDED || status == FTS_UNAVAILABLE) {
		remote->silent = true;
		puts = remote->puts.first;
		reads = remote->reads.first;
		remote->puts.count = remote->reads.count = 0;
		queue_init(&remote->puts);
		queue_init(&remote->reads);
	} else if (status != FTS_CANCELLED) {
		remote->silent = false;
	}
	pthread_mutex_unlock(&remote->lock);
	if (puts == NULL && reads == NULL) return;
	(void)snprintf(detail, sizeof detail, "%s does not answer", remote->name);
	end_puts(puts, FTS_UNAVAILABLE, detail);
	end_reads(reads, FTS_UNAVAILABLE, detail);
}

static void put_done(void *ctx, enum fts_status status, const Fts__Kv__V1__PutResponse *response,
		     const struct fts_error *error)
{
	struct batch *batch = ctx;
	struct ftsi_remotes *remotes = batch->remote->remotes;
	bool refused = status == FTS_OK && (response->map != NULL || response->n_newer != batch->count ||
					    response->n_existed != batch->count);
	if (status == FTS_OK && !refused) remotes->options.observe(remotes->options.ctx, response->clock);
	note_end(batch, status);
	pump(batch->remote);      /* before the callbacks, which may take their time */
	ftsi_conn_gather_begin(); /* the answers that follow: one write a caller's connection */
	for (size_t i = 0; i < batch->count; i++) {
		struct fts_router_taken taken = {.status = refused ? FTS_ABORTED : status,
						 .unsure = error != NULL && error->executed != FTS_EXECUTED_NO,
						 .epoch = refused && response->map != NULL ? response->map->epoch : 0,
						 .detail = error == NULL ? NULL : error->detail};
		if (status == FTS_OK && !refused) {
			taken.existed = response->existed[i];
			taken.newer_time = response->newer[i];
		}
		batch->puts[i]->done(batch->puts[i]->ctx, &taken);
	}
	ftsi_conn_gather_end();
	free(batch);
}

static struct fts_router_record record_of(const Fts__Kv__V1__Record *message, const struct ftsi_read_item *item)
{
	return (struct fts_router_record){.db = item->db,
					  .key = item->key,
					  .value = {message->value.data, message->value.len},
					  .version_time = message->version_time,
					  .version_node = message->version_node,
					  .tombstone = message->tombstone};
}

static bool is_damaged(const Fts__Kv__V1__ReadResponse *response, size_t i)
{
	for (size_t k = 0; k < response->n_damaged; k++)
		if (response->damaged[k] == i) return true;
	return false;
}

static void end_one_read(struct batch *batch, size_t i, const Fts__Kv__V1__ReadResponse *response)
{
	struct ftsi_read_item *item = batch->reads[i];
	struct fts_router_read read = {.status = FTS_NOT_FOUND};
	if (response->map != NULL) {
		read.status = FTS_ABORTED;
		read.epoch = response->map->epoch;
	} else if (i >= response->n_records) { /* it did not fit: ask again */
		ftsi_remote_read(batch->remote, item);
		return;
	} else if (is_damaged(response, i)) {
		read.status = FTS_DATA_LOSS;
	} else if (response->records[i]->version_time != 0) {
		read.status = FTS_OK;
		read.record = record_of(response->records[i], item);
		if (batch->remote->remotes->options.checksum(&read.record) != response->records[i]->checksum)
			read.status = FTS_DATA_LOSS; /* altered on its way */
	}
	item->done(item->ctx, &read);
}

static void read_done(void *ctx, enum fts_status status, const Fts__Kv__V1__ReadResponse *response,
		      const struct fts_error *error)
{
	struct batch *batch = ctx;
	note_end(batch, status);
	pump(batch->remote);
	ftsi_conn_gather_begin();
	for (size_t i = 0; i < batch->count; i++) {
		if (status == FTS_OK)
			end_one_read(batch, i, response);
		else
			end_read(batch->reads[i], status, error->detail);
	}
	ftsi_conn_gather_end();
	free(batch);
}

/* ---- Sending ---- */

static ProtobufCBinaryData data_of(struct fts_bytes bytes)
{
	return (ProtobufCBinaryData){bytes.size_bytes, (uint8_t *)(uintptr_t)bytes.data};
}

static enum fts_status send_puts(struct batch *batch)
{
	Fts__Kv__V1__PutRequest request = FTS__KV__V1__PUT_REQUEST__INIT;
	struct ftsi_remote *remote = batch->remote;
	const struct fts_call_options options = {.timeout_ms = timeout_of(remote, latest_put_ns(batch)),
						 .no_retry = true};
	Fts__Kv__V1__Record *records = malloc(batch->count * sizeof *records), *list[BATCH_ITEMS_MAX];
	if (records == NULL) return FTS_RESOURCE_EXHAUSTED;
	request.as_of = UINT64_MAX;
	for (size_t i = 0; i < batch->count; i++) {
		const struct fts_router_record *record = batch->puts[i]->record;
		fts__kv__v1__record__init(&records[i]);
		records[i].db = record->db;
		records[i].key = data_of(record->key);
		records[i].value = data_of(record->value);
		records[i].tombstone = record->tombstone;
		records[i].version_time = record->version_time;
		records[i].version_node = record->version_node;
		records[i].write_id = record->write_id;
		records[i].checksum = remote->remotes->options.checksum(record);
		list[i] = &records[i];
		if (batch->puts[i]->stamp.as_of < request.as_of) request.as_of = batch->puts[i]->stamp.as_of;
	}
	request.records = list;
	request.n_records = batch->count;
	request.epoch = batch->puts[0]->stamp.epoch;
	request.background = batch->puts[0]->stamp.background;
	request.for_node = remote->node_id;
	enum fts_status status = fts_kv_storage_put_start(remote->channel, &request, &options, put_done, batch, NULL);
	free(records);
	return status;
}

static enum fts_status send_reads(struct batch *batch)
{
	Fts__Kv__V1__ReadRequest request = FTS__KV__V1__READ_REQUEST__INIT;
	struct ftsi_remote *remote = batch->remote;
	const struct fts_call_options options = {.timeout_ms = timeout_of(remote, latest_read_ns(batch)),
						 .no_retry = true};
	Fts__Kv__V1__ReadKey keys[BATCH_ITEMS_MAX], *list[BATCH_ITEMS_MAX];
	for (size_t i = 0; i < batch->count; i++) {
		fts__kv__v1__read_key__init(&keys[i]);
		keys[i].db = batch->reads[i]->db;
		keys[i].key = data_of(batch->reads[i]->key);
		list[i] = &keys[i];
	}
	request.keys = list;
	request.n_keys = batch->count;
	request.epoch = batch->reads[0]->epoch;
	request.for_node = remote->node_id;
	return fts_kv_storage_read_start(remote->channel, &request, &options, read_done, batch, NULL);
}

static struct batch *next_batch(struct ftsi_remote *remote)
{
	struct batch *batch = malloc(sizeof *batch);
	if (batch == NULL) return NULL;
	batch->remote = remote;
	batch->count = 0;
	pthread_mutex_lock(&remote->lock);
	batch->is_put = take_puts(remote, batch);
	bool any = batch->is_put || take_reads(remote, batch);
	pthread_mutex_unlock(&remote->lock);
	if (any) return batch;
	free(batch);
	return NULL;
}

static bool has_work(struct ftsi_remote *remote)
{
	pthread_mutex_lock(&remote->lock);
	bool any = may_send(remote, &remote->puts) || may_send(remote, &remote->reads);
	pthread_mutex_unlock(&remote->lock);
	return any;
}

static void fail_batch(struct batch *batch, enum fts_status status)
{
	note_end(batch, FTS_CANCELLED);
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->is_put)
			end_put(batch->puts[i], status, NULL);
		else
			end_read(batch->reads[i], status, NULL);
	}
	free(batch);
}

static void pump(struct ftsi_remote *remote)
{
	while (has_work(remote)) {
		struct batch *batch = next_batch(remote);
		if (batch == NULL) return; /* another thread took it; without memory the next end tries again */
		enum fts_status status = batch->is_put ? send_puts(batch) : send_reads(batch);
		if (status != FTS_OK) fail_batch(batch, status);
	}
}

/* Called with the lock held. OK: it is in the queue. */
static enum fts_status enter(struct ftsi_remote *remote, struct queue *queue, void *item)
{
	if (remote->stopped) return FTS_CANCELLED;
	if (remote->silent && queue->under_way > 0) return FTS_UNAVAILABLE;
	if (queue->count >= FTSI_REMOTE_ITEMS_MAX) return FTS_RESOURCE_EXHAUSTED;
	queue_push(queue, item);
	return FTS_OK;
}

static const char *print_why(const struct ftsi_remote *remote, enum fts_status status, char *out, size_t capacity_bytes)
{
	(void)snprintf(out, capacity_bytes,
		       status == FTS_RESOURCE_EXHAUSTED ? "too much waits for %s" : "%s does not answer", remote->name);
	return out;
}

static void pump_later(void *remote)
{
	pump(remote);
}

void ftsi_remote_put(struct ftsi_remote *remote, struct ftsi_put_item *item)
{
	char detail[128];
	pthread_mutex_lock(&remote->lock);
	enum fts_status status = enter(remote, &remote->puts, item);
	pthread_mutex_unlock(&remote->lock);
	if (status != FTS_OK)
		end_put(item, status, print_why(remote, status, detail, sizeof detail));
	else
		ftsi_conn_after_reading(pump_later, remote); /* what comes together goes in one message */
}

void ftsi_remote_read(struct ftsi_remote *remote, struct ftsi_read_item *item)
{
	char detail[128];
	pthread_mutex_lock(&remote->lock);
	enum fts_status status = enter(remote, &remote->reads, item);
	pthread_mutex_unlock(&remote->lock);
	if (status != FTS_OK)
		end_read(item, status, print_why(remote, status, detail, sizeof detail));
	else
		ftsi_conn_after_reading(pump_later, remote);
}

bool ftsi_remote_is_answering(struct ftsi_remote *remote)
{
	pthread_mutex_lock(&remote->lock);
	bool answering = !remote->silent;
	pthread_mutex_unlock(&remote->lock);
	return answering;
}

struct fts_channel *ftsi_remote_channel(struct ftsi_remote *remote)
{
	return remote->channel;
}

/* ---- All of them ---- */

struct ftsi_remotes *ftsi_remotes_create(const struct ftsi_remotes_options *options)
{
	struct ftsi_remotes *remotes = calloc(1, sizeof *remotes);
	if (remotes == NULL) return NULL;
	remotes->options = *options;
	pthread_mutex_init(&remotes->lock, NULL);
	return remotes;
}

static struct ftsi_remote *make_remote(struct ftsi_remotes *remotes, const struct fts_router_node *node)
{
	const struct fts_channel_options options = {.endpoints = node->address,
						    .tls = remotes->options.tls,
						    .token_source = remotes->options.token_source,
						    .token_ctx = remotes->options.token_ctx,
						    .connect_timeout_ms = CONNECT_TIMEOUT_MS};
	struct ftsi_remote *remote = calloc(1, sizeof *remote);
	if (remote == NULL) return NULL;
	if (fts_channel_open(&options, &remote->channel, NULL) != FTS_OK) {
		free(remote);
		return NULL;
	}
	remote->remotes = remotes;
	remote->node_id = node->node_id;
	memcpy(remote->name, node->name, sizeof remote->name);
	memcpy(remote->address, node->address, sizeof remote->address);
	pthread_mutex_init(&remote->lock, NULL);
	queue_init(&remote->puts);
	queue_init(&remote->reads);
	return remote;
}

/* A node that has another address now is another remote; the old one stays until the end. */
struct ftsi_remote *ftsi_remotes_find(struct ftsi_remotes *remotes, const struct fts_router_node *node)
{
	struct ftsi_remote *found = NULL;
	pthread_mutex_lock(&remotes->lock);
	for (size_t i = 0; i < remotes->count && found == NULL; i++)
		if (remotes->list[i]->node_id == node->node_id && strcmp(remotes->list[i]->address, node->address) == 0)
			found = remotes->list[i];
	if (found == NULL && !remotes->stopped && remotes->count < REMOTES_MAX) {
		found = make_remote(remotes, node);
		if (found != NULL) remotes->list[remotes->count++] = found;
	}
	pthread_mutex_unlock(&remotes->lock);
	return found;
}

static void stop_remote(struct ftsi_remote *remote)
{
	pthread_mutex_lock(&remote->lock);
	remote->stopped = true;
	struct ftsi_put_item *puts = remote->puts.first;
	struct ftsi_read_item *reads = remote->reads.first;
	queue_init(&remote->puts);
	queue_init(&remote->reads);
	pthread_mutex_unlock(&remote->lock);
	end_puts(puts, FTS_CANCELLED, NULL);
	end_reads(reads, FTS_CANCELLED, NULL);
	fts_channel_close(remote->channel);
	remote->channel = NULL;
}

void ftsi_remotes_stop(struct ftsi_remotes *remotes)
{
	if (remotes == NULL) return;
	pthread_mutex_lock(&remotes->lock);
	remotes->stopped = true; /* the list grows no more */
	pthread_mutex_unlock(&remotes->lock);
	for (size_t i = 0; i < remotes->count; i++)
		if (remotes->list[i]->channel != NULL) stop_remote(remotes->list[i]);
}

void ftsi_remotes_destroy(struct ftsi_remotes *remotes)
{
	if (remotes == NULL) return;
	ftsi_remotes_stop(remotes);
	for (size_t i = 0; i < remotes->count; i++) {
		pthread_mutex_destroy(&remotes->list[i]->lock);
		free(remotes->list[i]);
	}
	pthread_mutex_destroy(&remotes->lock);
	free(remotes);
}
