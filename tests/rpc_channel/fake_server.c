/* Why this file exists: see fake_server.h. */
#include "fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "fts/cluster/v1/cluster.fts.h"
#include "fts/rpc/v1/events.pb-c.h"

#define CONNECTION_MAX 256
#define REQUEST_KEPT_MAX 20000
#define IN_BYTES (FTS_MESSAGE_MAX + 4096)
#define SILENT_MAX 2048
#define MEMBER_MAX 8

struct connection {
	int fd;
	bool greeted;
	size_t used_bytes;
	uint8_t *in; /* IN_BYTES */
};

struct silent {
	int fd;
	uint32_t request_id;
	uint64_t from_index;
};

struct fake {
	struct fake_options options;
	int listener;
	int stop_event;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t came;
	size_t request_count;
	size_t accepted_count;
	struct fake_request *requests; /* REQUEST_KEPT_MAX */
	size_t question_count;
	size_t open_count;
	bool has_step, has_settle, has_leader, is_paused, is_stopped;
	struct fake_step step, settle;
	uint64_t leader_term;
	char leader_name[64], leader_address[64];
	const char *const *members;
	/* The thread's own. */
	struct connection connections[CONNECTION_MAX];
	size_t connection_count;
	struct silent silent[SILENT_MAX];
	size_t silent_count;
};

static bool write_all(int fd, const void *data, size_t size_bytes)
{
	const uint8_t *at = data;
	while (size_bytes > 0) {
		ssize_t sent = send(fd, at, size_bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) continue;
		if (sent <= 0) return false;
		at += sent;
		size_bytes -= (size_t)sent;
	}
	return true;
}

static void send_frame(int fd, uint32_t request_id, const void *header, size_t header_bytes, const void *payload,
		       size_t payload_bytes)
{
	uint8_t front[FTSI_LENGTH_BYTES + 4];
	ftsi_put_be64(front, 4 + header_bytes + payload_bytes);
	ftsi_put_be32(front + FTSI_LENGTH_BYTES, request_id);
	if (write_all(fd, front, sizeof front) && write_all(fd, header, header_bytes))
		(void)!write_all(fd, payload, payload_bytes);
}

static void send_reply(int fd, uint32_t request_id, const struct ftsi_reply_fields *fields, const void *payload,
		       size_t payload_bytes)
{
	struct ftsi_reply_writer writer;
	memset(&writer, 0, sizeof writer);
	uint8_t header[FTSI_HEADER_MAX_BYTES];
	size_t header_bytes = ftsi_reply_header_write(&writer, fields, header);
	FTS_ASSERT(header_bytes > 0);
	send_frame(fd, request_id, header, header_bytes, payload, payload_bytes);
}

static void send_echo(const struct fake *fake, int fd, uint32_t request_id, uint64_t from_index)
{
	Fts__Rpc__V1__ReplayResponse echo = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	struct ftsi_reply_fields fields = {.status = FTS_OK,
					   .executed = FTS_EXECUTED_YES,
					   .node = fake->options.node,
					   .term = 3,
					   .index = 812,
					   .server_us = 7};
	uint8_t payload[64];
	echo.next_index = from_index + 1;
	send_reply(fd, request_id, &fields, payload, fts__rpc__v1__replay_response__pack(&echo, payload));
}

/* An OK whose payload is size_bytes of repeated pattern. */
static void send_pattern(int fd, uint32_t request_id, const char *pattern, size_t pattern_bytes, size_t size_bytes)
{
	uint8_t *payload = malloc(size_bytes);
	for (size_t i = 0; i < size_bytes; i++)
		payload[i] = (uint8_t)pattern[i % pattern_bytes];
	struct ftsi_reply_fields fields = {.status = FTS_OK, .executed = FTS_EXECUTED_YES, .node = "fake"};
	send_reply(fd, request_id, &fields, payload, size_bytes);
	free(payload);
}

static void send_large(int fd, uint32_t request_id, uint64_t from_index)
{
	Fts__Rpc__V1__Event event = FTS__RPC__V1__EVENT__INIT;
	Fts__Rpc__V1__Event *events[] = {&event};
	Fts__Rpc__V1__ReplayResponse echo = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	struct ftsi_reply_fields fields = {.status = FTS_OK, .executed = FTS_EXECUTED_YES};
	size_t text_bytes = 1024 * 1024;
	char *text = malloc(text_bytes + 1);
	memset(text, 'x', text_bytes);
	text[text_bytes] = '\0';
	event.topic = text;
	echo.events = events;
	echo.n_events = 1;
	echo.next_index = from_index + 1;
	uint8_t *payload = malloc(text_bytes + 64);
	send_reply(fd, request_id, &fields, payload, fts__rpc__v1__replay_response__pack(&echo, payload));
	free(payload);
	free(text);
}

