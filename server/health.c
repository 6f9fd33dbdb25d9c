/* Why this file exists: see server/health.h. */
#include "server/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/health/v1/health.fts.h>

#include "base/clock.h"

#define SURVEY_WAIT_MS 500
#define SURVEY_WAIT_MS_MAX 4000 /* below the call's time limit */
#define SURVEY_NODES_MAX 64
#define ENDPOINTS_BYTES (SURVEY_NODES_MAX * (FTSI_ADDRESS_MAX + 1))
#define HEALTH_PORT_OFFSET 2
#define NS_PER_MS 1000000u

static void ping(struct fts_call *call, const Fts__Health__V1__PingRequest *request, void *ctx)
{
	Fts__Health__V1__PingResponse response = FTS__HEALTH__V1__PING_RESPONSE__INIT;
	(void)ctx;
	response.payload = request->payload;
	fts_health_ping_reply(call, &response);
}

static void check(struct fts_call *call, const Fts__Health__V1__CheckRequest *request, void *ctx)
{
	Fts__Health__V1__CheckResponse response = FTS__HEALTH__V1__CHECK_RESPONSE__INIT;
	struct ftsi_health_report report;
	struct ftsi_health *health = ctx;
	(void)request;
	atomic_fetch_add(&health->watching_count, 1);
	ftsi_health_look(health, &report);
	atomic_fetch_sub(&health->watching_count, 1);
	response.report = &report.message;
	fts_health_check_reply(call, &response);
}

/* ---- Whom to ask: all members but those that are only announced ---- */

struct nodes {
	size_t count, member_count; /* members come first */
	char names[SURVEY_NODES_MAX][FTSI_OTHERS_NAME_MAX];
	char addresses[SURVEY_NODES_MAX][FTSI_ADDRESS_MAX]; /* "": it is not asked */
	/* Where each is found among the endpoints, which have each address once: who has gone without a word may have
	 * left his to another. */
	uint32_t endpoint_indexes[SURVEY_NODES_MAX];
	uint32_t endpoint_count;
	char endpoints[ENDPOINTS_BYTES];
};

static void add_node(struct nodes *nodes, const char *name, const char *address)
{
	size_t used = strlen(nodes->endpoints), at = nodes->count++, same = 0;
	snprintf(nodes->names[at], sizeof(nodes->names[0]), "%s", name);
	snprintf(nodes->addresses[at], sizeof(nodes->addresses[0]), "%s", address);
	while (same < at && strcmp(nodes->addresses[same], address) != 0)
		same++;
	nodes->endpoint_indexes[at] = same < at ? nodes->endpoint_indexes[same] : nodes->endpoint_count++;
	if (same < at) return;
	snprintf(nodes->endpoints + used, sizeof(nodes->endpoints) - used, "%s%s", used > 0 ? "," : "", address);
}

static void list_nodes(struct ftsi_health *health, struct nodes *out_nodes)
{
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	size_t count = fts_replica_members(atomic_load(&health->replica), members);
	out_nodes->count = out_nodes->endpoint_count = 0;
	out_nodes->endpoints[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (members[i].voter || members[i].learner)
			add_node(out_nodes, members[i].name, members[i].self ? health->self : members[i].address);
	if (out_nodes->count == 0) add_node(out_nodes, health->name, health->self); /* it is no member yet */
	out_nodes->member_count = out_nodes->count;
}

static bool is_listed(const struct nodes *nodes, const char *name)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (strcmp(nodes->names[i], name) == 0) return true;
	return false;
}

/* Workers, agents and watchdogs, as far as this node knows. A surveyor counts from the port of calls. */
static void list_others(struct ftsi_health *health, struct nodes *nodes)
{
	struct ftsi_other others[FTSI_OTHERS_MAX];
	struct ftsi_endpoint address;
	char text[FTSI_ADDRESS_MAX];
	size_t count = ftsi_others_list(&health->others, others);
	for (size_t i = 0; i < count && nodes->count < SURVEY_NODES_MAX; i++)
		if (!others[i].left && !is_listed(nodes, others[i].name) &&
		    ftsi_address_parse(others[i].address, &address))
			add_node(nodes, others[i].name,
				 ftsi_address_print(&address, (uint16_t)(address.port - HEALTH_PORT_OFFSET), text));
}

/* A surveyor for the members as they are: nng's dialers are not taken away one by one (dangers.md), so each set of
 * members has a socket of its own, which goes with the last survey that uses it. */
struct ftsi_asker {
	struct fts_surveyor *surveyor;
	uint32_t user_count; /* surveys, and the health that keeps it; guarded by asker_lock */
	char endpoints[ENDPOINTS_BYTES];
};

