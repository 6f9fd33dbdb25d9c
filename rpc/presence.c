/* Why this file exists: see rpc/presence.h. */
#include "rpc/presence.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>

#include "base/clock.h"
#include "base/progress.h"
#include "rpc/channel_facts.h"
#include "rpc/endpoint.h"
#include "rpc/pulse.h"
#include "rpc/statistics.h"

#define ANNOUNCE_MS 2000
#define SAY_MS 1000 /* of one that is not asked, and says how it is */
#define SAID_MAX_BYTES 512
#define FIRST_RETRY_MS 500
#define GOODBYE_MS 500
#define NAME_BYTES 144

struct fts_presence {
	char name[NAME_BYTES];
	char address[FTSI_ENDPOINT_TEXT_BYTES];
	enum fts_presence_kind kind;
	struct fts_channel *channel;
	struct fts_server *server;
	size_t (*reasons)(void *ctx, char (*out_texts)[FTS_PRESENCE_REASON_BYTES]);
	void *ctx;
	struct fts_respondent *respondent; /* NULL: it is not asked; it says by itself how it is */
	struct fts_pulse *pulse;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* guarded by lock */
	pthread_t thread;
	bool running;
};

/* ---- What it answers ---- */

/* A report with the memory its parts lie in. */
struct report {
	Fts__Health__V1__Report message;
	Fts__Health__V1__Strand strands[FTS_STRAND_MAX], *strand_list[FTS_STRAND_MAX];
	char *reasons[FTS_PRESENCE_REASONS_MAX];
	char texts[FTS_PRESENCE_REASONS_MAX][FTS_PRESENCE_REASON_BYTES];
};

static void add_strands(struct report *report)
{
	struct fts_strand_status strands[FTS_STRAND_MAX];
	size_t count = fts_strand_list(strands);
	for (size_t i = 0; i < count; i++) {
		Fts__Health__V1__Strand *strand = &report->strands[i];
		fts__health__v1__strand__init(strand);
		strand->name = (char *)(uintptr_t)strands[i].name;
		strand->moved = strands[i].moved;
		strand->waiting = strands[i].waiting;
		strand->oldest_ms = strands[i].oldest_ms;
		strand->longest_ms = strands[i].longest_ms;
		report->message.progress += strands[i].moved;
		report->strand_list[i] = strand;
	}
	report->message.strands = report->strand_list;
	report->message.n_strands = count;
}

static void add_server(struct report *report, struct fts_server *server)
{
	struct fts_server_work work;
	fts_server_work(server, &work);
	report->message.progress += work.answered_count;
	report->message.queue = work.open_count;
	report->message.oldest_call_ms = work.oldest_ms;
	if (work.overrun == NULL) return;
	report->message.overrun_method = (char *)(uintptr_t)work.overrun->full_name;
	report->message.overrun_ms = work.overrun_ms;
}

/* All but the strands. */
static void look(struct fts_presence *presence, struct report *report)
{
	Fts__Health__V1__Report *message = &report->message;
	fts__health__v1__report__init(message);
	message->name = presence->name;
	message->kind = (Fts__Health__V1__Kind)presence->kind;
	message->pid = (uint64_t)getpid();
	message->reasons = report->reasons;
	if (presence->reasons != NULL) message->n_reasons = presence->reasons(presence->ctx, report->texts);
	for (size_t i = 0; i < message->n_reasons; i++)
		report->reasons[i] = report->texts[i];
	if (presence->server != NULL) add_server(report, presence->server);
	message->state = message->n_reasons > 0 || message->overrun_ms > 0 ? FTS__HEALTH__V1__STATE__DEGRADED
									   : FTS__HEALTH__V1__STATE__READY;
}

static size_t respond(void *ctx, struct fts_bytes question, uint8_t *out)
{
	struct fts_presence *presence = ctx;
	struct report report;
	Fts__Health__V1__Report *message = &report.message;
	Fts__Health__V1__Question *asked = fts__health__v1__question__unpack(NULL, question.size_bytes, question.data);
	if (asked == NULL) return 0;
	look(presence, &report);
	message->question_id = asked->id;
	fts__health__v1__question__free_unpacked(asked, NULL);
	add_strands(&report);
	if (fts__health__v1__report__get_packed_size(message) > FTS_SURVEY_ANSWER_MAX_BYTES) return 0;
	return fts__health__v1__report__pack(message, out);
}

