/* Why this file exists: see watchdog/outside.h: the question to the cluster, on a thread that may wait. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "base/clock.h"
#include "watchdog/outside_internal.h"
#include "watchdog/quorum.h"

#define ASK_MS 1000

/* One round: all are asked at once. Lives until the last answer is in. */
struct round {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t open_count; /* guarded by lock */
	struct answer {
		struct round *round;
		uint8_t *packed; /* owned; NULL: none. guarded by the round's lock */
		size_t size_bytes;
	} answers[ASKED_MAX];
};

static void on_answer(void *ctx, enum fts_status status, const ProtobufCMessage *response,
		      const struct fts_error *error)
{
	struct answer *answer = ctx;
	struct round *round = answer->round;
	(void)error;
	pthread_mutex_lock(&round->lock);
	if (status == FTS_OK) {
		answer->packed = malloc(protobuf_c_message_get_packed_size(response) + 1);
		if (answer->packed != NULL) answer->size_bytes = protobuf_c_message_pack(response, answer->packed);
	}
	round->open_count--;
	pthread_cond_signal(&round->changed);
	pthread_mutex_unlock(&round->lock);
}

static void ask_all(struct ftsi_outside *outside, struct round *round)
{
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = ASK_MS, .no_retry = true};
	pthread_mutex_lock(&round->lock);
	for (size_t i = 0; i < outside->channel_count; i++) {
		round->answers[i].round = round;
		if (fts_channel_start(outside->channels[i], fts_cluster_status_method, &request.base, &options,
				      on_answer, &round->answers[i], NULL) == FTS_OK)
			round->open_count++;
	}
	while (round->open_count > 0) /* each ends by its time limit */
		pthread_cond_wait(&round->changed, &round->lock);
	pthread_mutex_unlock(&round->lock);
}

static enum ftsi_quorum decide(struct ftsi_outside *outside, struct round *round, const char *member,
			       bool takes_no_part, char *out_detail, size_t size_bytes)
{
	struct ftsi_quorum_view views[ASKED_MAX];
	Fts__Cluster__V1__StatusResponse *said[ASKED_MAX] = {NULL};
	for (size_t i = 0; i < outside->channel_count; i++) {
		struct answer *answer = &round->answers[i];
		if (answer->packed != NULL)
			said[i] = fts__cluster__v1__status_response__unpack(NULL, answer->size_bytes, answer->packed);
		views[i] = (struct ftsi_quorum_view){outside->endpoints[i], said[i]};
		free(answer->packed);
	}
	bool stays = ftsi_quorum_stays(views, outside->channel_count, member, takes_no_part, out_detail, size_bytes);
	for (size_t i = 0; i < outside->channel_count; i++)
		if (said[i] != NULL) fts__cluster__v1__status_response__free_unpacked(said[i], NULL);
	return stays ? FTSI_QUORUM_KEPT : FTSI_QUORUM_BROKEN;
}

static void *run(void *arg)
{
	struct ftsi_outside *outside = arg;
	pthread_mutex_lock(&outside->lock);
	while (!outside->stopping) {
		if (!outside->question) {
			pthread_cond_wait(&outside->asked, &outside->lock);
			continue;
		}
		struct round round = {.open_count = 0};
		char member[FTSI_WATCH_NAME_MAX], detail[sizeof(outside->answer_detail)];
		bool takes_no_part = outside->asked_takes_no_part;
		snprintf(member, sizeof(member), "%s", outside->asked_member);
		outside->question = false;
		pthread_mutex_unlock(&outside->lock);
		pthread_mutex_init(&round.lock, NULL);
		pthread_cond_init(&round.changed, NULL);
		ask_all(outside, &round);
		enum ftsi_quorum answer = decide(outside, &round, member, takes_no_part, detail, sizeof(detail));
		pthread_cond_destroy(&round.changed);
		pthread_mutex_destroy(&round.lock);
		pthread_mutex_lock(&outside->lock);
		outside->answer = answer;
		snprintf(outside->answer_detail, sizeof(outside->answer_detail), "%s", detail);
		ftsi_outside_wake(outside);
	}
	pthread_mutex_unlock(&outside->lock);
	return NULL;
}

void ftsi_outside_ask_quorum(struct ftsi_outside *outside, const char *member, bool takes_no_part)
{
	if (outside == NULL || !outside->running) return;
	pthread_mutex_lock(&outside->lock);
	/* An answer that nobody fetched, since its member is well again, stands in nobody's way. */
	if (outside->asked_member[0] == '\0' || outside->answer != FTSI_QUORUM_ASKING) {
		snprintf(outside->asked_member, sizeof(outside->asked_member), "%s", member);
		outside->asked_takes_no_part = takes_no_part;
		outside->answer = FTSI_QUORUM_ASKING;
		outside->question = true;
		pthread_cond_signal(&outside->asked);
	}
	pthread_mutex_unlock(&outside->lock);
}