static void asker_release(struct ftsi_health *health, struct ftsi_asker *asker)
{
	if (asker == NULL) return;
	pthread_mutex_lock(&health->asker_lock);
	bool last = --asker->user_count == 0;
	pthread_mutex_unlock(&health->asker_lock);
	if (!last) return;
	fts_surveyor_destroy(asker->surveyor);
	free(asker);
}

/* Called with asker_lock held. */
static struct ftsi_asker *asker_make(const struct ftsi_health *health, const char *endpoints,
				     struct fts_error *out_error)
{
	struct fts_surveyor_options options = {.endpoints = endpoints, .tls = health->tls};
	struct ftsi_asker *asker = calloc(1, sizeof(*asker));
	if (asker == NULL) {
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
		return NULL;
	}
	snprintf(asker->endpoints, sizeof(asker->endpoints), "%s", endpoints);
	asker->user_count = 1;
	if (fts_surveyor_create(&options, &asker->surveyor, out_error) == FTS_OK) return asker;
	free(asker);
	return NULL;
}

/* NULL: out_error says why. Returned (asker_release). */
static struct ftsi_asker *asker_take(struct ftsi_health *health, const char *endpoints, struct fts_error *out_error)
{
	struct ftsi_asker *old = NULL, *taken = NULL;
	pthread_mutex_lock(&health->asker_lock);
	if (health->asker == NULL || strcmp(health->asker->endpoints, endpoints) != 0) {
		old = health->asker;
		health->asker = asker_make(health, endpoints, out_error);
	}
	if (health->asker != NULL) {
		taken = health->asker;
		taken->user_count++;
	}
	pthread_mutex_unlock(&health->asker_lock);
	asker_release(health, old);
	return taken;
}

void ftsi_health_init(struct ftsi_health *health, const char *name, const char *self, const struct fts_tls *tls)
{
	health->name = name;
	health->tls = *tls;
	snprintf(health->self, sizeof(health->self), "%s", self);
	pthread_mutex_init(&health->asker_lock, NULL);
	ftsi_others_init(&health->others);
}

void ftsi_health_fini(struct ftsi_health *health)
{
	if (health->name == NULL) return;
	asker_release(health, health->asker);
	ftsi_others_fini(&health->others);
	pthread_mutex_destroy(&health->asker_lock);
}

static void announce(struct fts_call *call, const Fts__Health__V1__AnnounceRequest *request, void *ctx)
{
	static const Fts__Health__V1__AnnounceResponse response = FTS__HEALTH__V1__ANNOUNCE_RESPONSE__INIT;
	struct ftsi_health *health = ctx;
	struct fts_error error;
	if (request->who == NULL)
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "who is missing");
	else if (ftsi_others_note(&health->others, request->who, &error) != FTS_OK)
		fts_call_fail_error(call, &error);
	else
		fts_health_announce_reply(call, &response);
}

/* ---- Asking everybody: a worker's thread ---- */

struct round {
	struct ftsi_health *health;
	struct fts_call *call;     /* whose memory the answers lie in */
	const struct nodes *nodes; /* who is asked, in the order of the surveyor's endpoints */
	uint64_t question_id;
	size_t answered_count;
	Fts__Health__V1__Report *answered[SURVEY_NODES_MAX];
};

static void *take_of_call(void *ctx, size_t size_bytes)
{
	return fts_call_alloc(ctx, size_bytes);
}

static void give(void *ctx, void *pointer)
{
	(void)ctx, (void)pointer; /* it goes with the memory it lies in */
}

static bool has_answered(const struct round *round, const char *name)
{
	for (size_t i = 0; i < round->answered_count; i++)
		if (strcmp(round->answered[i]->name, name) == 0) return true;
	return false;
}

/* Whom another node knows. */
static void learn(struct round *round, const Fts__Health__V1__Report *report)
{
	for (size_t i = 0; i < report->n_others; i++)
		if (ftsi_others_note(&round->health->others, report->others[i], NULL) == FTS_RESOURCE_EXHAUSTED) return;
}

/* Its place among those who are asked; their count: nobody of that name is to be found at that address. */
static size_t find_node(const struct nodes *nodes, uint32_t endpoint_index, const char *name)
{
	size_t at = 0;
	while (at < nodes->count && (nodes->addresses[at][0] == '\0' || nodes->endpoint_indexes[at] != endpoint_index ||
				     strcmp(nodes->names[at], name) != 0))
		at++;
	return at;
}

/* Anybody with a token may announce himself, and who answers there answers for nobody else. Whom else somebody knows is
 * a member's to say. */
