/* Why this file exists: a directory of each test's own. */
#ifndef FTS_TESTS_STORE_DIRECTORY_H
#define FTS_TESTS_STORE_DIRECTORY_H

/* A new directory under $TMPDIR or /tmp. Returned (remove_directory). */
char *make_directory(void);
/* With all that is in it. directory: owned. */
void remove_directory(char *directory);

#endif
