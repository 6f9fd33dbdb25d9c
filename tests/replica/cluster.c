/* Why this file exists: see cluster.h. */
#include "cluster.h"

#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/clock.h"

enum { WAIT_MS = 30000, LOOK_NS = 500000, TRY_MS = 10000 };

struct letter {
	struct ftsi_post post; /* first */
	size_t size_bytes;
	uint8_t bytes[];
};

struct news {
	struct ftsi_post post; /* first */
	bool connected;
	char address[48];
};

static uint64_t deadline_ns;

void cluster_wait_begin(void)
{
	deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), WAIT_MS);
}

void cluster_wait_look(const char *what)
{
	const struct timespec pause = {0, LOOK_NS};
	if (fts_clock_monotonic_ns() > deadline_ns) fail_msg("waited in vain for: %s", what);
	(void)nanosleep(&pause, NULL);
}

/* ---- The network ---- */

static void read_letter(struct fts_replica *replica, struct ftsi_post *post)
{
	struct letter *letter = (struct letter *)(void *)post;
	ftsi_replica_receive(replica, (struct fts_bytes){letter->bytes, letter->size_bytes});
	free(letter);
}

static bool passes(struct cluster *cluster, size_t from, size_t to, struct fts_bytes bytes)
{
	Fts__Replica__V1__PeerMessage *message;
	bool taken;
	if (cluster->filter == NULL) return true;
	message = fts__replica__v1__peer_message__unpack(NULL, bytes.size_bytes, bytes.data);
	assert_non_null(message);
	taken = cluster->filter(cluster->filter_ctx, from, to, message);
	fts__replica__v1__peer_message__free_unpacked(message, NULL);
	return taken;
}

static size_t find(struct cluster *cluster, const char *address)
{
	const char *equals = strchr(address, '=');
	for (size_t i = 0; i < cluster->count; i++)
		if (strcmp(cluster->nodes[i].address, equals == NULL ? address : equals + 1) == 0) return i;
	fail_msg("%s is nobody's address", address);
	return 0;
}

static bool send_letter(void *ctx, const char *address, struct fts_bytes bytes)
{
	struct cluster_node *node = ctx;
	struct cluster *cluster = node->cluster;
	size_t to = find(cluster, address);
	struct letter *letter;
	bool sent;
	pthread_mutex_lock(&cluster->lock);
	sent = cluster->nodes[to].replica != NULL && node->replica != NULL;
	if (sent && !cluster->cut[node->number][to] && passes(cluster, node->number, to, bytes)) {
		letter = malloc(sizeof *letter + bytes.size_bytes);
		letter->post.run = read_letter;
		letter->size_bytes = bytes.size_bytes;
		memcpy(letter->bytes, bytes.data, bytes.size_bytes);
		atomic_fetch_add(&cluster->message_count, 1);
		if (bytes.size_bytes > atomic_load(&cluster->message_bytes_max))
			atomic_store(&cluster->message_bytes_max, bytes.size_bytes);
		if (!ftsi_mailbox_post(&cluster->nodes[to].replica->mailbox, &letter->post)) free(letter);
	}
	pthread_mutex_unlock(&cluster->lock);
	return sent;
}

static void set_peers(void *ctx, const char *const *addresses, size_t count)
{
	(void)ctx;
	(void)addresses;
	(void)count; /* everybody has a line to everybody */
}

static size_t backlog_bytes(void *ctx, const char *address)
{
	(void)ctx;
	(void)address;
	return 0;
}

static void read_news(struct fts_replica *replica, struct ftsi_post *post)
{
	struct news *news = (struct news *)(void *)post;
	if (news->connected)
		ftsi_replica_connected(replica, news->address);
	else
		ftsi_replica_disconnected(replica, news->address);
	free(news);
}

/* lock is held. */
static void tell(struct cluster *cluster, size_t to, size_t about, bool connected)
{
	struct news *news;
	if (cluster->nodes[to].replica == NULL || to == about) return;
	news = calloc(1, sizeof *news);
	news->post.run = read_news;
	news->connected = connected;
	(void)snprintf(news->address, sizeof news->address, "%s", cluster->nodes[about].address);
	if (!ftsi_mailbox_post(&cluster->nodes[to].replica->mailbox, &news->post)) free(news);
}

void cluster_cut(struct cluster *cluster, size_t a, size_t b, bool cut)
{
	pthread_mutex_lock(&cluster->lock);
	cluster->cut[a][b] = cluster->cut[b][a] = cut;
	pthread_mutex_unlock(&cluster->lock);
}

