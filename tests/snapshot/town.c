/* Why this file exists: see town.h. */
#include "town.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENT_COUNT_MAX = 24, CLI_MS = 60000 };

void town_init(struct town *town, size_t count, unsigned rows)
{
	char number[16];
	(void)snprintf(number, sizeof number, "%u", rows);
	harness_cluster_init(&town->cluster, count);
	town->cluster.flags[0] = "--snapshot-mb";
	town->cluster.flags[1] = "1";
	harness_directory_make(town->files);
	town_do(town, "lottery", "generate", town->files, "--agencies", "4", "--rows", number, NULL);
}

static int run(const char *endpoints, char **out, char **err, va_list list)
{
	const char *argv[ARGUMENT_COUNT_MAX] = {"fts-cli", "--endpoints", endpoints};
	size_t count = 3;
	char *said = NULL;
	int code;
	while ((argv[count] = va_arg(list, const char *)) != NULL)
		assert_true(++count < ARGUMENT_COUNT_MAX);
	code = harness_run(argv, CLI_MS, out, err == NULL ? &said : err);
	if (code != 0 && err == NULL) print_message("fts-cli %s %s: %d: %s\n", argv[3], argv[4], code, said);
	free(said);
	return code;
}

int town_cli(struct town *town, char **out, char **err, ...)
{
	va_list list;
	int code;
	va_start(list, err);
	code = run(town->cluster.endpoints, out, err, list);
	va_end(list);
	return code;
}

void town_do(struct town *town, ...)
{
	va_list list;
	va_start(list, town);
	assert_int_equal(run(town->cluster.endpoints, NULL, NULL, list), 0);
	va_end(list);
}

void town_open(struct town *town, const char *draw)
{
	town_do(town, "lottery", "open", draw, "--agencies", "4", "--number", "7574", NULL);
}

static void file_of(const struct town *town, unsigned agency, char *out)
{
	(void)snprintf(out, HARNESS_PATH_MAX + 32, "%s/agency-%u.csv", town->files, agency);
}

void town_import(struct town *town, const char *draw, unsigned agency)
{
	char file[HARNESS_PATH_MAX + 32], number[16];
	file_of(town, agency, file);
	(void)snprintf(number, sizeof number, "%u", agency);
	town_do(town, "lottery", "import", draw, "--agency", number, file, NULL);
}

void town_import_begin(struct town *town, const char *draw, unsigned agency, struct harness_process *process)
{
	char file[HARNESS_PATH_MAX + 32], number[16];
	const char *argv[] = {
	    "fts-cli", "--endpoints", town->cluster.endpoints, "lottery", "import", draw, "--agency", number,
	    file,      NULL};
	file_of(town, agency, file);
	(void)snprintf(number, sizeof number, "%u", agency);
	harness_process_start(process, town->files, "import", argv);
}

/* The part of JSON that does not depend on who was asked when. */
static char *stale_status(const char *endpoint, const char *draw)
{
	char request[128];
	const char *argv[] = {"fts-cli", "--endpoints", endpoint, "call", "--stale", "fts.lottery.v1.Lottery/Status",
			      "--data",  request,       NULL};
	char *out = NULL;
	int code;
	(void)snprintf(request, sizeof request, "{\"draw\":\"%s\"}", draw);
	code = harness_run(argv, CLI_MS, &out, NULL);
	if (code != 0) {
		free(out);
		out = NULL;
	}
	return out;
}

char *town_status(struct town *town, size_t member, const char *draw)
{
	char *status = stale_status(town->cluster.members[member].endpoint, draw);
	assert_non_null(status);
	return status;
}

size_t town_follower(struct town *town)
{
	size_t leader = harness_cluster_wait_leader(&town->cluster, HARNESS_NOBODY, 20000);
	for (size_t i = 0; i < town->cluster.count; i++)
		if (i != leader && harness_cluster_runs(&town->cluster, i)) return i;
	fail_msg("nobody follows");
	return 0;
}

void town_wait_log(struct town *town, size_t member, const char *text, uint32_t timeout_ms)
{
	struct harness_member *node = &town->cluster.members[member];
	if (!harness_process_wait_stderr(&node->process, text, node->started_at, timeout_ms))
		fail_msg("%s did not say within %u ms: %s", node->name, timeout_ms, text);
}

void town_check_equal(struct town *town, const char *draw)
{
	char *first = NULL;
	(void)harness_cluster_wait_equal(&town->cluster, 60000);
	for (size_t i = 0; i < town->cluster.count; i++) {
		char *status = town_status(town, i, draw);
		if (first == NULL) first = strdup(status);
		assert_string_equal(status, first);
		free(status);
	}
	free(first);
}