static void on_answer(void *ctx, uint32_t endpoint_index, struct fts_bytes answer)
{
	struct round *round = ctx;
	ProtobufCAllocator allocator = {take_of_call, give, round->call};
	Fts__Health__V1__Report *report = fts__health__v1__report__unpack(&allocator, answer.size_bytes, answer.data);
	if (report == NULL || report->question_id != round->question_id || round->answered_count == SURVEY_NODES_MAX)
		return;
	size_t from = find_node(round->nodes, endpoint_index, report->name);
	if (from == round->nodes->count) return;
	if (from < round->nodes->member_count) learn(round, report);
	if (!has_answered(round, report->name)) round->answered[round->answered_count++] = report;
}

/* Those that can't be asked: what they said last counts, when that was a moment ago. */
static void add_those_who_say(struct round *round, struct nodes *nodes)
{
	struct ftsi_other others[FTSI_OTHERS_MAX];
	ProtobufCAllocator allocator = {take_of_call, give, round->call};
	uint64_t now_ns = fts_clock_monotonic_ns();
	size_t count = ftsi_others_list(&round->health->others, others);
	for (size_t i = 0; i < count && nodes->count < SURVEY_NODES_MAX; i++) {
		if (others[i].left || others[i].address[0] != '\0' || is_listed(nodes, others[i].name)) continue;
		nodes->addresses[nodes->count][0] = '\0';
		memcpy(nodes->names[nodes->count++], others[i].name, sizeof(others[i].name));
		uint32_t ago_ms =
		    others[i].heard_ns < now_ns ? (uint32_t)((now_ns - others[i].heard_ns) / NS_PER_MS) : 0;
		if (ago_ms > FTSI_OTHERS_SAID_MS || round->answered_count == SURVEY_NODES_MAX) continue;
		Fts__Health__V1__Report *report =
		    fts__health__v1__report__unpack(&allocator, others[i].said_bytes, others[i].said);
		if (report == NULL || strcmp(report->name, others[i].name) != 0) continue;
		report->said_ms_ago = ago_ms;
		if (!has_answered(round, report->name)) round->answered[round->answered_count++] = report;
	}
}

static void reply_to_survey(const struct nodes *nodes, struct round *round, uint64_t took_ns)
{
	Fts__Health__V1__SurveyResponse response = FTS__HEALTH__V1__SURVEY_RESPONSE__INIT;
	char *missing[SURVEY_NODES_MAX];
	response.answered = round->answered;
	response.n_answered = round->answered_count;
	response.missing = missing;
	for (size_t i = 0; i < nodes->count; i++)
		if (!has_answered(round, nodes->names[i]))
			missing[response.n_missing++] = (char *)(uintptr_t)nodes->names[i];
	response.took_ms = (uint32_t)(took_ns / 1000000u);
	fts_health_survey_reply(round->call, &response);
}

static void survey(struct fts_call *call, const Fts__Health__V1__SurveyRequest *request, void *ctx)
{
	struct ftsi_health *health = ctx;
	uint64_t start_ns = fts_clock_monotonic_ns();
	struct nodes nodes;
	struct round round = {.health = health, .call = call, .nodes = &nodes, .question_id = start_ns};
	Fts__Health__V1__Question question = FTS__HEALTH__V1__QUESTION__INIT;
	uint8_t packed[32];
	uint32_t wait_ms = request->wait_ms == 0 ? SURVEY_WAIT_MS : request->wait_ms, count;
	struct fts_error error;
	question.id = round.question_id;
	question.with_others = true;
	struct fts_bytes bytes = {packed, fts__health__v1__question__pack(&question, packed)};
	if (wait_ms > SURVEY_WAIT_MS_MAX) wait_ms = SURVEY_WAIT_MS_MAX;
	list_nodes(health, &nodes);
	list_others(health, &nodes);
	struct ftsi_asker *asker = asker_take(health, nodes.endpoints, &error);
	if (asker == NULL) {
		fts_call_fail_error(call, &error);
		return;
	}
	atomic_fetch_add(&health->watching_count, 1);
	enum fts_status status = fts_surveyor_ask(asker->surveyor, bytes, wait_ms, on_answer, &round, &count, &error);
	atomic_fetch_sub(&health->watching_count, 1);
	asker_release(health, asker);
	add_those_who_say(&round, &nodes);
	if (status == FTS_OK)
		reply_to_survey(&nodes, &round, fts_clock_monotonic_ns() - start_ns);
	else
		fts_call_fail_error(call, &error);
}

enum fts_status ftsi_health_serve(struct ftsi_health *health, struct fts_server *server, struct fts_error *out_error)
{
	static const struct fts_health_handlers handlers = {
	    .ping = ping, .check = check, .announce = announce, .survey = survey};
	return fts_health_register(server, &handlers, health, out_error);
}
