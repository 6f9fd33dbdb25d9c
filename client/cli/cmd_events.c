/* Why this file exists: `events`: what the cluster publishes, a JSON object a line, readable without any .proto:
 * the server describes the message of a topic when the first event of it comes.
 *
 * Threads: events are printed on the subscription's thread; the main one waits for the end, whatever it is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <fts/events.h>

#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/reflect.h"
#include "client/cli/session.h"
#include "rpc/json.h"

#define TOPICS_MAX 64u
#define FOREVER_MS UINT32_MAX

/* A topic and how its payload reads. */
struct topic {
	char *name;
	struct fts_schema *schema; /* NULL: the server could not describe it */
	const ProtobufCMessageDescriptor *message;
	bool is_asked; /* the server has said what there is to say */
};

struct stream {
	struct ftsi_cli *cli;
	uint64_t printed_count;
	uint64_t wanted_count; /* 0: no end */
	bool was_lost;         /* the node it listened to */
	struct topic topics[TOPICS_MAX];
	size_t topic_count;
};

static void describe_topic(struct stream *stream, struct topic *topic)
{
	Fts__Rpc__V1__DescribeResponse *description = NULL;
	struct fts_error error = {0};
	enum fts_status st = ftsi_reflect_describe(stream->cli, topic->name, &description, &error);

	/* No server may be there just now: then the next event of it asks again. */
	topic->is_asked = st != FTS_UNAVAILABLE && st != FTS_DEADLINE_EXCEEDED;
	if (st == FTS_OK) st = fts_schema_build(description, &topic->schema, &error);
	if (st == FTS_OK) topic->message = fts_schema_topic(topic->schema, topic->name);
	if (description) fts__rpc__v1__describe_response__free_unpacked(description, NULL);
	if (!topic->message)
		ftsi_note("topic %s: the server does not say what its events are%s%s", topic->name,
			  error.detail[0] ? ": " : "", error.detail);
}

/* NULL: too many topics, or no memory. */
static struct topic *find_topic(struct stream *stream, const char *name)
{
	struct topic *topic = stream->topics, *behind = stream->topics + stream->topic_count;

	while (topic < behind && strcmp(topic->name, name) != 0)
		topic++;
	if (topic == behind) {
		if (stream->topic_count == TOPICS_MAX || !(topic->name = strdup(name))) return NULL;
		stream->topic_count++;
	}
	if (!topic->is_asked) describe_topic(stream, topic);
	return topic;
}

/* The payload as JSON; null when nobody knows how to read it. */
static json_t *payload_json(struct stream *stream, const struct fts_event *event)
{
	const struct topic *topic = find_topic(stream, event->topic);
	struct fts_json_options options = {.print_defaults = true};
	struct fts_error error;
	json_t *json = NULL;

	if (!topic || !topic->message) return json_null();
	ProtobufCMessage *message =
	    protobuf_c_message_unpack(topic->message, NULL, event->payload.size_bytes, event->payload.data);
	if (!message) return json_null();
	if (fts_json_value(message, &options, &json, &error) != FTS_OK) json = json_null();
	protobuf_c_message_free_unpacked(message, NULL);
	return json;
}

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct stream *stream = ctx;

	if (lost_count > 0) ftsi_note("%" PRIu64 " indexes before this are no longer kept", lost_count);
	if (!event) return true;
	json_t *json = ftsi_json("{s:I,s:s,s:o}", "index", (json_int_t)event->index, "topic", event->topic, "event",
				 payload_json(stream, event));
	if (lost_count > 0) json_object_set_new(json, "lost", json_integer((json_int_t)lost_count));
	bool goes_on = ftsi_print_json(json);
	stream->printed_count++;
	goes_on = goes_on && stream->printed_count != stream->wanted_count;
	if (!goes_on) ftsi_interrupt_wake();
	return goes_on;
}

/* Only what concerns a person: that it goes on elsewhere. Where it begins, nobody asked. */
static void on_notice(void *ctx, enum fts_subscription_notice notice, const char *endpoint, const char *reason)
{
	struct stream *stream = ctx;

	if (notice == FTS_SUBSCRIPTION_LOST)
		ftsi_note("%s is gone (%s): looking for another node", endpoint, reason);
	else if (stream->was_lost)
		ftsi_note("goes on at %s, nothing missed", endpoint);
	stream->was_lost = notice == FTS_SUBSCRIPTION_LOST;
}

static void free_topics(struct stream *stream)
{
	for (size_t i = 0; i < stream->topic_count; i++) {
		fts_schema_destroy(stream->topics[i].schema);
		free(stream->topics[i].name);
	}
}

/* Until enough events, Ctrl-C, a closed reader, or a time limit that was asked for. */
static enum ftsi_exit wait_for_end(const struct ftsi_cli *cli)
{
	bool limited = ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given;

	while (!ftsi_interrupt_wait(limited ? cli->timeout_ms : FOREVER_MS))
		if (limited) return FTSI_EXIT_TIME;
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_events(struct ftsi_cli *cli)
{
	const struct ftsi_value *from = ftsi_value_of(cli, "from");
	struct stream stream = {.cli = cli, .wanted_count = ftsi_value_of(cli, "count")->number};
	struct fts_subscription *subscription = NULL;
	struct fts_error error = {0};
	struct fts_subscribe_options options = {
	    .endpoints = ftsi_endpoints(cli),
	    .tls = ftsi_tls(cli),
	    .topic = cli->args.positional_count > 0 ? cli->args.positionals[0] : NULL,
	    .from_index = from->given && from->number == 0 ? 1 : from->number,
	    .on_notice = on_notice,
	};
	uint8_t token[FTSI_TOKEN_MAX_BYTES + 2];

	if (ftsi_session_token(cli, token, &options.token, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	ftsi_interrupt_claim(NULL, NULL);
	options.stay_local = ftsi_session_stays_local(cli, options.token);
	enum fts_status st = fts_subscribe(&options, cli->timeout_ms, on_event, &stream, &subscription, &error);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	enum ftsi_exit code = wait_for_end(cli);
	fts_subscription_close(subscription);
	free_topics(&stream);
	return code;
}