enum ftsi_quorum ftsi_outside_quorum(struct ftsi_outside *outside, const char *member, char *out_detail)
{
	enum ftsi_quorum answer = FTSI_QUORUM_UNKNOWN;
	if (outside == NULL || !outside->running) return FTSI_QUORUM_KEPT; /* there is no quorum to mind */
	pthread_mutex_lock(&outside->lock);
	if (strcmp(outside->asked_member, member) == 0) {
		answer = outside->answer;
		memcpy(out_detail, outside->answer_detail, sizeof(outside->answer_detail));
		if (answer != FTSI_QUORUM_ASKING) outside->asked_member[0] = '\0';
	}
	pthread_mutex_unlock(&outside->lock);
	return answer;
}

/* ---- Life ---- */

enum fts_status ftsi_outside_token_read(struct ftsi_outside *outside, struct fts_error *out_error)
{
	struct stat about;
	const char *path = outside->config->token_file;
	if (path[0] == '\0') return FTS_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool readable = fd >= 0 && fstat(fd, &about) == 0 && (about.st_mode & (S_IRWXG | S_IRWXO)) == 0;
	ssize_t got = readable ? read(fd, outside->token, sizeof(outside->token)) : -1;
	if (fd >= 0) close(fd);
	while (got > 0 && strchr(" \t\r\n", outside->token[got - 1]) != NULL)
		got--;
	if (got <= 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "token_file: %.300s: expected a file of mode 0600 with a token in it", path);
	outside->token_size = (size_t)got;
	return FTS_OK;
}

/* Nodes on other machines can't ask a watchdog that listens on this one's loopback. */
static bool can_be_reached(const struct ftsi_watch_config *config, const struct ftsi_endpoint_list *nodes)
{
	struct ftsi_endpoint own;
	if (ftsi_endpoint_parse(config->listen, strlen(config->listen), &own, NULL) != FTS_OK) return false;
	if (strcmp(own.host, "0.0.0.0") == 0 || strcmp(own.host, "::") == 0) return false;
	for (uint32_t i = 0; i < nodes->count && ftsi_endpoint_is_loopback(&own); i++)
		if (!ftsi_endpoint_is_loopback(&nodes->items[i])) return false;
	return true;
}

static enum fts_status open_channels(struct ftsi_outside *outside, const struct ftsi_endpoint_list *nodes,
				     struct fts_error *out_error)
{
	struct fts_channel_options options = {
	    .tls = outside->tls, .token = {outside->token, outside->token_size}, .connect_timeout_ms = ASK_MS};
	enum fts_status status = FTS_OK;
	for (uint32_t i = 0; i < nodes->count && i < ASKED_MAX && status == FTS_OK; i++) {
		options.endpoints = nodes->items[i].text;
		status = fts_channel_open(&options, &outside->channels[i], out_error);
		snprintf(outside->endpoints[i], sizeof(outside->endpoints[i]), "%s", nodes->items[i].text);
		if (status == FTS_OK) outside->channel_count++;
	}
	options.endpoints = outside->config->cluster;
	if (status == FTS_OK && can_be_reached(outside->config, nodes))
		status = fts_channel_open(&options, &outside->channel, out_error);
	return status;
}

enum fts_status ftsi_outside_quorum_start(struct ftsi_outside *outside, struct fts_error *out_error)
{
	if (outside->config->cluster[0] == '\0') return FTS_OK;
	struct ftsi_endpoint_list *nodes = calloc(1, sizeof(*nodes));
	if (nodes == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = ftsi_endpoint_list_parse(outside->config->cluster, nodes, out_error);
	if (status == FTS_OK) status = open_channels(outside, nodes, out_error);
	free(nodes);
	if (status != FTS_OK) return status;
	outside->running = pthread_create(&outside->thread, NULL, run, outside) == 0;
	if (!outside->running) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread to ask the cluster");
	pthread_setname_np(outside->thread, "watchdog-asks");
	return FTS_OK;
}

void ftsi_outside_quorum_stop(struct ftsi_outside *outside)
{
	pthread_mutex_lock(&outside->lock);
	outside->stopping = true;
	pthread_cond_signal(&outside->asked);
	pthread_mutex_unlock(&outside->lock);
	if (outside->running) pthread_join(outside->thread, NULL);
	outside->running = false;
	for (size_t i = 0; i < outside->channel_count; i++)
		fts_channel_close(outside->channels[i]);
	fts_channel_close(outside->channel);
}
