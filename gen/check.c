/* Why this file exists: see check.h. Here: services, methods, topics and enums, each for itself. Every refusal says
 * what is wrong, why fts can't have it, and what to write instead. */
#include "gen/check.h"

#include <string.h>

#include "gen/names.h"

#define TOPIC_MAX_BYTES 64

/* Field numbers of `options` in descriptor.proto. */
enum { MESSAGE_OPTIONS = 7, ENUM_OPTIONS = 3, SERVICE_OPTIONS = 3, METHOD_OPTIONS = 4 };

static void check_method(const struct ftsi_method *method, struct ftsi_refusals *refusals)
{
	const struct ftsi_element *element = &method->element;
	const char *pb_c_name = ftsi_name_pb_c_method(refusals->text.arena, element->name);

	if (method->descriptor->client_streaming)
		ftsi_refuse(
		    refusals, element,
		    "%s streams from the client: a call is one request and one answer; use a repeated field, or "
		    "several calls",
		    element->full_name);
	if (method->descriptor->server_streaming)
		ftsi_refuse(refusals, element,
			    "%s streams from the server: a call is one request and one answer; publish events (option "
			    "topic) to which callers subscribe, or answer in pages",
			    element->full_name);
	if (ftsi_name_is_reserved(pb_c_name))
		ftsi_refuse(
		    refusals, element,
		    "%s becomes \"%s\" in C, which the language or its headers keep for themselves: choose another "
		    "name, as %sNow",
		    element->full_name, pb_c_name, element->name);
	if (method->mutates && method->no_side_effects)
		ftsi_refuse_option(refusals, element, METHOD_OPTIONS, FTSI_OPTION_MUTATES,
				   "%s changes state and claims idempotency_level = NO_SIDE_EFFECTS: leave one away",
				   element->full_name);
	if (method->mutates && method->route == FTSI_ROUTE_REPLICA)
		ftsi_refuse_option(
		    refusals, element, METHOD_OPTIONS, FTSI_OPTION_ROUTE,
		    "%s changes state, and a replica can't: use ROUTE_LEADER, or ROUTE_ANY if the node asked "
		    "sees to it",
		    element->full_name);
}

static void check_service(const struct ftsi_service *service, struct ftsi_refusals *refusals)
{
	const struct ftsi_element *element = &service->element;

	if (!ftsi_name_is_identifier(service->c_prefix, true))
		ftsi_refuse_option(
		    refusals, element, SERVICE_OPTIONS, FTSI_OPTION_C_PREFIX,
		    "c_prefix \"%s\" of %s can't start a C name: use lower-case letters, digits and _, a "
		    "letter first, as \"%s\"",
		    service->c_prefix, element->full_name, ftsi_name_snake(refusals->text.arena, element->full_name));
	if (service->method_count == 0)
		ftsi_refuse(
		    refusals, element,
		    "%s has no methods, and what protoc-gen-c makes of it does not compile: give it one, or leave it "
		    "away",
		    element->full_name);
	if (element->file->pb_c.no_generate)
		ftsi_refuse(
		    refusals, element,
		    "%s needs its file's messages, and (pb_c_file).no_generate leaves them away: remove that option",
		    element->full_name);
	for (size_t i = 0; i < service->method_count; i++)
		check_method(&service->methods[i], refusals);
}

static bool is_topic(const char *topic)
{
	size_t n = strspn(topic, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return n > 0 && topic[n] == '\0' && n <= TOPIC_MAX_BYTES;
}

static void check_topic(const struct ftsi_message *message, struct ftsi_refusals *refusals)
{
	const struct ftsi_element *element = &message->element;

	if (message->topic == NULL) return;
	if (!is_topic(message->topic))
		ftsi_refuse_option(
		    refusals, element, MESSAGE_OPTIONS, FTSI_OPTION_TOPIC,
		    "topic \"%s\" of %s is not a topic: use 1 to %d of a-z 0-9 . _ -, as \"lottery.draw\"",
		    message->topic, element->full_name, TOPIC_MAX_BYTES);
	if (element->file->pb_c.no_generate)
		ftsi_refuse(
		    refusals, element,
		    "event %s needs its file's messages, and (pb_c_file).no_generate leaves them away: remove that "
		    "option",
		    element->full_name);
}

static bool has_unknown(const struct ftsi_enum *e)
{
	size_t strip_bytes = strlen(e->c_name_strip);

	for (size_t i = 0; i < e->value_count; i++) {
		const char *name = e->values[i].element.name;

		if (strcmp(name, "UNKNOWN") == 0 ||
		    (strncmp(name, e->c_name_strip, strip_bytes) == 0 && strcmp(name + strip_bytes, "UNKNOWN") == 0))
			return true;
	}
	return false;
}

static void check_enum(const struct ftsi_enum *e, struct ftsi_refusals *refusals)
{
	const struct ftsi_element *element = &e->element;

	if (*e->c_enum == '\0') {
		if (*e->c_value_prefix != '\0' || *e->c_name_strip != '\0')
			ftsi_refuse(refusals, element,
				    "enum %s has options of a plain C enum but no name for it: add option "
				    "(fts.rpc.v1.c_enum), or remove them",
				    element->full_name);
		return;
	}
	if (!ftsi_name_is_identifier(e->c_enum, true) || ftsi_name_is_reserved(e->c_enum))
		ftsi_refuse_option(
		    refusals, element, ENUM_OPTIONS, FTSI_OPTION_C_ENUM,
		    "c_enum \"%s\" of %s is not a C name: use lower-case letters, digits and _, a letter first",
		    e->c_enum, element->full_name);
	if (*e->c_value_prefix != '\0' && !ftsi_name_is_identifier(e->c_value_prefix, false))
		ftsi_refuse_option(
		    refusals, element, ENUM_OPTIONS, FTSI_OPTION_C_VALUE_PREFIX,
		    "c_value_prefix \"%s\" of %s can't start a C name: use letters, digits and _, a letter "
		    "first",
		    e->c_value_prefix, element->full_name);
	if (!has_unknown(e))
		ftsi_refuse(refusals, element,
			    "enum %s has no value named %sUNKNOWN for the numbers that newer peers will send: add one",
			    element->full_name, e->c_name_strip);
}

static void check_file(const struct ftsi_file *file, struct ftsi_refusals *refusals)
{
	for (size_t i = 0; i < file->enum_count; i++)
		check_enum(&file->enums[i], refusals);
	for (size_t i = 0; i < file->message_count; i++)
		check_topic(&file->messages[i], refusals);
	for (size_t i = 0; i < file->service_count; i++)
		check_service(&file->services[i], refusals);
}

void ftsi_check(struct ftsi_model *model, struct ftsi_refusals *refusals)
{
	for (size_t i = 0; i < model->file_count; i++)
		if (model->files[i].is_wanted) check_file(&model->files[i], refusals);
	ftsi_check_messages(model, refusals);
	/* Names that were refused for themselves would be told again as those of others. */
	if (refusals->count == 0) ftsi_check_unique(model, refusals);
}