void cluster_isolate(struct cluster *cluster, size_t number, bool cut)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (i != number) cluster_cut(cluster, i, number, cut);
}

void cluster_break(struct cluster *cluster, size_t a, size_t b)
{
	pthread_mutex_lock(&cluster->lock);
	tell(cluster, a, b, false);
	tell(cluster, b, a, false);
	tell(cluster, a, b, true);
	tell(cluster, b, a, true);
	pthread_mutex_unlock(&cluster->lock);
}

/* ---- Life ---- */

void cluster_start(struct cluster *cluster, size_t number)
{
	struct cluster_node *node = &cluster->nodes[number];
	struct fts_replica *replica = NULL;
	struct fts_error error = {0};
	node->options = (struct driver_options){.dir = node->dir,
						.name = node->name,
						.address = node->address,
						.members = cluster->members,
						.member_count = cluster->count,
						.election_ms = cluster->election_ms,
						.environment = &node->environment,
						.fatal = &node->fatal};
	if (driver_start(&node->options, &replica, &error) != FTS_OK) fail_msg("%s", error.detail);
	pthread_mutex_lock(&cluster->lock);
	node->replica = replica;
	for (size_t i = 0; i < cluster->count; i++) {
		if (cluster->nodes[i].replica == NULL) continue;
		tell(cluster, number, i, true);
		tell(cluster, i, number, true);
	}
	pthread_mutex_unlock(&cluster->lock);
}

static struct fts_replica *take_off(struct cluster *cluster, size_t number)
{
	struct fts_replica *replica;
	pthread_mutex_lock(&cluster->lock);
	replica = cluster->nodes[number].replica;
	cluster->nodes[number].replica = NULL;
	for (size_t i = 0; i < cluster->count && replica != NULL; i++)
		tell(cluster, i, number, false);
	pthread_mutex_unlock(&cluster->lock);
	return replica;
}

void cluster_stop(struct cluster *cluster, size_t number)
{
	struct fts_replica *replica = cluster->nodes[number].replica;
	fts_replica_stop(replica);
	(void)take_off(cluster, number);
	fts_replica_destroy(replica);
}

void cluster_kill(struct cluster *cluster, size_t number)
{
	struct fts_replica *replica = take_off(cluster, number);
	if (replica == NULL) return;
	atomic_store(&replica->serving, false);
	atomic_store(&replica->failed, true); /* it does nothing more but end */
	if (cluster->nodes[number].paused) {
		cluster->nodes[number].paused = false;
		sem_post(&cluster->nodes[number].resume);
	}
	fts_replica_stop(replica);
	fts_replica_destroy(replica);
}

struct act {
	struct ftsi_post post; /* first */
	void (*act)(struct fts_replica *replica, void *ctx);
	void *ctx;
	sem_t done;
};

static void run_act(struct fts_replica *replica, struct ftsi_post *post)
{
	struct act *act = (struct act *)(void *)post;
	act->act(replica, act->ctx);
	sem_post(&act->done);
}

void cluster_on_loop(struct cluster *cluster, size_t number, void (*run)(struct fts_replica *replica, void *ctx),
		     void *ctx)
{
	struct act act = {.post.run = run_act, .act = run, .ctx = ctx};
	sem_init(&act.done, 0, 0);
	assert_true(ftsi_mailbox_post(&cluster->nodes[number].replica->mailbox, &act.post));
	while (sem_wait(&act.done) != 0)
		continue;
	sem_destroy(&act.done);
}

struct stand {
	struct ftsi_post post; /* first */
	sem_t standing, *resume;
};

static void stand_still(struct fts_replica *replica, struct ftsi_post *post)
{
	struct stand *stand = (struct stand *)(void *)post;
	sem_t *resume = stand->resume;
	(void)replica;
	sem_post(&stand->standing); /* stand is gone from here on */
	while (sem_wait(resume) != 0)
		continue;
}

void cluster_pause(struct cluster *cluster, size_t number)
{
	struct cluster_node *node = &cluster->nodes[number];
	struct stand stand = {.post.run = stand_still, .resume = &node->resume};
	sem_init(&stand.standing, 0, 0);
	assert_true(ftsi_mailbox_post(&node->replica->mailbox, &stand.post));
	while (sem_wait(&stand.standing) != 0)
		continue;
	node->paused = true;
}

