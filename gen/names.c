/* Why this file exists: see names.h. protoc-gen-c's rules are its own (c_helpers.cc of protobuf-c 1.4.1, told here in
 * our words): a type's parts start upper case and lose '_'; a prefix gets '_' before an upper-case letter that
 * follows one that isn't. */
#include "gen/names.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static bool upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char to_lower(char c)
{
	return upper(c) ? (char)(c - 'A' + 'a') : c;
}

static char to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

char *ftsi_name_snake(struct ftsi_arena *arena, const char *name)
{
	char *snake = ftsi_arena_alloc(arena, 2 * strlen(name) + 1, 1);
	size_t out = 0;

	for (size_t i = 0; name[i] != '\0'; i++) {
		bool after_word = i > 0 && lower_or_digit(name[i - 1]);
		bool after_acronym = i > 0 && upper(name[i - 1]) && name[i + 1] >= 'a' && name[i + 1] <= 'z';

		if (upper(name[i]) && (after_word || after_acronym)) snake[out++] = '_';
		snake[out++] = name[i] == '.' ? '_' : to_lower(name[i]);
	}
	return snake;
}

char *ftsi_name_message_type(struct ftsi_arena *arena, const char *full_name)
{
	char *type = ftsi_arena_alloc(arena, 2 * strlen(full_name) + 1, 1);
	size_t out = 0;
	bool next_upper = true;

	for (const char *s = full_name; *s != '\0'; s++) {
		if (*s == '.') {
			type[out++] = '_';
			type[out++] = '_';
		}
		if (*s == '.' || *s == '_') {
			next_upper = true;
			continue;
		}
		type[out++] = next_upper ? to_upper(*s) : *s;
		next_upper = false;
	}
	return type;
}

char *ftsi_name_message_prefix(struct ftsi_arena *arena, const char *full_name)
{
	char *prefix = ftsi_arena_alloc(arena, 2 * strlen(full_name) + 1, 1);
	size_t out = 0;
	bool was_upper = true;

	for (const char *s = full_name; *s != '\0'; s++) {
		if (*s == '.') {
			prefix[out++] = '_';
			prefix[out++] = '_';
			was_upper = true;
			continue;
		}
		if (upper(*s) && !was_upper) prefix[out++] = '_';
		prefix[out++] = to_lower(*s);
		was_upper = upper(*s);
	}
	return prefix;
}

char *ftsi_name_pb_c_method(struct ftsi_arena *arena, const char *name)
{
	return ftsi_name_message_prefix(arena, name);
}

char *ftsi_name_stem(struct ftsi_arena *arena, const char *file_name)
{
	static const char suffix[] = ".proto";
	size_t n = strlen(file_name);

	if (n > strlen(suffix) && strcmp(file_name + n - strlen(suffix), suffix) == 0) n -= strlen(suffix);
	return ftsi_arena_copy(arena, file_name, n);
}

char *ftsi_name_guard(struct ftsi_arena *arena, const char *file_name)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *stem = ftsi_name_stem(arena, file_name);
	char *guard = ftsi_arena_alloc(arena, 3 * strlen(stem) + 1, 1);
	size_t out = 0;

	for (const char *s = stem; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (*s == '/' || *s == '_') {
			guard[out++] = '_';
		} else if (upper(*s) || lower_or_digit(*s)) {
			guard[out++] = to_upper(*s);
		} else {
			guard[out++] = '_';
			guard[out++] = digits[c >> 4];
			guard[out++] = digits[c & 15];
		}
	}
	return ftsi_arena_format(arena, "%s%s_FTS_H", isalpha((unsigned char)guard[0]) ? "" : "PROTO_", guard);
}

bool ftsi_name_is_reserved(const char *name)
{
	static const char *const words[] = {
	    "auto",   "break",    "case",     "char",     "const",  "continue", "default", "do",     "double",
	    "else",   "enum",     "extern",   "float",    "for",    "goto",     "if",      "inline", "int",
	    "long",   "register", "restrict", "return",   "short",  "signed",   "sizeof",  "static", "struct",
	    "switch", "typedef",  "union",    "unsigned", "void",   "volatile", "while",   "bool",   "true",
	    "false",  "errno",    "assert",   "stdin",    "stdout", "stderr",   "linux",   "unix",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], name) == 0) return true;
	return false;
}

bool ftsi_name_is_identifier(const char *name, bool lower_only)
{
	if (!(name[0] >= 'a' && name[0] <= 'z') && (lower_only || !upper(name[0]))) return false;
	for (const char *s = name; *s != '\0'; s++)
		if (!lower_or_digit(*s) && *s != '_' && (lower_only || !upper(*s))) return false;
	return true;
}

uint32_t ftsi_name_hash(const char *name)
{
	uint32_t hash = 2166136261u;

	for (const char *s = name; *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	return hash;
}
