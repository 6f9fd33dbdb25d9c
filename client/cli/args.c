/* Why this file exists: the parser of the command line; see args.h. */
#include "client/cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "client/cli/value.h"

#define NAME_MAX_BYTES (FTSI_COMMAND_NAME_BYTES - 1)

struct parser {
	const struct ftsi_table *table;
	struct ftsi_args *args;
	struct fts_error *error;
	char *const *argv;
	int argc;
	int place;
	int64_t now_ms;
	char words[NAME_MAX_BYTES + 1]; /* "lottery", while a command is being named */
	bool flags_ended;
	bool help_word; /* `fts-cli help lottery open` */
};

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

size_t ftsi_edit_distance(const char *a, const char *b)
{
	size_t a_length = strnlen(a, NAME_MAX_BYTES), b_length = strnlen(b, NAME_MAX_BYTES);
	size_t row[NAME_MAX_BYTES + 1];

	for (size_t k = 0; k <= b_length; k++)
		row[k] = k;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= b_length; k++) {
			size_t above = row[k];
			row[k] = min3(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[b_length];
}

/* The nearest name so far. */
struct nearest {
	const char *name; /* length bytes of it */
	size_t length;
	size_t distance;
};

static void consider(struct nearest *nearest, const char *wrong, const char *candidate, size_t length)
{
	char copy[NAME_MAX_BYTES + 1];
	size_t limit = 1 + strlen(wrong) / 3;

	snprintf(copy, sizeof(copy), "%.*s", (int)length, candidate);
	size_t distance = ftsi_edit_distance(wrong, copy);
	/* A beginning is as good as one wrong letter. */
	if (strlen(wrong) >= 2 && strncmp(wrong, copy, strlen(wrong)) == 0) distance = 1;
	if (distance <= limit && (!nearest->name || distance < nearest->distance))
		*nearest = (struct nearest){candidate, length, distance};
}

static void consider_flags(struct nearest *nearest, const char *wrong, const struct ftsi_flag *flags, size_t count)
{
	for (size_t i = 0; i < count && flags[i].name; i++)
		consider(nearest, wrong, flags[i].name, strlen(flags[i].name));
}

static enum fts_status refuse_flag(struct parser *parser, const char *arg, const char *name)
{
	const struct ftsi_command *command = parser->args->command;
	struct nearest nearest = {NULL, 0, 0};

	if (command) consider_flags(&nearest, name, command->flags, FTSI_FLAGS_MAX);
	consider_flags(&nearest, name, parser->table->globals, SIZE_MAX);
	if (nearest.name)
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "unknown flag %s: did you mean --%s?", arg,
				     nearest.name);
	return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "unknown flag %s: see fts-cli %s%s--help", arg,
			     command ? command->name : "", command ? " " : "");
}

/* Names of commands, and names of their groups: "lottery" of "lottery open". */
static void consider_commands(struct nearest *nearest, const char *wrong, const struct ftsi_table *table,
			      bool with_groups)
{
	for (size_t i = 0; i < table->command_count; i++) {
		const char *name = table->commands[i].name;
		size_t first_word = strcspn(name, " ");
		consider(nearest, wrong, name, strlen(name));
		if (with_groups && name[first_word]) consider(nearest, wrong, name, first_word);
	}
}

static enum fts_status refuse_command(struct parser *parser)
{
	struct nearest nearest = {NULL, 0, 0};
	char longer[2 * NAME_MAX_BYTES + 2];

	/* "lotery open": the next word may say which one was meant. */
	if (parser->place < parser->argc && parser->argv[parser->place][0] != '-') {
		snprintf(longer, sizeof(longer), "%s %.*s", parser->words, (int)NAME_MAX_BYTES,
			 parser->argv[parser->place]);
		consider_commands(&nearest, longer, parser->table, false);
	}
	if (!nearest.name) consider_commands(&nearest, parser->words, parser->table, true);
	if (nearest.name)
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT,
				     "unknown command \"%s\": did you mean \"%.*s\"?", parser->words,
				     (int)nearest.length, nearest.name);
	return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "unknown command \"%s\": see fts-cli --help",
			     parser->words);
}

