/* Why this file exists: a command as one text, split into the words that a program gets, without a shell. */
#ifndef FTSI_ELECT_WORDS_H
#define FTSI_ELECT_WORDS_H

#include <stdbool.h>

/* Blanks divide; '…' and "…" keep them, a backslash takes the next character as it is (not within '…'). Nothing else
 * means anything. Returned (ftsi_words_free), NULL-ended. NULL: no word, a quote that does not end, or no memory. */
char **ftsi_words_split(const char *text);
/* /bin/sh -c text. Returned. */
char **ftsi_words_shell(const char *text);
void ftsi_words_free(char **words); /* NULL: no-op */

#endif
