/* Why this file exists: see watchdog/outside.h: what is shared with the supervisor, and the service. The question to
 * the cluster is in outside_quorum.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fts/rpc/v1/events.fts.h>
#include <fts/watchdog/v1/watchdog.fts.h>

#include "base/clock.h"
#include "rpc/endpoint.h"
#include "watchdog/outside_internal.h"

#define NS_PER_MS 1000000u
#define REPLAY_MAX 256
#define EVENT_QUEUE_BYTES (256u * 1024)
#define TOPIC "watchdog.action"

void ftsi_outside_wake(struct ftsi_outside *outside)
{
	uint64_t one = 1;
	ssize_t ignored = write(outside->wake_fd, &one, sizeof(one));
	(void)ignored; /* EAGAIN: it is awake */
}

/* ---- Status ---- */

static void fill_process(Fts__Watchdog__V1__Process *out, struct ftsi_outside_process *process, uint64_t now_ns)
{
	fts__watchdog__v1__process__init(out);
	out->name = process->name;
	out->pid = (uint64_t)process->pid;
	out->state = (Fts__Watchdog__V1__ProcessState)process->state;
	out->restarts = process->restarts;
	out->last_reason = process->last_reason;
	out->detail = process->detail;
	out->capture = process->capture;
	out->held = process->held;
	if (process->started_ns != 0 && process->started_ns < now_ns)
		out->uptime_ms = (now_ns - process->started_ns) / NS_PER_MS;
	if (process->due_ns > now_ns) out->next_start_ms = (process->due_ns - now_ns) / NS_PER_MS;
}

static void status(struct fts_call *call, const Fts__Watchdog__V1__StatusRequest *request, void *ctx)
{
	struct ftsi_outside *outside = ctx;
	Fts__Watchdog__V1__StatusResponse response = FTS__WATCHDOG__V1__STATUS_RESPONSE__INIT;
	size_t room = sizeof(outside->processes) + FTSI_WATCH_PROCESS_MAX * (sizeof(Fts__Watchdog__V1__Process) + 16);
	(void)request;
	/* a copy of all, in the call's own memory */
	struct ftsi_outside_process *copy = fts_call_alloc(call, room);
	if (copy == NULL) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for a status");
		return;
	}
	Fts__Watchdog__V1__Process **list = (Fts__Watchdog__V1__Process **)(void *)(copy + FTSI_WATCH_PROCESS_MAX);
	Fts__Watchdog__V1__Process *processes = (Fts__Watchdog__V1__Process *)(void *)(list + FTSI_WATCH_PROCESS_MAX);
	pthread_mutex_lock(&outside->lock);
	size_t count = outside->process_count;
	memcpy(copy, outside->processes, count * sizeof(*copy));
	response.index = outside->action_index;
	pthread_mutex_unlock(&outside->lock);
	for (size_t i = 0; i < count; i++) {
		fill_process(&processes[i], &copy[i], fts_clock_monotonic_ns());
		list[i] = &processes[i];
	}
	response.name = (char *)(uintptr_t)outside->config->name;
	response.pid = (uint64_t)getpid();
	response.processes = list;
	response.n_processes = count;
	fts_watchdog_status_reply(call, &response);
}

void ftsi_outside_show(struct ftsi_outside *outside, const struct ftsi_outside_process *processes, size_t count)
{
	if (outside == NULL) return;
	pthread_mutex_lock(&outside->lock);
	memcpy(outside->processes, processes, count * sizeof(*processes));
	outside->process_count = count;
	pthread_mutex_unlock(&outside->lock);
}

/* ---- Control ---- */

static bool is_known(const struct ftsi_outside *outside, const char *name)
{
	for (size_t i = 0; i < outside->config->process_count; i++)
		if (strcmp(outside->config->processes[i].name, name) == 0) return true;
	return false;
}

/* Without a token of its own it trusts whoever reaches it: this machine, or who has a certificate. Each byte is looked
 * at, so that time tells nothing. */
static bool may_control(const struct ftsi_outside *outside, struct fts_bytes shown)
{
	unsigned differs = shown.size_bytes != outside->token_size;
	for (size_t i = 0; i < outside->token_size && i < shown.size_bytes; i++)
		differs |= shown.data[i] ^ outside->token[i];
	return outside->token_size == 0 || differs == 0;
}

static void control(struct fts_call *call, const Fts__Watchdog__V1__ControlRequest *request, void *ctx)
{
	static const Fts__Watchdog__V1__ControlResponse response = FTS__WATCHDOG__V1__CONTROL_RESPONSE__INIT;
	struct ftsi_outside *outside = ctx;
	if (!may_control(outside, fts_call_token(call))) {
		fts_call_fail(call, FTS_PERMISSION_DENIED, "show the watchdog's own token: --token-file");
		return;
	}
	if (!is_known(outside, request->name)) {
		fts_call_fail(call, FTS_NOT_FOUND, "no process \"%.60s\" here", request->name);
		return;
	}
	if ((int)request->command < FTSI_VERB_START || (int)request->command > FTSI_VERB_RESTART) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "command: expected START, STOP or RESTART");
		return;
	}
	pthread_mutex_lock(&outside->lock);
	bool room = outside->command_count < COMMAND_MAX;
	if (room) {
		struct ftsi_outside_command *command = &outside->commands[outside->command_count++];
		snprintf(command->process, sizeof(command->process), "%s", request->name);
		command->verb = (enum ftsi_outside_verb)request->command;
	}
	pthread_mutex_unlock(&outside->lock);
	if (!room) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "too many commands wait: try again");
		return;
	}
	ftsi_outside_wake(outside);
	fts_watchdog_control_reply(call, &response);
}