void cluster_resume(struct cluster *cluster, size_t number)
{
	cluster->nodes[number].paused = false;
	sem_post(&cluster->nodes[number].resume);
}

void cluster_open(struct cluster *cluster, size_t count, uint32_t election_ms)
{
	memset(cluster, 0, sizeof *cluster);
	pthread_mutex_init(&cluster->lock, NULL);
	cluster->count = count;
	cluster->election_ms = election_ms;
	for (size_t i = 0; i < count; i++) {
		struct cluster_node *node = &cluster->nodes[i];
		node->cluster = cluster;
		node->number = i;
		(void)snprintf(node->name, sizeof node->name, "n%zu", i + 1);
		(void)snprintf(node->address, sizeof node->address, "127.0.0.1:%zu", 7400 + 10 * i);
		node->dir = make_dir();
		node->transport = (struct ftsi_transport){
		    .send = send_letter, .set_peers = set_peers, .backlog_bytes = backlog_bytes, .ctx = node};
		node->environment = *ftsi_environment_real();
		node->environment.transport = &node->transport;
		sem_init(&node->resume, 0, 0);
		cluster->members[i] = (struct fts_replica_member){node->name, node->address};
	}
	for (size_t i = 0; i < count; i++)
		cluster_start(cluster, i);
	(void)cluster_wait_leader(cluster, SIZE_MAX);
}

void cluster_close(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++) {
		assert_int_equal(atomic_load(&cluster->nodes[i].fatal.count), 0);
		cluster_kill(cluster, i);
		remove_dir(cluster->nodes[i].dir);
		sem_destroy(&cluster->nodes[i].resume);
	}
	pthread_mutex_destroy(&cluster->lock);
}

/* ---- What it looks like ---- */

struct fts_replica_status cluster_status(struct cluster *cluster, size_t number)
{
	struct fts_replica_status status = {0};
	if (cluster->nodes[number].replica != NULL) fts_replica_status(cluster->nodes[number].replica, &status);
	return status;
}

size_t cluster_leader(struct cluster *cluster, size_t not )
{
	size_t found = SIZE_MAX;
	uint64_t term = 0;
	for (size_t i = 0; i < cluster->count; i++) {
		struct fts_replica_status status = cluster_status(cluster, i);
		if (i == not || !status.leader || status.term <= term) continue;
		found = i;
		term = status.term;
	}
	return found;
}

size_t cluster_wait_leader(struct cluster *cluster, size_t not )
{
	size_t leader;
	CLUSTER_WAIT((leader = cluster_leader(cluster, not )) != SIZE_MAX);
	return leader;
}

static bool all_applied_the_same(struct cluster *cluster)
{
	uint64_t applied = 0;
	for (size_t i = 0; i < cluster->count; i++) {
		struct fts_replica_status status = cluster_status(cluster, i);
		if (cluster->nodes[i].replica == NULL) continue;
		if (!status.ready || status.applied_index != status.commit_index) return false;
		if (applied != 0 && status.applied_index != applied) return false;
		applied = status.applied_index;
	}
	return true;
}

static void do_nothing(struct fts_replica *replica, void *ctx)
{
	(void)replica;
	(void)ctx;
}

void cluster_settle(struct cluster *cluster)
{
	uint64_t digest = 0;
	/* A call is answered before the turn has ended that tells where the node stands. */
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; i < cluster->count; i++)
			if (cluster->nodes[i].replica != NULL) cluster_on_loop(cluster, i, do_nothing, NULL);
	CLUSTER_WAIT(all_applied_the_same(cluster));
	for (size_t i = 0; i < cluster->count; i++) {
		uint64_t found;
		if (cluster->nodes[i].replica == NULL) continue;
		found = state_digest(cluster->nodes[i].replica->state);
		if (digest != 0) assert_int_equal(found, digest);
		digest = found;
	}
}

int64_t cluster_add(struct cluster *cluster, const char *name, uint64_t client_id, uint64_t sequence)
{
	const struct add add = {.name = name,
				.delta = 1,
				.client_id = client_id,
				.sequence = sequence,
				.lowest_unanswered = sequence,
				.deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), TRY_MS)};
	struct add_result result;
	size_t leader;
	enum fts_status status = FTS_UNAVAILABLE;
	CLUSTER_WAIT((leader = cluster_leader(cluster, SIZE_MAX)) != SIZE_MAX &&
		     (status = add_call(cluster->nodes[leader].replica, &add, &result)) == FTS_OK);
	(void)status;
	return result.value;
}