/* What it says when it is not asked: reasons are left out, the last ones first, until it is short enough. */
static size_t say(struct fts_presence *presence, uint8_t *out)
{
	struct report report;
	look(presence, &report);
	while (report.message.n_reasons > 0 &&
	       fts__health__v1__report__get_packed_size(&report.message) > SAID_MAX_BYTES)
		report.message.n_reasons--;
	if (fts__health__v1__report__get_packed_size(&report.message) > SAID_MAX_BYTES) return 0;
	return fts__health__v1__report__pack(&report.message, out);
}

/* ---- Where it answers ---- */

/* The address of this machine from which endpoint is reached. A datagram socket that is connected sends nothing. */
static bool own_address(const struct ftsi_endpoint *endpoint, char *out, size_t size_bytes)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found = NULL;
	struct sockaddr_storage own;
	socklen_t own_size = sizeof(own);
	char port[8];
	snprintf(port, sizeof(port), "%u", endpoint->port);
	if (getaddrinfo(endpoint->host, port, &hints, &found) != 0) return false;
	int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known =
	    fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
	    getnameinfo((struct sockaddr *)&own, own_size, out, (socklen_t)size_bytes, NULL, 0, NI_NUMERICHOST) == 0;
	if (fd >= 0) close(fd);
	freeaddrinfo(found);
	return known;
}

/* "HOST:PORT" to listen on, port 0: any. */
static enum fts_status choose_address(const struct fts_presence_options *options, char *out, size_t size_bytes,
				      struct fts_error *out_error)
{
	char host[FTSI_ENDPOINT_TEXT_BYTES - 8] = "";
	if (options->listen != NULL) {
		snprintf(out, size_bytes, "%s", options->listen);
		return FTS_OK;
	}
	struct ftsi_endpoint_list *list = calloc(1, sizeof(*list));
	if (list == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = ftsi_endpoint_list_parse(options->endpoints, list, out_error);
	if (status == FTS_OK && !own_address(&list->items[0], host, sizeof(host)))
		status =
		    fts_error_set(out_error, FTS_UNAVAILABLE, "%s can't be reached from here", list->items[0].text);
	free(list);
	snprintf(out, size_bytes, strchr(host, ':') != NULL ? "[%s]:0" : "%s:0", host);
	return status;
}

/* The address with the port that was found for it. */
static void settle_address(struct fts_presence *presence)
{
	char *colon = strrchr(presence->address, ':');
	size_t used = (size_t)(colon - presence->address);
	snprintf(colon, sizeof(presence->address) - used, ":%u", fts_respondent_port(presence->respondent));
}

/* ---- Announcing ---- */

static enum fts_status announce(struct fts_presence *presence, bool left, uint32_t timeout_ms)
{
	Fts__Health__V1__AnnounceRequest request = FTS__HEALTH__V1__ANNOUNCE_REQUEST__INIT;
	Fts__Health__V1__Announced who = FTS__HEALTH__V1__ANNOUNCED__INIT;
	Fts__Health__V1__AnnounceResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = timeout_ms};
	struct fts_error error;
	uint8_t said[SAID_MAX_BYTES];
	if (presence->respondent == NULL) {
		who.report.len = say(presence, said);
		who.report.data = said;
	}
	who.name = presence->name;
	who.address = presence->address;
	who.kind = (Fts__Health__V1__Kind)presence->kind;
	who.left = left;
	request.who = &who;
	enum fts_status status = fts_health_announce(presence->channel, &request, &options, &response, &error);
	if (status == FTS_OK) fts__health__v1__announce_response__free_unpacked(response, NULL);
	return status;
}

/* True: it is time to end. */
static bool wait_for_next(struct fts_presence *presence, uint32_t wait_ms)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), wait_ms);
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	int error = 0;
	pthread_mutex_lock(&presence->lock);
	while (!presence->stopping && error == 0)
		error = pthread_cond_timedwait(&presence->wake, &presence->lock, &until);
	bool stopping = presence->stopping;
	pthread_mutex_unlock(&presence->lock);
	return stopping;
}

