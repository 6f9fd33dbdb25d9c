/* Why this file exists: `kv load` and `kv dump` hold one batch, or one page, at a time, however large the file is: what
 * they take of memory is measured by the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/harness/cluster.h"
#include "tests/harness/process.h"

#define LIMIT_MS 240000u
enum { ROWS = 768, VALUE_BYTES = 65536 }; /* 48 MiB */
#define MEMORY_KIB_MAX 36864              /* most of it is the program and what it links */

static struct harness_cluster cluster; /* outlives a test that fails */

static void write_rows(const char *path)
{
	static char value[VALUE_BYTES + 1];
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	memset(value, 'v', VALUE_BYTES);
	for (int i = 0; i < ROWS; i++)
		(void)fprintf(file, "row-%04d\t%s\n", i, value);
	assert_int_equal(fclose(file), 0);
}

/* Of the largest of all processes that have ended, in KiB. */
static long most_memory_kib(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
	return usage.ru_maxrss;
}

static void large_files_take_little_memory(void **state)
{
	char path[HARNESS_PATH_MAX + 16];
	const char *load[] = {"fts-cli", "--endpoints", NULL, "kv", "load", path, NULL};
	const char *dump[] = {"fts-cli", "--endpoints", NULL, "kv", "dump", NULL};
	char *out = NULL;
	(void)state;
	harness_cluster_init(&cluster, 1);
	harness_cluster_start(&cluster);
	(void)snprintf(path, sizeof path, "%s/rows.tsv", cluster.members[0].root);
	write_rows(path);
	load[2] = dump[2] = cluster.members[0].endpoint;
	assert_int_equal(harness_run(load, LIMIT_MS, NULL, NULL), 0);
	long load_kib = most_memory_kib();
	assert_int_equal(harness_run(dump, LIMIT_MS, &out, NULL), 0);
	long dump_kib = most_memory_kib();
	assert_int_equal(strlen(out), (size_t)ROWS * (VALUE_BYTES + strlen("row-0000\t\n")));
	free(out);
	print_message("load: %ld KiB, dump: %ld KiB or less\n", load_kib, dump_kib);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(load_kib, 0, MEMORY_KIB_MAX);
	assert_in_range(dump_kib, 0, MEMORY_KIB_MAX);
#endif
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(large_files_take_little_memory)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
