/* Why this file exists: see elect_words.h. All words lie in one block behind their pointers. */
#include "client/cli/elect_words.h"

#include <stdlib.h>
#include <string.h>

struct splitter {
	const char *from;
	char *to;
	char quote; /* 0: none */
};

/* One character of a word, or the end of it (false). */
static bool step(struct splitter *splitter)
{
	char c = *splitter->from;
	if (c == 0 || (splitter->quote == 0 && strchr(" \t\r\n", c) != NULL)) return false;
	splitter->from++;
	if (splitter->quote != 0 && c == splitter->quote) {
		splitter->quote = 0;
	} else if (splitter->quote == 0 && (c == '\'' || c == '"')) {
		splitter->quote = c;
	} else if (c == '\\' && splitter->quote != '\'' && *splitter->from != 0) {
		*splitter->to++ = *splitter->from++;
	} else {
		*splitter->to++ = c;
	}
	return true;
}

char **ftsi_words_split(const char *text)
{
	size_t length = strlen(text), count = 0;
	char **words = calloc(1, (length / 2 + 2) * sizeof(*words) + length + 1);
	struct splitter splitter = {.from = text};
	if (words == NULL) return NULL;
	splitter.to = (char *)(words + length / 2 + 2);
	for (;;) {
		splitter.from += strspn(splitter.from, " \t\r\n");
		if (*splitter.from == 0) break;
		words[count++] = splitter.to;
		while (step(&splitter))
			;
		*splitter.to++ = 0;
	}
	if (count > 0 && splitter.quote == 0) return words;
	free(words);
	return NULL;
}

char **ftsi_words_shell(const char *text)
{
	size_t size_bytes = strlen(text) + 1;
	char **words = calloc(1, 4 * sizeof(*words) + size_bytes);
	if (words == NULL) return NULL;
	words[0] = (char *)"/bin/sh";
	words[1] = (char *)"-c";
	words[2] = memcpy(words + 4, text, size_bytes);
	return words;
}

void ftsi_words_free(char **words)
{
	free(words);
}