bool ftsi_outside_take(struct ftsi_outside *outside, struct ftsi_outside_command *out_command)
{
	if (outside == NULL) return false;
	pthread_mutex_lock(&outside->lock);
	bool taken = outside->command_count > 0;
	if (taken) {
		*out_command = outside->commands[0];
		outside->command_count--;
		memmove(&outside->commands[0], &outside->commands[1],
			outside->command_count * sizeof(outside->commands[0]));
	}
	pthread_mutex_unlock(&outside->lock);
	return taken;
}

/* ---- Actions ---- */

uint64_t ftsi_outside_tell(struct ftsi_outside *outside, const struct ftsi_outside_action *action)
{
	Fts__Watchdog__V1__Action message = FTS__WATCHDOG__V1__ACTION__INIT;
	if (outside == NULL) return 0;
	message.watchdog = (char *)(uintptr_t)outside->config->name;
	message.process = (char *)(uintptr_t)action->process;
	message.action = (char *)(uintptr_t)action->action;
	message.reason = (char *)(uintptr_t)action->reason;
	message.detail = (char *)(uintptr_t)action->detail;
	message.pid = (uint64_t)action->pid;
	message.time_ms = fts_clock_wall_ms();
	pthread_mutex_lock(&outside->lock);
	uint64_t index = ++outside->action_index;
	struct kept_action *kept = &outside->kept[index % FTSI_OUTSIDE_KEPT];
	kept->index = 0;
	if (fts__watchdog__v1__action__get_packed_size(&message) <= sizeof(kept->bytes)) {
		kept->index = index;
		kept->size_bytes = fts__watchdog__v1__action__pack(&message, kept->bytes);
		/* what does not fit its queue shows as a gap, which Replay fills */
		(void)fts_publisher_publish(outside->publisher, index, 0, TOPIC,
					    (struct fts_bytes){kept->bytes, kept->size_bytes});
	}
	pthread_mutex_unlock(&outside->lock);
	return index;
}

/* Copy the actions from request->from_index on into the call's memory. */
static void collect(struct ftsi_outside *outside, struct fts_call *call, const Fts__Rpc__V1__ReplayRequest *request,
		    Fts__Rpc__V1__ReplayResponse *response)
{
	uint64_t last = outside->action_index;
	uint64_t oldest = last > FTSI_OUTSIDE_KEPT ? last - FTSI_OUTSIDE_KEPT + 1 : 1;
	uint64_t index = request->from_index > oldest ? request->from_index : oldest;
	size_t limit = request->limit > 0 && request->limit < REPLAY_MAX ? request->limit : REPLAY_MAX;
	bool wanted = strncmp(TOPIC, request->topic, strlen(request->topic)) == 0;
	for (; wanted && index <= last && response->n_events < limit; index++) {
		const struct kept_action *kept = &outside->kept[index % FTSI_OUTSIDE_KEPT];
		if (kept->index != index) continue; /* of an earlier life of this watchdog */
		Fts__Rpc__V1__Event *event = fts_call_alloc(call, sizeof(*event));
		uint8_t *bytes = fts_call_alloc(call, kept->size_bytes);
		if (event == NULL || bytes == NULL) break;
		memcpy(bytes, kept->bytes, kept->size_bytes);
		fts__rpc__v1__event__init(event);
		event->index = index;
		event->topic = (char *)(uintptr_t)TOPIC;
		event->payload = (ProtobufCBinaryData){kept->size_bytes, bytes};
		response->events[response->n_events++] = event;
	}
	response->next_index = wanted ? index : last + 1;
	response->oldest_index = outside->oldest_index > oldest ? outside->oldest_index : oldest;
	response->end = response->next_index > last;
}

static void replay(struct fts_call *call, const Fts__Rpc__V1__ReplayRequest *request, void *ctx)
{
	struct ftsi_outside *outside = ctx;
	Fts__Rpc__V1__ReplayResponse response = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	response.events = fts_call_alloc(call, REPLAY_MAX * sizeof(Fts__Rpc__V1__Event *));
	if (response.events == NULL) {
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for events");
		return;
	}
	pthread_mutex_lock(&outside->lock);
	if (request->from_index > 0) {
		collect(outside, call, request, &response);
	} else {
		response.next_index = outside->action_index + 1;
		response.end = true;
	}
	pthread_mutex_unlock(&outside->lock);
	fts_events_replay_reply(call, &response);
}

/* ---- What surveys are told ---- */

