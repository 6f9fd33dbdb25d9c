/* Why this file exists: the lottery of five agencies, whole: 78,697 bets imported at once into a real node, closed,
 * drawn, and the winners compared with a plain scan of the files; then the same while the node and the importers are
 * killed at random moments. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/harness/clock.h"
#include "tests/harness/csv.h"

#define AGENCIES 5
#define KILLS 20
#define LIMIT_S 280
#define IMPORT_TIMEOUT_MS 60000

static char files[HARNESS_PATH_MAX];

static size_t rows_of(unsigned agency)
{
	char path[HARNESS_PATH_MAX + 32];
	snprintf(path, sizeof(path), "%s/agency-%u.csv", files, agency);
	return harness_csv_rows(path);
}

static size_t rows_of_all(void)
{
	size_t rows = 0;
	for (unsigned agency = 1; agency <= AGENCIES; agency++)
		rows += rows_of(agency);
	return rows;
}

static void check_draw(const struct harness_node *node, const char *draw)
{
	char bundle[HARNESS_PATH_MAX + 32];
	char *status = cli_read(node, "--json", "lottery", "status", draw, NULL);
	assert_int_equal(json_number(status, "bets"), rows_of_all());
	assert_non_null(strstr(status, "DRAWN"));
	free(status);
	for (unsigned agency = 1; agency <= AGENCIES; agency++)
		winners_check(node, draw, agency, files);
	snprintf(bundle, sizeof(bundle), "%s/%s.bundle", node->root, draw);
	cli_do(node, "lottery", "export", draw, "--out", bundle, NULL);
	const char *verify[] = {"fts-verify", bundle, NULL};
	assert_int_equal(harness_run(verify, 30000, NULL, NULL), 0);
}

static void five_imports_at_once(void **state)
{
	struct harness_node node;
	struct harness_process imports[AGENCIES] = {0};
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	cli_do(&node, "lottery", "open", "five", "--agencies", "5", "--number", "7574", NULL);
	for (unsigned i = 0; i < AGENCIES; i++)
		import_start(&imports[i], &node, "five", i + 1, files, "200");
	for (unsigned i = 0; i < AGENCIES; i++) {
		assert_true(harness_process_wait(&imports[i], IMPORT_TIMEOUT_MS));
		char *out = harness_process_stdout(&imports[i]), *err = harness_process_stderr(&imports[i]);
		if (imports[i].exit_code != 0) fail_msg("import %u: exit %d: %s", i + 1, imports[i].exit_code, err);
		assert_int_equal(json_number(out, "stored"), rows_of(i + 1));
		assert_int_equal(json_number(out, "refused"), 0);
		free(out);
		free(err);
	}
	agencies_close(&node, "five", AGENCIES);
	check_draw(&node, "five");
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
}

/* ---- With kills ---- */

struct chaos {
	struct harness_node node;
	struct harness_process imports[AGENCIES];
	bool complete[AGENCIES];
	struct harness_random random;
	unsigned node_kills, import_kills;
};

/* Let every import run that is not complete. */
static void keep_importing(struct chaos *chaos)
{
	for (unsigned i = 0; i < AGENCIES; i++) {
		if (harness_process_running(&chaos->imports[i]) || chaos->complete[i]) continue;
		chaos->complete[i] = chaos->imports[i].exit_code == 0 && chaos->imports[i].out_path[0] != '\0';
		if (!chaos->complete[i]) import_start(&chaos->imports[i], &chaos->node, "chaos", i + 1, files, "20");
	}
}

static void kill_somebody(struct chaos *chaos)
{
	uint32_t who = harness_random_below(&chaos->random, AGENCIES * 2);
	if (who < AGENCIES && harness_process_running(&chaos->imports[who])) {
		harness_process_kill(&chaos->imports[who]);
		chaos->import_kills++;
		return;
	}
	harness_node_kill(&chaos->node);
	harness_node_start(&chaos->node);
	chaos->node_kills++;
}

static void pause_us(struct harness_random *random, uint32_t most_us)
{
	uint64_t until_ns = harness_now_ns() + (uint64_t)harness_random_below(random, most_us) * 1000;
	for (struct harness_wait wait = harness_wait_ms(1000); harness_now_ns() < until_ns;)
		if (!harness_wait_more(&wait)) break;
}

static void imports_while_all_is_killed(void **state)
{
	struct chaos chaos = {.random = {0}};
	const char *seed = getenv("FTS_TEST_SEED");
	(void)state;
	chaos.random.state = seed != NULL ? strtoull(seed, NULL, 10) : harness_now_ns();
	print_message("FTS_TEST_SEED=%" PRIu64 "\n", chaos.random.state);
	harness_node_init(&chaos.node);
	harness_node_start(&chaos.node);
	cli_do(&chaos.node, "lottery", "open", "chaos", "--agencies", "5", "--number", "7574", NULL);
	for (unsigned kills = 0; kills < KILLS; kills++) {
		keep_importing(&chaos);
		pause_us(&chaos.random, 60000);
		kill_somebody(&chaos);
	}
	print_message("killed: node %u, importers %u\n", chaos.node_kills, chaos.import_kills);
	for (struct harness_wait wait = harness_wait_ms(IMPORT_TIMEOUT_MS);;) {
		keep_importing(&chaos);
		unsigned complete = 0;
		for (unsigned i = 0; i < AGENCIES; i++)
			complete += chaos.complete[i];
		if (complete == AGENCIES) break;
		if (!harness_wait_more(&wait)) fail_msg("imports are not complete");
	}
	agencies_close(&chaos.node, "chaos", AGENCIES);
	check_draw(&chaos.node, "chaos");
	harness_node_kill(&chaos.node);
	harness_node_start(&chaos.node);
	check_draw(&chaos.node, "chaos");
	assert_int_equal(harness_node_stop(&chaos.node), 0);
	harness_node_fini(&chaos.node);
}

static int find_files(void **state)
{
	(void)state;
	harness_csv_directory(files);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(five_imports_at_once),
	    cmocka_unit_test(imports_while_all_is_killed),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, find_files, NULL);
}
