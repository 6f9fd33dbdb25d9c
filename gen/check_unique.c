/* Why this file exists: what must not be there twice in one program: a C name, a method's id on the wire, a topic.
 * Only the files of one run of protoc are seen together; at run time fts_server_add refuses a second method id. */
#include <stdlib.h>
#include <string.h>

#include "gen/check.h"

enum kind { C_NAME, TOPIC, METHOD_ID };

/* One use of a name. */
struct use {
	const char *name;
	const struct ftsi_element *by;
	const struct ftsi_file *within; /* a static name: only of this file; NULL: of the whole program */
	size_t order;                   /* in which they were found, to keep the output stable */
	enum kind kind;
	const struct use *first; /* set for one that is there twice: the earlier one, borrowed from its table */
};

struct uses {
	struct ftsi_arena *arena;
	struct use *all;
	size_t count;
	size_t capacity;
};

static void add(struct uses *uses, enum kind kind, const struct ftsi_element *by, const struct ftsi_file *within,
		const char *name)
{
	if (uses->count == uses->capacity) {
		size_t capacity = uses->capacity == 0 ? 256 : 2 * uses->capacity;
		struct use *grown = ftsi_arena_alloc(uses->arena, capacity, sizeof(*grown));

		if (uses->count > 0) memcpy(grown, uses->all, uses->count * sizeof(*grown));
		uses->all = grown;
		uses->capacity = capacity;
	}
	uses->all[uses->count] = (struct use){name, by, within, uses->count, kind, NULL};
	uses->count++;
}

/* ---- Everything the emitters name ---- */

static void add_method(struct uses *uses, const struct ftsi_method *method)
{
	static const char *const suffixes[] = {"", "_start", "_done_fn", "_reply", "_method"};
	const struct ftsi_element *by = &method->element;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		add(uses, C_NAME, by, NULL, ftsi_arena_format(uses->arena, "%s%s", method->c_name, suffixes[i]));
	add(uses, C_NAME, by, by->file, ftsi_arena_format(uses->arena, "invoke_%s", method->c_name));
	add(uses, METHOD_ID, by, NULL, ftsi_arena_format(uses->arena, "0x%08x", method->id));
}

static void add_service(struct uses *uses, const struct ftsi_service *service)
{
	static const char *const suffixes[] = {"_service", "_register", "_handlers"};
	const struct ftsi_element *by = &service->element;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		add(uses, C_NAME, by, NULL, ftsi_arena_format(uses->arena, "%s%s", service->c_prefix, suffixes[i]));
	add(uses, C_NAME, by, by->file, ftsi_arena_format(uses->arena, "methods_%s", service->c_prefix));
	add(uses, C_NAME, by, by->file, "file_types");
	for (size_t i = 0; i < service->method_count; i++)
		add_method(uses, &service->methods[i]);
}

static void add_enum(struct uses *uses, const struct ftsi_enum *e)
{
	static const char *const suffixes[] = {"", "_name", "_from_wire"};

	if (*e->c_enum == '\0') return;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		add(uses, C_NAME, &e->element, NULL, ftsi_arena_format(uses->arena, "%s%s", e->c_enum, suffixes[i]));
	for (size_t i = 0; i < e->value_count; i++)
		add(uses, C_NAME, &e->values[i].element, NULL,
		    ftsi_arena_format(uses->arena, "%s%s", e->c_value_prefix, e->values[i].element.name));
}

static void add_file(struct uses *uses, const struct ftsi_file *file)
{
	for (size_t i = 0; i < file->enum_count; i++)
		add_enum(uses, &file->enums[i]);
	for (size_t i = 0; i < file->message_count; i++) {
		const struct ftsi_message *message = &file->messages[i];

		if (message->topic != NULL) {
			add(uses, TOPIC, &message->element, NULL, message->topic);
			add(uses, C_NAME, &message->element, NULL,
			    ftsi_arena_format(uses->arena, "%s_topic", message->snake));
		}
	}
	for (size_t i = 0; i < file->service_count; i++)
		add_service(uses, &file->services[i]);
}

/* ---- Those that are there twice ---- */

static int compare(const void *left, const void *right)
{
	const struct use *a = left, *b = right;
	int by_name = a->kind == b->kind ? strcmp(a->name, b->name) : a->kind < b->kind ? -1 : 1;

	return by_name != 0 ? by_name : a->order < b->order ? -1 : a->order > b->order;
}

static int compare_order(const void *left, const void *right)
{
	const struct use *a = left, *b = right;

	return a->order < b->order ? -1 : a->order > b->order;
}

static void refuse_pair(const struct use *first, const struct use *second, struct ftsi_refusals *refusals)
{
	static const struct {
		const char *gets, *instead;
	} words[] = {
	    [C_NAME] = {"gets the C name", "rename one of them, or choose another c_prefix or c_value_prefix"},
	    [TOPIC] = {"has the topic", "give it another, so that a subscriber can tell which it got"},
	    [METHOD_ID] = {"gets the method id", "rename one of them (the id is FNV-1a of the name)"},
	};

	ftsi_refuse(refusals, second->by, "%s %s %s, which %s (%s) has already: %s", second->by->full_name,
		    words[second->kind].gets, second->name, first->by->full_name,
		    ftsi_place_name(refusals->text.arena, first->by), words[second->kind].instead);
}

static bool collide(const struct use *a, const struct use *b)
{
	bool same_program = a->within == NULL || b->within == NULL || a->within == b->within;
	bool same_static = a->within == b->within && a->within != NULL && strcmp(a->name, "file_types") == 0;
	bool wanted = a->by->file->is_wanted || b->by->file->is_wanted;

	return a->by != b->by && same_program && !same_static && wanted;
}

/* Gather the later one of each pair into `twice`, the earlier one behind it. uses: sorted. */
static void find_twice(const struct uses *uses, struct uses *twice)
{
	for (size_t i = 1; i < uses->count; i++) {
		const struct use *second = &uses->all[i];

		for (const struct use *first = second - 1; first->kind == second->kind; first--) {
			if (strcmp(first->name, second->name) != 0) break;
			if (collide(first, second)) {
				add(twice, second->kind, second->by, second->within, second->name);
				twice->all[twice->count - 1].order = second->order;
				twice->all[twice->count - 1].first = first;
				break;
			}
			if (first == uses->all) break;
		}
	}
}

void ftsi_check_unique(const struct ftsi_model *model, struct ftsi_refusals *refusals)
{
	struct uses uses = {.arena = refusals->text.arena}, twice = {.arena = refusals->text.arena};

	for (size_t i = 0; i < model->file_count; i++)
		add_file(&uses, &model->files[i]);
	if (uses.count == 0) return;
	qsort(uses.all, uses.count, sizeof(struct use), compare);
	find_twice(&uses, &twice);
	if (twice.count > 0) qsort(twice.all, twice.count, sizeof(struct use), compare_order);
	/* Two methods of one C name share five more that follow from it: told once. */
	for (size_t i = 0; i < twice.count; i++)
		if (i == 0 || twice.all[i].by != twice.all[i - 1].by || twice.all[i].kind != twice.all[i - 1].kind)
			refuse_pair(twice.all[i].first, &twice.all[i], refusals);
}