static enum fts_status set_value(struct parser *parser, const struct ftsi_flag *flag, const char *text,
				 struct ftsi_value *value)
{
	struct fts_error why;
	enum fts_status st = FTS_OK;
	uint32_t duration_ms = 0;
	int64_t time_ms = 0;

	value->text = text;
	switch (flag->kind) {
	case FTSI_BOOL:
		value->number = 1;
		break;
	case FTSI_TEXT:
		break;
	case FTSI_NUMBER:
		st = ftsi_number_parse(text, flag->min, flag->max ? flag->max : UINT64_MAX, &value->number, &why);
		break;
	case FTSI_DURATION:
		st = ftsi_duration_parse(text, &duration_ms, &why);
		value->number = duration_ms;
		break;
	case FTSI_TIME:
		st = ftsi_time_parse(text, parser->now_ms, &time_ms, &why);
		value->number = (uint64_t)time_ms;
		break;
	}
	if (st != FTS_OK) return fts_error_set(parser->error, st, "--%s: %s", flag->name, why.detail);
	return FTS_OK;
}

static const struct ftsi_flag *find_in(const struct ftsi_flag *flags, size_t count, const char *name, size_t length,
				       struct ftsi_value *values, struct ftsi_value **out_value)
{
	for (size_t i = 0; i < count && flags[i].name; i++) {
		bool is_letter = length == 1 && flags[i].letter && flags[i].letter == name[0];
		if (is_letter || (strlen(flags[i].name) == length && memcmp(flags[i].name, name, length) == 0)) {
			*out_value = &values[i];
			return &flags[i];
		}
	}
	return NULL;
}

/* arg begins with a dash. */
static enum fts_status take_flag(struct parser *parser, const char *arg)
{
	const char *name = arg + (arg[1] == '-' ? 2 : 1);
	const char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	struct ftsi_value *value = NULL;
	const struct ftsi_flag *flag = NULL;

	if (parser->args->command)
		flag =
		    find_in(parser->args->command->flags, FTSI_FLAGS_MAX, name, length, parser->args->values, &value);
	if (!flag) flag = find_in(parser->table->globals, SIZE_MAX, name, length, parser->args->globals, &value);
	if (!flag || (arg[1] != '-') != (length == 1 && flag->letter == name[0])) return refuse_flag(parser, arg, name);
	const char *text = equals ? equals + 1 : NULL;
	if (flag->kind == FTSI_BOOL && text)
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "--%s takes no value", flag->name);
	if (flag->kind != FTSI_BOOL && !text) {
		if (parser->place == parser->argc)
			return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "--%s needs a value: --%s %s",
					     flag->name, flag->name, flag->value_name);
		text = parser->argv[parser->place++];
	}
	if (value->given && flag->kind != FTSI_BOOL)
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "--%s is given twice", flag->name);
	value->given = true;
	return set_value(parser, flag, text, value);
}

/* Another word of the command's name. */
static enum fts_status take_name(struct parser *parser, const char *word)
{
	size_t used = strlen(parser->words);
	int wanted = snprintf(parser->words + used, sizeof(parser->words) - used, "%s%s", used ? " " : "", word);
	size_t length = strlen(parser->words);

	if (wanted < 0 || (size_t)wanted >= sizeof(parser->words) - used) return refuse_command(parser);
	parser->args->group[0] = '\0';
	for (size_t i = 0; i < parser->table->command_count; i++) {
		const struct ftsi_command *command = &parser->table->commands[i];
		if (strcmp(command->name, parser->words) == 0) {
			parser->args->command = command;
			return FTS_OK;
		}
		if (strncmp(command->name, parser->words, length) != 0 || command->name[length] != ' ') continue;
		memcpy(parser->args->group, parser->words, length + 1);
	}
	return parser->args->group[0] ? FTS_OK : refuse_command(parser);
}

static enum fts_status take_word(struct parser *parser, const char *word)
{
	struct ftsi_args *args = parser->args;

	if (!args->command && !parser->words[0] && !parser->help_word && strcmp(word, "help") == 0) {
		parser->help_word = true;
		return FTS_OK;
	}
	if (!args->command) return take_name(parser, word);
	if (args->positional_count == FTSI_POSITIONALS_MAX || !args->command->positionals[args->positional_count])
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT,
				     "\"%s\" is one argument too many: see "
				     "fts-cli %s --help",
				     word, args->command->name);
	args->positionals[args->positional_count++] = word;
	return FTS_OK;
}

