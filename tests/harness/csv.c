/* Why this file exists: see tests/harness/csv.h. The files' fields hold no quotes or commas, which is checked. */
#include "tests/harness/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/process.h"

void harness_csv_directory(char *out_directory)
{
	char first[HARNESS_PATH_MAX + 32];
	snprintf(out_directory, HARNESS_PATH_MAX, "%s/../shared/data/lottery", harness_source_root());
	snprintf(first, sizeof(first), "%s/agency-1.csv", out_directory);
	if (access(first, R_OK) == 0) return;
	harness_directory_make(out_directory);
	const char *argv[] = {"fts-cli", "lottery", "generate", out_directory, "--agencies", "5",
			      "--rows",  "78697",   "--seed",   "1",           NULL};
	assert_int_equal(harness_run(argv, 30000, NULL, NULL), 0);
}

/* Cuts line at its commas; fails the test when there are not five fields. */
static void split(char *line, char *fields[5])
{
	size_t count = 0;
	line[strcspn(line, "\r\n")] = '\0';
	assert_null(strchr(line, '"'));
	for (char *rest = line, *field; (field = strsep(&rest, ",")) != NULL; count++) {
		if (count == 5) fail_msg("a row has more than five fields");
		fields[count] = field;
	}
	assert_int_equal(count, 5);
}

char *harness_csv_winners(const char *path, uint32_t number)
{
	char *line = NULL, *winners = NULL, *fields[5];
	size_t capacity = 0, size = 0;
	FILE *file = fopen(path, "rb"), *out = open_memstream(&winners, &size);
	assert_non_null(file);
	assert_non_null(out);
	while (getline(&line, &capacity, file) > 0) {
		split(line, fields);
		if (strtoul(fields[4], NULL, 10) == number) fprintf(out, "%s\n", fields[2]);
	}
	free(line);
	fclose(file);
	fclose(out);
	return winners;
}

size_t harness_csv_rows(const char *path)
{
	size_t rows = 0, size;
	char *text = harness_file_read(path, &size);
	assert_non_null(text);
	for (size_t i = 0; i < size; i++)
		rows += text[i] == '\n';
	free(text);
	return rows;
}