static size_t reasons(void *ctx, char (*out_texts)[FTS_PRESENCE_REASON_BYTES])
{
	struct ftsi_outside *outside = ctx;
	size_t count = 0;
	pthread_mutex_lock(&outside->lock);
	for (size_t i = 0; i < outside->process_count && count < FTS_PRESENCE_REASONS_MAX; i++) {
		const struct ftsi_outside_process *process = &outside->processes[i];
		if (process->state == FTS__WATCHDOG__V1__PROCESS_STATE__QUARANTINED)
			snprintf(out_texts[count++], FTS_PRESENCE_REASON_BYTES,
				 "%.60s is quarantined: it ended too often", process->name);
		else if (process->held[0] != '\0')
			snprintf(out_texts[count++], FTS_PRESENCE_REASON_BYTES, "%.60s is stuck: %.80s", process->name,
				 process->held);
	}
	pthread_mutex_unlock(&outside->lock);
	return count;
}

/* ---- Life ---- */

static enum fts_status offset_address(const char *listen, unsigned offset, char *out, size_t size_bytes,
				      struct fts_error *out_error)
{
	struct ftsi_endpoint at;
	enum fts_status found = ftsi_endpoint_parse(listen, strlen(listen), &at, out_error);
	if (found != FTS_OK) return found;
	if (at.port > UINT16_MAX - offset)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "listen: %s: the two ports above it are needed too", listen);
	snprintf(out, size_bytes, at.ipv6 ? "[%s]:%u" : "%s:%u", at.host, at.port + offset);
	return FTS_OK;
}

static enum fts_status start_server(struct ftsi_outside *outside, struct fts_error *out_error)
{
	static const struct fts_watchdog_handlers handlers = {.status = status, .control = control};
	static const struct fts_events_handlers events = {.replay = replay};
	char address[FTSI_ENDPOINT_TEXT_BYTES];
	struct fts_server_options options = {
	    .listen = outside->config->listen, .node = outside->config->name, .tls = outside->tls, .worker_count = 1};
	struct fts_publisher_options publisher = {
	    .listen = address, .tls = outside->tls, .queue_max_bytes = EVENT_QUEUE_BYTES};
	enum fts_status started = offset_address(outside->config->listen, 1, address, sizeof(address), out_error);
	if (started == FTS_OK) started = fts_publisher_create(&publisher, &outside->publisher, out_error);
	if (started == FTS_OK) started = fts_server_create(&options, &outside->server, out_error);
	if (started == FTS_OK) started = fts_watchdog_register(outside->server, &handlers, outside, out_error);
	if (started == FTS_OK) started = fts_events_register(outside->server, &events, outside, out_error);
	return started == FTS_OK ? fts_server_start(outside->server, out_error) : started;
}

static enum fts_status start_presence(struct ftsi_outside *outside, struct fts_error *out_error)
{
	char address[FTSI_ENDPOINT_TEXT_BYTES];
	struct fts_presence_options options = {.name = outside->config->name,
					       .kind = FTS_PRESENCE_WATCHDOG,
					       .listen = address,
					       .tls = outside->tls,
					       .channel = outside->channel,
					       .reasons = reasons,
					       .ctx = outside};
	enum fts_status started = offset_address(outside->config->listen, 2, address, sizeof(address), out_error);
	return started == FTS_OK ? fts_presence_create(&options, &outside->presence, out_error) : started;
}

static const char *path_or_null(const char *path)
{
	return path[0] != '\0' ? path : NULL;
}

enum fts_status ftsi_outside_start(const struct ftsi_watch_config *config, int wake_fd, uint64_t action_index,
				   struct ftsi_outside **out_outside, struct fts_error *out_error)
{
	struct ftsi_outside *outside = calloc(1, sizeof(*outside));
	enum fts_status started = FTS_OK;
	if (outside == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	outside->config = config;
	outside->wake_fd = wake_fd;
	outside->action_index = action_index;
	outside->oldest_index = action_index + 1;
	outside->tls = (struct fts_tls){.ca_file = path_or_null(config->tls_ca),
					.cert_file = path_or_null(config->tls_cert),
					.key_file = path_or_null(config->tls_key)};
	pthread_mutex_init(&outside->lock, NULL);
	pthread_cond_init(&outside->asked, NULL);
	if ((started = ftsi_outside_token_read(outside, out_error)) != FTS_OK ||
	    (started = start_server(outside, out_error)) != FTS_OK ||
	    (started = ftsi_outside_quorum_start(outside, out_error)) != FTS_OK ||
	    (started = start_presence(outside, out_error)) != FTS_OK)
		ftsi_outside_stop(outside);
	else
		*out_outside = outside;
	return started;
}

void ftsi_outside_stop(struct ftsi_outside *outside)
{
	if (outside == NULL) return;
	fts_presence_destroy(outside->presence);
	ftsi_outside_quorum_stop(outside);
	fts_server_destroy(outside->server);
	fts_publisher_destroy(outside->publisher);
	pthread_cond_destroy(&outside->asked);
	pthread_mutex_destroy(&outside->lock);
	free(outside);
}
