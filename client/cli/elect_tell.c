/* Why this file exists: see elect_tell.h. */
#include "client/cli/elect_tell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fts/elector/v1/elector.fts.h>

#include "client/cli/elect_script.h"
#include "client/cli/output.h"
#include "client/cli/value.h"

#define TIME_BYTES 24

bool ftsi_elect_news_read(const struct fts_event *event, const char *election, struct ftsi_elect_news *out_news)
{
	struct ftsi_elect_news news = {NULL, NULL, NULL};
	const char *of = NULL;
	size_t size_bytes = event->payload.size_bytes;
	const uint8_t *data = event->payload.data;
	if (strcmp(event->topic, fts_elector_v1_master_event_topic.name) == 0 &&
	    (news.master = fts__elector__v1__master_event__unpack(NULL, size_bytes, data)) != NULL)
		of = news.master->election;
	if (strcmp(event->topic, fts_elector_v1_member_event_topic.name) == 0 &&
	    (news.member = fts__elector__v1__member_event__unpack(NULL, size_bytes, data)) != NULL)
		of = news.member->election;
	if (strcmp(event->topic, fts_elector_v1_message_event_topic.name) == 0 &&
	    (news.message = fts__elector__v1__message_event__unpack(NULL, size_bytes, data)) != NULL)
		of = news.message->election;
	if (of != NULL && strcmp(of, election) == 0) {
		*out_news = news;
		return true;
	}
	ftsi_elect_news_free(&news);
	return false;
}

void ftsi_elect_news_free(struct ftsi_elect_news *news)
{
	if (news->master != NULL) fts__elector__v1__master_event__free_unpacked(news->master, NULL);
	if (news->member != NULL) fts__elector__v1__member_event__free_unpacked(news->member, NULL);
	if (news->message != NULL) fts__elector__v1__message_event__free_unpacked(news->message, NULL);
	*news = (struct ftsi_elect_news){NULL, NULL, NULL};
}

/* Names in capitals, as in the .proto. */
const char *ftsi_elect_cause(Fts__Elector__V1__Cause cause)
{
	const ProtobufCEnumValue *value =
	    protobuf_c_enum_descriptor_get_value(&fts__elector__v1__cause__descriptor, (int)cause);
	return value == NULL ? "UNKNOWN" : value->name;
}

const char *ftsi_elect_rule(Fts__Elector__V1__Rule rule)
{
	const ProtobufCEnumValue *value =
	    protobuf_c_enum_descriptor_get_value(&fts__elector__v1__rule__descriptor, (int)rule);
	return value == NULL ? "UNKNOWN" : value->name;
}

json_t *ftsi_elect_name(const char *name)
{
	return name[0] == 0 ? json_null() : json_string(name);
}

static bool say(const char *format, ...) FTS_PRINTF(1, 2);
static bool say(const char *format, ...)
{
	char now[TIME_BYTES];
	va_list list;
	printf("%s  ", ftsi_time_format(now, sizeof(now), (int64_t)time(NULL) * 1000));
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	putchar('\n');
	fflush(stdout);
	return ftsi_output_open();
}

static bool tell_master(const struct ftsi_cli *cli, const Fts__Elector__V1__MasterEvent *event)
{
	if (cli->json)
		return ftsi_print_json(ftsi_json("{s:s,s:o,s:I,s:s,s:b}", "event", "master", "master",
						 ftsi_elect_name(event->master), "fence", (json_int_t)event->fence,
						 "cause", ftsi_elect_cause(event->cause), "stepping_down",
						 event->stepping_down));
	if (event->stepping_down) return say("master %s is asked to step down", event->master);
	if (event->master[0] == 0) return say("no master (%s)", ftsi_elect_cause(event->cause));
	return say("master is %s, fence %" PRIu64 " (%s)", event->master, event->fence, ftsi_elect_cause(event->cause));
}

static bool tell_member(const struct ftsi_cli *cli, const Fts__Elector__V1__MemberEvent *event)
{
	if (cli->json)
		return ftsi_print_json(ftsi_json("{s:s,s:s,s:b,s:s,s:I}", "event", "member", "id", event->id, "joined",
						 event->joined, "cause", ftsi_elect_cause(event->cause), "members",
						 (json_int_t)event->members));
	return say("%s %s (%s), %" PRIu32 " members", event->id, event->joined ? "joined" : "is gone",
		   ftsi_elect_cause(event->cause), event->members);
}

static bool tell_message(const struct ftsi_cli *cli, const Fts__Elector__V1__MessageEvent *event)
{
	char sent[TIME_BYTES];
	ftsi_time_format(sent, sizeof(sent), event->time_ms);
	if (cli->json)
		return ftsi_print_json(ftsi_json("{s:s,s:s,s:s,s:s,s:I}", "event", "message", "sender", event->sender,
						 "text", event->text, "time", sent, "time_ms",
						 (json_int_t)event->time_ms));
	return say("message of %s at %s: %s", event->sender, sent, event->text);
}

bool ftsi_elect_tell_news(const struct ftsi_cli *cli, const struct ftsi_elect_news *news)
{
	if (news->master != NULL) return tell_master(cli, news->master);
	if (news->member != NULL) return tell_member(cli, news->member);
	return tell_message(cli, news->message);
}

bool ftsi_elect_tell_role(const struct ftsi_cli *cli, const char *role, const char *master, uint64_t fence)
{
	if (cli->json)
		return ftsi_print_json(ftsi_json("{s:s,s:s,s:o,s:I}", "event", "role", "role", role, "master",
						 ftsi_elect_name(master), "fence", (json_int_t)fence));
	return say("role %s, master %s, fence %" PRIu64, role, master[0] == 0 ? "none" : master, fence);
}

bool ftsi_elect_tell_text(const struct ftsi_cli *cli, const char *event, const char *name, const char *value)
{
	if (cli->json) return ftsi_print_json(ftsi_json("{s:s,s:s}", "event", event, name, value));
	return say("%s: %s", event, value);
}

bool ftsi_elect_tell_output(const struct ftsi_cli *cli, bool is_error, uint64_t lost_count, const char *text,
			    size_t size_bytes)
{
	char line[FTSI_SCRIPT_LINE_MAX + 1];
	if (size_bytes > FTSI_SCRIPT_LINE_MAX) size_bytes = FTSI_SCRIPT_LINE_MAX;
	for (size_t i = 0; i < size_bytes; i++)
		line[i] = (unsigned char)text[i] < ' ' && text[i] != '\t' ? '?' : text[i];
	line[size_bytes] = 0;
	json_t *readable = json_stringn(line, size_bytes);
	for (size_t i = 0; readable == NULL && i < size_bytes; i++) /* not UTF-8 */
		line[i] = (unsigned char)line[i] < 128 ? line[i] : '?';
	json_decref(readable);
	if (cli->json)
		return ftsi_print_json(ftsi_json("{s:s,s:s,s:s,s:I}", "event", "output", "stream",
						 is_error ? "stderr" : "stdout", "line", line, "lost",
						 (json_int_t)lost_count));
	if (lost_count > 0) printf("script  [%" PRIu64 " lines lost]\n", lost_count);
	printf("script%s %s\n", is_error ? "!" : " ", line);
	fflush(stdout);
	return ftsi_output_open();
}
