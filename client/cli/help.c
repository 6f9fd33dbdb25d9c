/* Why this file exists: the one printer of --help; see help.h. */
#include "client/cli/help.h"

#include <string.h>

#define TEXT_COLUMNS 100u

/* text from column on, broken at spaces, lines after the first indented likewise. */
static void print_wrapped(FILE *out, const char *text, size_t column)
{
	size_t at = column;

	while (*text) {
		size_t word = strcspn(text, " ");
		if (at > column && at + 1 + word > TEXT_COLUMNS) {
			fprintf(out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", (int)word, text);
		at += word;
		text += word + (text[word] == ' ');
	}
	fputc('\n', out);
}

static void print_flag(FILE *out, const struct ftsi_flag *flag)
{
	char left[64], right[512];
	const char *value = flag->value_name;
	char letter[8] = "";

	if (flag->letter) snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name, value ? " " : "", value ? value : "");
	snprintf(right, sizeof(right), "%s%s%s%s%s", flag->purpose, flag->required ? " (needed)" : "",
		 flag->default_text ? " (default: " : "", flag->default_text ? flag->default_text : "",
		 flag->default_text ? ")" : "");
	/* "…" is three bytes and one column. */
	int padding = strstr(left, "…") ? 30 : 28;
	fprintf(out, "  %-*s  ", padding, left);
	print_wrapped(out, right, 32);
}

static void print_flags(FILE *out, const char *title, const struct ftsi_flag *flags, size_t count)
{
	if (!flags[0].name) return;
	fprintf(out, "\n%s:\n", title);
	for (size_t i = 0; i < count && flags[i].name; i++)
		print_flag(out, &flags[i]);
}

void ftsi_help_command(FILE *out, const struct ftsi_table *table, const struct ftsi_command *command)
{
	print_wrapped(out, command->purpose, 0);
	fprintf(out, "\nUsage: fts-cli %s", command->name);
	for (size_t i = 0; i < FTSI_POSITIONALS_MAX && command->positionals[i]; i++)
		fprintf(out, " %s", command->positionals[i]);
	for (size_t i = 0; i < FTSI_FLAGS_MAX && command->flags[i].name; i++)
		if (command->flags[i].required)
			fprintf(out, " --%s %s", command->flags[i].name, command->flags[i].value_name);
	fprintf(out, " [flags]%s%s\n", command->rest ? " -- " : "", command->rest ? command->rest : "");
	print_flags(out, "Flags", command->flags, FTSI_FLAGS_MAX);
	print_flags(out, "Flags of every command", table->globals, SIZE_MAX);
	fprintf(out, "\nExample:\n  fts-cli %s\n", command->example);
}

void ftsi_help_overview(FILE *out, const struct ftsi_table *table, const char *group)
{
	size_t group_length = group ? strlen(group) : 0;

	fprintf(out,
		"Calls the servers of an fts cluster.\n\nUsage: fts-cli %s%sCOMMAND [ARGUMENTS] [flags]\n"
		"\nCommands:\n",
		group ? group : "", group ? " " : "");
	for (size_t i = 0; i < table->command_count; i++) {
		const struct ftsi_command *command = &table->commands[i];
		if (group && (strncmp(command->name, group, group_length) != 0 || command->name[group_length] != ' '))
			continue;
		fprintf(out, "  %-18s  ", command->name);
		print_wrapped(out, command->purpose, 22);
	}
	print_flags(out, "Flags of every command", table->globals, SIZE_MAX);
	fprintf(out,
		"\nExit codes: 0 done, 1 a clear no, 2 wrong usage, 3 partly done, 4 no server reachable, "
		"5 time limit passed.\n\nExample:\n  fts-cli %s%s--help\n",
		group ? group : "lottery open", " ");
}