static void answer_late(struct fake *fake, int fd, uint32_t request_id, uint64_t from_index)
{
	for (size_t i = 0; i < fake->silent_count; i++)
		send_echo(fake, fake->silent[i].fd, fake->silent[i].request_id, 666);
	fake->silent_count = 0;
	for (uint32_t i = 0; i < 50; i++)
		send_echo(fake, fd, FTSI_REQUEST_ID_BIT | i * 0x10001u, 667);
	send_echo(fake, fd, request_id, from_index);
}

/* Do what the script says; false: close the connection. */
static bool act(struct fake *fake, int fd, const struct fake_step *step, uint32_t request_id, uint64_t from_index)
{
	static const uint8_t junk[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	switch (step->act) {
	case FAKE_ANSWER: {
		struct ftsi_reply_fields fields = {.status = step->status,
						   .executed = step->executed,
						   .retry_after_ms = step->retry_after_ms,
						   .node = fake->options.node,
						   .leader = step->leader,
						   .index = step->index,
						   .detail = "as the script says"};
		if (step->status == FTS_OK)
			send_echo(fake, fd, request_id, from_index);
		else
			send_reply(fd, request_id, &fields, "", 0);
		return true;
	}
	case FAKE_SILENT:
		if (fake->silent_count < SILENT_MAX)
			fake->silent[fake->silent_count++] = (struct silent){fd, request_id, from_index};
		return true;
	case FAKE_BREAK:
		return false;
	case FAKE_BAD_HEADER:
		send_frame(fd, request_id, "\x03\xff\xff\xff", 4, "", 0);
		return true;
	case FAKE_BAD_PAYLOAD: {
		struct ftsi_reply_fields fields = {.status = FTS_OK, .executed = FTS_EXECUTED_YES};
		send_reply(fd, request_id, &fields, "\xff\xff\xff\xff", 4);
		return true;
	}
	case FAKE_GARBAGE:
		send_frame(fd, 7, junk, sizeof junk, "", 0);
		return true;
	case FAKE_OVERSIZE:
		send_pattern(fd, request_id, "x", 1, 5 * 1024 * 1024);
		return true;
	case FAKE_BOMB:
		send_pattern(fd, request_id, "\x0a\x00", 2, 3 * 1024 * 1024);
		return true;
	case FAKE_LARGE:
		send_large(fd, request_id, from_index);
		return true;
	case FAKE_LATE:
		answer_late(fake, fd, request_id, from_index);
		return true;
	}
	return false;
}

static size_t keep(struct fake *fake, const fts_rpc_v1_CallHeader *header, uint64_t from_index)
{
	pthread_mutex_lock(&fake->mutex);
	size_t at = fake->request_count++;
	if (at < REQUEST_KEPT_MAX) {
		struct fake_request *kept = &fake->requests[at];
		*kept = (struct fake_request){.method_id = header->method,
					      .timeout_ms = header->timeout_ms,
					      .client_id = header->client_id,
					      .sequence = header->sequence,
					      .lowest_unanswered = header->lowest_unanswered,
					      .fence = header->fence,
					      .trace_id = header->trace_id,
					      .stale = header->stale,
					      .from_index = from_index};
		memcpy(kept->token, header->token.bytes, header->token.size);
	}
	pthread_cond_broadcast(&fake->came);
	pthread_mutex_unlock(&fake->mutex);
	return at;
}

static void answer_question(struct fake *fake, int fd, uint32_t request_id)
{
	Fts__Cluster__V1__LeaderResponse leader = FTS__CLUSTER__V1__LEADER_RESPONSE__INIT;
	struct ftsi_reply_fields fields = {.status = FTS_UNIMPLEMENTED, .node = fake->options.node};
	uint8_t payload[256];
	pthread_mutex_lock(&fake->mutex);
	fake->question_count++;
	leader.term = fake->leader_term;
	leader.name = fake->leader_name;
	leader.address = fake->leader_address;
	if (fake->has_leader) fields.status = FTS_OK;
	size_t size_bytes = fts__cluster__v1__leader_response__pack(&leader, payload);
	pthread_mutex_unlock(&fake->mutex);
	send_reply(fd, request_id, &fields, payload, fields.status == FTS_OK ? size_bytes : 0);
}

static void answer_members(struct fake *fake, int fd, uint32_t request_id)
{
	Fts__Cluster__V1__StatusResponse response = FTS__CLUSTER__V1__STATUS_RESPONSE__INIT;
	Fts__Cluster__V1__NodeStatus members[MEMBER_MAX], *nodes[MEMBER_MAX];
	struct ftsi_reply_fields fields = {.status = FTS_UNIMPLEMENTED, .node = fake->options.node};
	uint8_t payload[1024];
	pthread_mutex_lock(&fake->mutex);
	fake->question_count++;
	if (fake->members != NULL) fields.status = FTS_OK;
	for (size_t i = 0; fake->members != NULL && i < MEMBER_MAX && fake->members[i] != NULL; i++) {
		nodes[i] = &members[i];
		fts__cluster__v1__node_status__init(nodes[i]);
		nodes[i]->address = (char *)(uintptr_t)fake->members[i];
		nodes[i]->role = FTS__CLUSTER__V1__ROLE__FOLLOWER;
		response.n_nodes = i + 1;
	}
	pthread_mutex_unlock(&fake->mutex);
	response.nodes = nodes;
	size_t size_bytes = fts__cluster__v1__status_response__pack(&response, payload);
	send_reply(fd, request_id, &fields, payload, fields.status == FTS_OK ? size_bytes : 0);
}

static struct fake_step step_at(struct fake *fake, size_t at)
{
	struct fake_step step = {.act = FAKE_ANSWER, .status = FTS_OK};
	pthread_mutex_lock(&fake->mutex);
	if (fake->has_step)
		step = fake->step;
	else if (at < fake->options.step_count)
		step = fake->options.steps[at];
	else if (fake->options.repeat && fake->options.step_count > 0)
		step = fake->options.steps[fake->options.step_count - 1];
	pthread_mutex_unlock(&fake->mutex);
	return step;
}

static bool serve(struct fake *fake, int fd, struct fts_bytes message)
{
	struct ftsi_frame frame;
	struct ftsi_call_reader reader;
	memset(&reader, 0, sizeof reader);
	FTS_ASSERT(ftsi_frame_split(message, &frame) == FTS_OK);
	const fts_rpc_v1_CallHeader *header = ftsi_call_header_read(&reader, frame.header);
	FTS_ASSERT(header != NULL);
	if (header->method == fts_cluster_leader_method->id) {
		answer_question(fake, fd, frame.request_id);
		return true;
	}
	if (header->method == fts_cluster_status_method->id) {
		answer_members(fake, fd, frame.request_id);
		return true;
	}
	Fts__Rpc__V1__ReplayRequest *request =
	    fts__rpc__v1__replay_request__unpack(NULL, frame.payload.size_bytes, frame.payload.data);
	FTS_ASSERT(request != NULL);
	uint64_t from_index = request->from_index;
	fts__rpc__v1__replay_request__free_unpacked(request, NULL);
	size_t at = keep(fake, header, from_index);
	struct fake_step step = step_at(fake, at);
	return act(fake, fd, &step, frame.request_id, from_index);
}

/* Serve all whole messages of connection; false: close it. */
static bool parse(struct fake *fake, struct connection *connection)
{
	size_t at = 0;
	if (!connection->greeted) {
		if (connection->used_bytes < FTSI_HELLO_BYTES) return true;
		FTS_ASSERT(ftsi_hello_is(FTSI_ROLE_CALLER, connection->in));
		connection->greeted = true;
		at = FTSI_HELLO_BYTES;
	}
	while (connection->used_bytes - at >= FTSI_LENGTH_BYTES) {
		uint64_t size_bytes = ftsi_get_be64(connection->in + at);
		FTS_ASSERT(size_bytes <= FTS_MESSAGE_MAX);
		if (connection->used_bytes - at - FTSI_LENGTH_BYTES < size_bytes) break;
		struct fts_bytes message = {connection->in + at + FTSI_LENGTH_BYTES, (size_t)size_bytes};
		if (!serve(fake, connection->fd, message)) return false;
		at += FTSI_LENGTH_BYTES + (size_t)size_bytes;
	}
	memmove(connection->in, connection->in + at, connection->used_bytes - at);
	connection->used_bytes -= at;
	return true;
}

static bool read_more(struct fake *fake, struct connection *connection)
{
	ssize_t got =
	    recv(connection->fd, connection->in + connection->used_bytes, IN_BYTES - connection->used_bytes, 0);
	if (got < 0 && errno == EINTR) return true;
	if (got <= 0) return false;
	if (fake->options.no_hello) return true;
	connection->used_bytes += (size_t)got;
	return parse(fake, connection);
}

static void accept_one(struct fake *fake)
{
	uint8_t hello[FTSI_HELLO_BYTES];
	int fd = accept(fake->listener, NULL, NULL);
	if (fd < 0) return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	FTS_ASSERT(fake->connection_count < CONNECTION_MAX);
	pthread_mutex_lock(&fake->mutex);
	fake->accepted_count++;
	fake->open_count++;
	pthread_mutex_unlock(&fake->mutex);
	ftsi_hello_write(FTSI_ROLE_SERVER, hello);
	if (fake->options.bad_hello) memcpy(hello, "HTTP/1.1", sizeof hello);
	if (!fake->options.no_hello) (void)!write_all(fd, hello, sizeof hello);
	fake->connections[fake->connection_count++] = (struct connection){.fd = fd, .in = malloc(IN_BYTES)};
}

static void drop(struct fake *fake, size_t at)
{
	pthread_mutex_lock(&fake->mutex);
	fake->open_count--;
	pthread_mutex_unlock(&fake->mutex);
	close(fake->connections[at].fd);
	free(fake->connections[at].in);
	for (size_t i = 0; i < fake->silent_count; i++)
		if (fake->silent[i].fd == fake->connections[at].fd) fake->silent[i].fd = -1;
	fake->connections[at] = fake->connections[--fake->connection_count];
}

static _Thread_local bool is_serving_here;

bool fake_is_serving_here(void)
{
	return is_serving_here;
}

/* True: go on serving. *out_paused: but nobody now. */
static bool obey(struct fake *fake, bool *out_paused)
{
	uint64_t count;
	(void)!read(fake->stop_event, &count, sizeof count);
	pthread_mutex_lock(&fake->mutex);
	bool has_settle = fake->has_settle, is_stopped = fake->is_stopped;
	struct fake_step step = fake->settle;
	*out_paused = fake->is_paused;
	fake->has_settle = false;
	pthread_mutex_unlock(&fake->mutex);
	size_t silent_count = has_settle ? fake->silent_count : 0;
	if (has_settle) fake->silent_count = 0;
	for (size_t i = 0; i < silent_count; i++) {
		struct silent silent = fake->silent[i];
		if (silent.fd >= 0) (void)act(fake, silent.fd, &step, silent.request_id, silent.from_index);
	}
	return !is_stopped;
}

static void *run(void *arg)
{
	struct fake *fake = arg;
	bool is_paused = false;
	is_serving_here = true;
	struct pollfd polled[CONNECTION_MAX + 2];
	for (;;) {
		polled[0] = (struct pollfd){.fd = fake->stop_event, .events = POLLIN};
		polled[1] = (struct pollfd){.fd = fake->listener, .events = POLLIN};
		size_t count = fake->connection_count;
		for (size_t i = 0; i < count; i++)
			polled[i + 2] = (struct pollfd){.fd = fake->connections[i].fd, .events = POLLIN};
		if (poll(polled, is_paused ? 1 : count + 2, -1) < 0) continue;
		if (polled[0].revents != 0 && !obey(fake, &is_paused)) break;
		if (is_paused) continue;
		for (size_t i = count; i-- > 0;)
			if (polled[i + 2].revents != 0 && !read_more(fake, &fake->connections[i])) drop(fake, i);
		if (polled[1].revents != 0) accept_one(fake);
	}
	close(fake->listener);
	while (fake->connection_count > 0)
		drop(fake, 0);
	return NULL;
}

static int listen_on(uint16_t port, uint16_t *out_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t size = sizeof address;
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	FTS_ASSERT(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	FTS_ASSERT(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	*out_port = ntohs(address.sin_port);
	return fd;
}

struct fake *fake_start(const struct fake_options *options)
{
	struct fake *fake = calloc(1, sizeof *fake);
	fake->options = *options;
	if (options->node == NULL) fake->options.node = "fake";
	fake->requests = calloc(REQUEST_KEPT_MAX, sizeof *fake->requests);
	fake->listener = listen_on(options->port, &fake->port);
	FTS_ASSERT(listen(fake->listener, 128) == 0);
	fake->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&fake->mutex, NULL);
	pthread_cond_init(&fake->came, NULL);
	FTS_ASSERT(pthread_create(&fake->thread, NULL, run, fake) == 0);
	return fake;
}

static void wake(struct fake *fake)
{
	uint64_t one = 1;
	FTS_ASSERT(write(fake->stop_event, &one, sizeof one) == (ssize_t)sizeof one);
}

void fake_set_step(struct fake *fake, const struct fake_step *step)
{
	pthread_mutex_lock(&fake->mutex);
	fake->has_step = step != NULL;
	if (step != NULL) fake->step = *step;
	pthread_mutex_unlock(&fake->mutex);
}

void fake_settle(struct fake *fake, const struct fake_step *step)
{
	pthread_mutex_lock(&fake->mutex);
	fake->has_settle = true;
	fake->settle = *step;
	pthread_mutex_unlock(&fake->mutex);
	wake(fake);
}

void fake_set_leader(struct fake *fake, uint64_t term, const char *name, const char *address)
{
	pthread_mutex_lock(&fake->mutex);
	fake->has_leader = true;
	fake->leader_term = term;
	snprintf(fake->leader_name, sizeof fake->leader_name, "%s", name);
	snprintf(fake->leader_address, sizeof fake->leader_address, "%s", address);
	pthread_mutex_unlock(&fake->mutex);
}

void fake_set_members(struct fake *fake, const char *const *members)
{
	pthread_mutex_lock(&fake->mutex);
	fake->members = members;
	pthread_mutex_unlock(&fake->mutex);
}

void fake_pause(struct fake *fake, bool is_paused)
{
	pthread_mutex_lock(&fake->mutex);
	fake->is_paused = is_paused;
	pthread_mutex_unlock(&fake->mutex);
	wake(fake);
}

void fake_stop(struct fake *fake)
{
	pthread_mutex_lock(&fake->mutex);
	fake->is_stopped = true;
	pthread_mutex_unlock(&fake->mutex);
	wake(fake);
	pthread_join(fake->thread, NULL);
	close(fake->stop_event);
	pthread_mutex_destroy(&fake->mutex);
	pthread_cond_destroy(&fake->came);
	free(fake->requests);
	free(fake);
}

uint16_t fake_port(const struct fake *fake)
{
	return fake->port;
}

size_t fake_request_count(struct fake *fake)
{
	pthread_mutex_lock(&fake->mutex);
	size_t count = fake->request_count;
	pthread_mutex_unlock(&fake->mutex);
	return count;
}

void fake_keep_requests(struct fake *fake, size_t count)
{
	pthread_mutex_lock(&fake->mutex);
	if (count < fake->request_count) {
		memmove(fake->requests, fake->requests + fake->request_count - count, count * sizeof *fake->requests);
		fake->request_count = count;
	}
	pthread_mutex_unlock(&fake->mutex);
}

size_t fake_connection_count(struct fake *fake)
{
	pthread_mutex_lock(&fake->mutex);
	size_t count = fake->accepted_count;
	pthread_mutex_unlock(&fake->mutex);
	return count;
}

size_t fake_question_count(struct fake *fake)
{
	pthread_mutex_lock(&fake->mutex);
	size_t count = fake->question_count;
	pthread_mutex_unlock(&fake->mutex);
	return count;
}

size_t fake_open_count(struct fake *fake)
{
	pthread_mutex_lock(&fake->mutex);
	size_t count = fake->open_count;
	pthread_mutex_unlock(&fake->mutex);
	return count;
}

bool fake_wait_requests(struct fake *fake, size_t count)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&fake->mutex);
	while (fake->request_count < count && pthread_cond_timedwait(&fake->came, &fake->mutex, &until) != ETIMEDOUT)
		continue;
	bool is_enough = fake->request_count >= count;
	pthread_mutex_unlock(&fake->mutex);
	return is_enough;
}

struct fake_request fake_request_at(struct fake *fake, size_t at)
{
	pthread_mutex_lock(&fake->mutex);
	FTS_ASSERT(at < fake->request_count && at < REQUEST_KEPT_MAX);
	struct fake_request request = fake->requests[at];
	pthread_mutex_unlock(&fake->mutex);
	return request;
}

uint16_t fake_closed_port(void)
{
	uint16_t port;
	close(listen_on(0, &port));
	return port;
}
