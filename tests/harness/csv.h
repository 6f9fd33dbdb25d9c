/* Why this file exists: the bets of the five agencies as plain files, and the winners that a plain scan of them gives:
 * what the lottery has to agree with. */
#ifndef FTS_TESTS_HARNESS_CSV_H
#define FTS_TESTS_HARNESS_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "tests/harness/directory.h"

/* Directory with agency-1.csv .. agency-5.csv: the real ones beside the source tree when they are there, otherwise
 * made by `fts-cli lottery generate`. out_directory: HARNESS_PATH_MAX bytes. */
void harness_csv_directory(char *out_directory);
/* Documents of the rows of path with this number, one a line, in file order: returned (free()). */
char *harness_csv_winners(const char *path, uint32_t number);
size_t harness_csv_rows(const char *path);

#endif