/* The rest belongs to another program: nothing in it is ours, not even --help. */
static enum fts_status take_rest(struct parser *parser)
{
	parser->args->rest = parser->argv + parser->place;
	parser->args->rest_count = (size_t)(parser->argc - parser->place);
	parser->place = parser->argc;
	return FTS_OK;
}

static enum fts_status take(struct parser *parser)
{
	const char *arg = parser->argv[parser->place++];

	if (strcmp(arg, "--") == 0 && parser->args->command && parser->args->command->rest) return take_rest(parser);
	if (parser->flags_ended || arg[0] != '-' || !arg[1]) return take_word(parser, arg);
	if (strcmp(arg, "--") == 0) {
		parser->flags_ended = true;
		return FTS_OK;
	}
	return take_flag(parser, arg);
}

/* Defaults of what was not given; they are ours, so they parse. */
static void set_defaults(struct parser *parser, const struct ftsi_flag *flags, size_t count, struct ftsi_value *values)
{
	for (size_t i = 0; i < count && flags[i].name; i++)
		if (!values[i].given && flags[i].default_text)
			FTS_ASSERT(set_value(parser, &flags[i], flags[i].default_text, &values[i]) == FTS_OK);
}

static enum fts_status check_complete(struct parser *parser)
{
	const struct ftsi_command *command = parser->args->command;

	for (size_t i = 0; i < FTSI_POSITIONALS_MAX && command->positionals[i]; i++)
		if (i >= parser->args->positional_count && command->positionals[i][0] != '[')
			return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "%s needs %s: see fts-cli %s --help",
					     command->name, command->positionals[i], command->name);
	if (command->rest && parser->args->rest_count == 0)
		return fts_error_set(parser->error, FTS_INVALID_ARGUMENT, "%s needs -- %s: see fts-cli %s --help",
				     command->name, command->rest, command->name);
	for (size_t i = 0; i < FTSI_FLAGS_MAX && command->flags[i].name; i++)
		if (command->flags[i].required && !parser->args->values[i].given)
			return fts_error_set(parser->error, FTS_INVALID_ARGUMENT,
					     "%s needs --%s %s: see fts-cli %s --help", command->name,
					     command->flags[i].name, command->flags[i].value_name, command->name);
	return FTS_OK;
}

/* After a fault the rest is not parsed, yet the error must be told as the user asked for it. */
static void note_json(struct parser *parser)
{
	for (; parser->place < parser->argc && !parser->flags_ended; parser->place++) {
		const char *arg = parser->argv[parser->place];
		parser->flags_ended = strcmp(arg, "--") == 0;
		for (size_t i = 0; parser->table->globals[i].name; i++)
			if (parser->table->globals[i].kind == FTSI_BOOL && strncmp(arg, "--", 2) == 0 &&
			    strcmp(arg + 2, parser->table->globals[i].name) == 0)
				parser->args->globals[i].given = true;
	}
}

enum fts_status ftsi_args_parse(const struct ftsi_table *table, int argc, char *const *argv, int64_t now_ms,
				struct ftsi_value *globals, struct ftsi_args *out_args, struct fts_error *out_error)
{
	struct parser parser = {.table = table,
				.args = out_args,
				.error = out_error,
				.argv = argv,
				.argc = argc,
				.place = 1,
				.now_ms = now_ms};
	enum fts_status st = FTS_OK;

	*out_args = (struct ftsi_args){.globals = globals};
	while (st == FTS_OK && parser.place < argc)
		st = take(&parser);
	note_json(&parser);
	set_defaults(&parser, table->globals, SIZE_MAX, globals);
	if (out_args->command) set_defaults(&parser, out_args->command->flags, FTSI_FLAGS_MAX, out_args->values);
	if (parser.help_word) globals[FTSI_GLOBAL_HELP].given = true;
	if (st != FTS_OK || globals[FTSI_GLOBAL_HELP].given || globals[FTSI_GLOBAL_VERSION].given) return st;
	if (out_args->command) return check_complete(&parser);
	if (out_args->group[0])
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s needs a command: see fts-cli %s --help",
				     out_args->group, out_args->group);
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "which command? See fts-cli --help");
}
