/* Why this file exists: protobuf-c unpacks nested messages by recursion without any limit: 34 KB of them overflow the
 * stack. So no message may contain itself, by whatever way, and none may nest deeper than FTSI_NESTING_MAX; both are
 * seen from the types alone. On the same walk: field kinds that protobuf-c or a lasting protocol can't have. */
#include "gen/check.h"

/* The way down to a message: which field of which message led here. */
struct step {
	const struct ftsi_element *root; /* the message or method the walk began with */
	const struct step *up;           /* NULL: this is where the walk began */
	const struct ftsi_message *message;
	const struct ftsi_field *field; /* of up's message; NULL where the walk began */
	unsigned depth;                 /* from 1 */
};

/* "a.B.c -> d.E.f": the fields from `message` down to `last` (both borrowed), which leads back to it. */
static const char *way(struct ftsi_arena *arena, const struct step *step, const struct ftsi_message *message,
		       const char *last)
{
	const char *text = last;

	for (; step != NULL && step->message != message; step = step->up)
		text = ftsi_arena_format(arena, "%s -> %s", step->field->element.full_name, text);
	return text;
}

/* " (needed by x, file:line)" for a message of a file that the user may not have written; "" for their own. */
static const char *needed_by(struct ftsi_arena *arena, const struct step *step, const struct ftsi_element *element)
{
	if (element->file->is_wanted) return "";
	return ftsi_arena_format(arena, ", needed by %s (%s)", step->root->full_name,
				 ftsi_place_name(arena, step->root));
}

static void refuse_cycle(const struct step *step, const struct ftsi_field *field, struct ftsi_refusals *refusals)
{
	struct ftsi_arena *arena = refusals->text.arena;
	/* protoc makes a map's entries itself: what was written is the field of the map. */
	const struct ftsi_field *written = step->message->is_map_entry ? step->field : field;

	ftsi_refuse(
	    refusals, &written->element,
	    "message %s contains itself (%s)%s: a caller could nest it until the stack overflows; send a flat list "
	    "whose items name each other by number",
	    field->message->element.full_name, way(arena, step, field->message, field->element.full_name),
	    needed_by(arena, step, &written->element));
}

static void refuse_nesting(const struct ftsi_element *element, struct ftsi_refusals *refusals)
{
	ftsi_refuse(refusals, element,
		    "%s nests messages deeper than %d: a caller could overflow the stack; send a flat list",
		    element->full_name, FTSI_NESTING_MAX);
}

static void check_field(const struct ftsi_field *field, struct ftsi_refusals *refusals)
{
	const Google__Protobuf__FieldDescriptorProto *descriptor = field->descriptor;
	const char *name = field->element.full_name;

	if (descriptor->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP)
		ftsi_refuse(refusals, &field->element,
			    "%s is a group, which protobuf-c does not read: make it a message and a field of its type",
			    name);
	if (descriptor->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED)
		ftsi_refuse(
		    refusals, &field->element,
		    "%s is required: it could never be removed again, and a message without it is refused without "
		    "telling which field; leave the word away and check it in the handler",
		    name);
	if (descriptor->proto3_optional)
		ftsi_refuse(
		    refusals, &field->element,
		    "%s is a proto3 optional field, which protobuf-c 1.4 does not read: put it alone into a oneof, "
		    "or give 0 a meaning",
		    name);
}

static void visit(struct ftsi_message *message, const struct step *up, const struct ftsi_field *by,
		  const struct ftsi_element *root, struct ftsi_refusals *refusals)
{
	struct step here = {root, up, message, by, up == NULL ? 1 : up->depth + 1};
	unsigned below = 0;

	message->mark = FTSI_ENTERED;
	for (size_t i = 0; i < message->field_count && here.depth <= FTSI_NESTING_MAX; i++) {
		struct ftsi_message *next = message->fields[i].message;

		check_field(&message->fields[i], refusals);
		if (next == NULL) continue;
		if (next->mark == FTSI_ENTERED)
			refuse_cycle(&here, &message->fields[i], refusals);
		else if (next->mark == FTSI_UNSEEN)
			visit(next, &here, &message->fields[i], root, refusals);
		below = next->nesting > below ? next->nesting : below;
	}
	/* Told once: here at the end of a way that is too long, or where one that was walked before becomes so. */
	message->nesting = here.depth <= FTSI_NESTING_MAX ? below + 1 : 0;
	if (here.depth > FTSI_NESTING_MAX)
		refuse_nesting(root, refusals);
	else if (message->nesting == FTSI_NESTING_MAX + 1)
		refuse_nesting(&message->element, refusals);
	message->mark = FTSI_LEFT;
}

static void start(struct ftsi_message *message, const struct ftsi_element *root, struct ftsi_refusals *refusals)
{
	if (message->mark == FTSI_UNSEEN) visit(message, NULL, NULL, root, refusals);
}

static void check_file(struct ftsi_file *file, struct ftsi_refusals *refusals)
{
	for (size_t i = 0; i < file->message_count; i++)
		start(&file->messages[i], &file->messages[i].element, refusals);
	for (size_t i = 0; i < file->service_count; i++)
		for (size_t k = 0; k < file->services[i].method_count; k++) {
			const struct ftsi_method *method = &file->services[i].methods[k];

			start(method->request, &method->element, refusals);
			start(method->response, &method->element, refusals);
		}
}

void ftsi_check_messages(struct ftsi_model *model, struct ftsi_refusals *refusals)
{
	for (size_t i = 0; i < model->file_count; i++)
		for (size_t k = 0; k < model->files[i].message_count; k++)
			model->files[i].messages[k].mark = FTSI_UNSEEN;
	for (size_t i = 0; i < model->file_count; i++)
		if (model->files[i].is_wanted) check_file(&model->files[i], refusals);
}