static void *run(void *arg)
{
	struct fts_presence *presence = arg;
	enum fts_status status;
	uint32_t every_ms = presence->respondent != NULL ? ANNOUNCE_MS : SAY_MS;
	do
		status = announce(presence, false, ANNOUNCE_MS);
	while (!wait_for_next(presence, status == FTS_UNAVAILABLE ? FIRST_RETRY_MS : every_ms));
	if (status == FTS_OK) (void)announce(presence, true, GOODBYE_MS);
	return NULL;
}

/* ---- Life ---- */

static void init_sync(struct fts_presence *presence)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&presence->lock, NULL);
	pthread_cond_init(&presence->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Can surveys reach it? Not when the nodes speak TLS and it has no certificate that names its address: a client's names
 * none, and one that listens in the clear has none at all. It says by itself how it is then, over its own connection.
 */
static bool can_be_asked(const struct fts_presence_options *options)
{
	bool has_tls = options->tls.ca_file != NULL;
	if (options->channel != NULL && ftsi_channel_has_tls(options->channel) != has_tls) return false;
	return !has_tls || options->listen != NULL;
}

static enum fts_status listen_for_surveys(struct fts_presence *presence, const struct fts_presence_options *options,
					  struct fts_error *out_error)
{
	enum fts_status status = choose_address(options, presence->address, sizeof(presence->address), out_error);
	const struct fts_respondent_options respondent = {
	    .listen = presence->address, .tls = options->tls, .respond = respond, .ctx = presence};
	if (status == FTS_OK) status = fts_respondent_create(&respondent, &presence->respondent, out_error);
	if (status == FTS_OK) settle_address(presence);
	return status;
}

static enum fts_status start(struct fts_presence *presence, const struct fts_presence_options *options,
			     struct fts_error *out_error)
{
	const char *pulse = getenv(FTS_PULSE_VARIABLE);
	enum fts_status status = FTS_OK;
	if (strlen(options->name) >= sizeof(presence->name) || options->name[0] == '\0')
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a presence's name has 1 to %d bytes",
				     NAME_BYTES - 1);
	snprintf(presence->name, sizeof(presence->name), "%s", options->name);
	if (pulse != NULL && pulse[0] != '\0') {
		status = fts_pulse_create(pulse, respond, presence, &presence->pulse, out_error);
		unsetenv(FTS_PULSE_VARIABLE); /* it is this process's, not that of programs it starts */
	}
	if (status == FTS_OK && can_be_asked(options)) status = listen_for_surveys(presence, options, out_error);
	if (status != FTS_OK || presence->channel == NULL) return status;
	presence->running = pthread_create(&presence->thread, NULL, run, presence) == 0;
	if (!presence->running) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for a presence");
	pthread_setname_np(presence->thread, "fts-presence");
	return FTS_OK;
}

enum fts_status fts_presence_create(const struct fts_presence_options *options, struct fts_presence **out_presence,
				    struct fts_error *out_error)
{
	struct fts_presence *presence = calloc(1, sizeof(*presence));
	if (presence == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	presence->kind = options->kind;
	presence->channel = options->channel;
	presence->server = options->server;
	presence->reasons = options->reasons;
	presence->ctx = options->ctx;
	init_sync(presence);
	enum fts_status status = start(presence, options, out_error);
	if (status == FTS_OK)
		*out_presence = presence;
	else
		fts_presence_destroy(presence);
	return status;
}

void fts_presence_destroy(struct fts_presence *presence)
{
	if (presence == NULL) return;
	pthread_mutex_lock(&presence->lock);
	presence->stopping = true;
	pthread_cond_signal(&presence->wake);
	pthread_mutex_unlock(&presence->lock);
	if (presence->running) pthread_join(presence->thread, NULL);
	fts_pulse_destroy(presence->pulse);
	fts_respondent_destroy(presence->respondent);
	pthread_cond_destroy(&presence->wake);
	pthread_mutex_destroy(&presence->lock);
	free(presence);
}
