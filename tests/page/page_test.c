/* Why this file exists: the page of a node as somebody sees it who watches a cluster while a node dies: in headless
 * Chromium, over real nodes. Screenshots (desktop, phone, dark) are left in $FTS_SCREENSHOT_DIR, or in the build tree;
 * `make screenshot` makes the one of the docs that way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/harness/cluster.h"
#include "tests/http/client.h"
#include "tests/page/browser.h"

#define NODES 3
#define SETTLE_MS 60000

static struct harness_cluster cluster;
static struct browser browser;
static struct harness_process worker;
static char directory[HARNESS_PATH_MAX], addresses[NODES][32];

static uint16_t door(size_t member)
{
	return (uint16_t)(cluster.members[member].port + 5);
}

static char *call(size_t member, const char *method, const char *json)
{
	struct http_answer answer;
	http_call(door(member), method, json, &answer);
	if (answer.status != 200) fail_msg("%s: %s", method, answer.body);
	return answer.body;
}

static void screenshot(const char *name)
{
	char path[HARNESS_PATH_MAX + 64];
	const char *kept = getenv("FTS_SCREENSHOT_DIR");
	snprintf(path, sizeof(path), "%s/page-%s.png", kept != NULL ? kept : FTS_SCREENSHOTS, name);
	browser_screenshot(&browser, path);
	print_message("screenshot: %s\n", path);
}

static void wait_for(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void wait_for(const char *format, ...)
{
	char expression[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(expression, sizeof(expression), format, arguments);
	va_end(arguments);
	browser_wait(&browser, expression, SETTLE_MS);
}

/* As soon as it is there and may be clicked. */
static void click(const char *selector)
{
	char expression[512];
	snprintf(expression, sizeof(expression),
		 "(() => { const button = document.querySelector('%s'); if (!button || button.disabled) return false; "
		 "button.click(); return true; })()",
		 selector);
	browser_wait(&browser, expression, SETTLE_MS);
}

/* ---- What is seen ---- */

static void nodes_are_shown(size_t leader)
{
	wait_for("document.querySelectorAll('.node[data-state=good]').length === %d", NODES);
	wait_for("document.querySelector('.node[data-role=leader]').dataset.node === 'n%zu'", leader + 1);
	wait_for("document.querySelector('#live').dataset.state === 'up'");
	wait_for("document.querySelectorAll('.grid i[data-state=good]').length === 256");
}

/* Nobody reloads: each comes by an event. */
static void changes_come_by_themselves(size_t at)
{
	free(call(at, "fts.lottery.v1.Lottery/Open",
		  "{\"draw\":\"christmas\",\"agencies\":2,\"fixed\":true,\"number\":7574}"));
	wait_for("document.querySelector('#draws').innerText.includes('christmas')");
	free(call(
	    at, "fts.lottery.v1.Lottery/StoreBet",
	    "{\"draw\":\"christmas\",\"agency\":1,\"bet\":{\"firstName\":\"A\",\"lastName\":\"B\",\"document\":\"1\","
	    "\"birthdate\":\"1999-03-17\",\"number\":7574}}"));
	free(call(at, "fts.lottery.v1.Lottery/AgencyClose", "{\"draw\":\"christmas\",\"agency\":1}"));
	wait_for("document.querySelector('#draws').innerText.includes('1 of 2')");
	free(call(at, "fts.elector.v1.Elector/Elect",
		  "{\"election\":\"boss\",\"member\":{\"id\":\"a\",\"startedMs\":\"1000\",\"leaseMs\":600000}}"));
	free(call(at, "fts.elector.v1.Elector/Elect",
		  "{\"election\":\"boss\",\"member\":{\"id\":\"b\",\"startedMs\":\"2000\",\"leaseMs\":600000}}"));
	wait_for("document.querySelector('[data-master]')?.dataset.master === 'a'");
	/* A name is never markup. */
	free(call(at, "fts.elector.v1.Elector/Message",
		  "{\"election\":\"boss\",\"sender\":\"a\",\"text\":\"<b>hi</b>\"}"));
	wait_for("document.querySelector('#events').innerText.includes('<b>hi</b>')");
}

/* A worker comes by an event, too. */
static void worker_is_shown(size_t at)
{
	char endpoints[32];
	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", cluster.members[at].port);
	const char *const argv[] = {"fts-cli",    "--endpoints", endpoints, "worker", "run", "render",
				    "--capacity", "4",           "--",      "cat",    NULL};
	harness_process_start(&worker, directory, "worker", argv);
	wait_for("document.querySelector('#workers').innerText.includes('render')");
	wait_for("document.querySelector('#workers').innerText.includes('0 of 4')");
}

/* One plays in the page, the other from elsewhere. */
static void match_is_played(size_t at)
{
	char request[256], match[64], token[128];
	wait_for("document.querySelector('#rules option') !== null");
	browser_wait(&browser, "(document.querySelector('#rules').value = 'tictactoe', true)", SETTLE_MS);
	click("#create");
	wait_for("document.querySelector('.match #join') !== null || document.querySelector('#join') !== null");
	browser_wait(&browser, "(document.querySelector('#matches input').value = 'Ada', true)", SETTLE_MS);
	click("#join");
	wait_for("document.querySelector('.seats').innerText.includes('Ada (you)')");
	json_t *value = browser_value(&browser, "document.querySelector('.match').dataset.match");
	snprintf(match, sizeof(match), "%s", json_string_value(value));
	json_decref(value);
	snprintf(request, sizeof(request), "{\"match\":\"%s\",\"name\":\"Bo\"}", match);
	char *answer = call(at, "fts.game.v1.Game/Join", request);
	json_t *seat = json_loads(answer, 0, NULL);
	snprintf(token, sizeof(token), "%s", json_string_value(json_object_get(seat, "token")));
	json_decref(seat);
	free(answer);
	wait_for("document.querySelector('[data-move=\"2,2\"]') !== null");
	click("[data-move=\"2,2\"]");
	wait_for("document.querySelector('.match').dataset.ply === '1'");
	snprintf(request, sizeof(request), "{\"match\":\"%s\",\"token\":\"%s\",\"move\":\"1,1\"}", match, token);
	free(call(at, "fts.game.v1.Game/Move", request));
	wait_for("document.querySelector('.match').dataset.ply === '2'");
	wait_for("document.querySelectorAll('.board .x').length === 1 && document.querySelectorAll('.board .o').length "
		 "=== 1");
	wait_for("document.querySelector('.match').innerText.includes('your move')");
}

/* The leader dies and comes back; the page was of another node. */
static void death_is_seen(size_t leader)
{
	harness_cluster_kill(&cluster, leader);
	wait_for("document.querySelector('[data-node=n%zu]').dataset.role === 'away'", leader + 1);
	wait_for("!['', 'n%zu'].includes(document.querySelector('.node[data-role=leader]')?.dataset.node ?? '')",
		 leader + 1);
	wait_for("document.querySelectorAll('.grid i[data-state=warn]').length === 256");
	screenshot("death");
	click("[data-move=\"2,1\"]"); /* the match goes on meanwhile */
	wait_for("document.querySelector('.match').dataset.ply === '3'");
	harness_cluster_restart(&cluster, leader);
	wait_for("document.querySelectorAll('.node[data-state=good]').length === %d", NODES);
	wait_for("document.querySelectorAll('.grid i[data-state=good]').length === 256");
}

/* The page's own node dies: the page says so, keeps what it knew, and goes on by itself. */
static void own_node_dies(size_t shown)
{
	harness_cluster_kill(&cluster, shown);
	wait_for("document.querySelector('#live').dataset.state !== 'up'");
	wait_for("!document.querySelector('#trouble').hidden");
	wait_for("document.querySelectorAll('.node').length === %d", NODES);
	screenshot("cut-off");
	harness_cluster_restart(&cluster, shown);
	wait_for("document.querySelector('#live').dataset.state === 'up'");
	wait_for("document.querySelector('#trouble').hidden");
	wait_for("document.querySelectorAll('.node[data-state=good]').length === %d", NODES);
}

static void fits(unsigned width, unsigned height, bool dark, const char *name)
{
	browser_set_window(&browser, width, height, dark);
	wait_for("document.documentElement.scrollWidth <= %u", width);
	screenshot(name);
}

static void a_cluster_is_watched(void **state)
{
	char url[64];
	(void)state;
	if (browser_program() == NULL) {
		print_message("NOT RUN: the page in a browser: Chromium is not installed (Debian: chromium)\n");
		skip();
	}
	harness_directory_make(directory);
	harness_cluster_init(&cluster, NODES);
	for (size_t i = 0; i < NODES; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "127.0.0.1:%u", door(i));
		cluster.members[i].flags[0] = "--http";
		cluster.members[i].flags[1] = addresses[i];
	}
	harness_cluster_start(&cluster);
	harness_cluster_wait_voters(&cluster, NODES, SETTLE_MS);
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS), shown = (leader + 1) % NODES;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", door(shown));
	browser_open(&browser, directory, url);
	browser_set_window(&browser, 1280, 1500, false);
	nodes_are_shown(leader);
	changes_come_by_themselves(leader);
	worker_is_shown(leader);
	match_is_played(leader);
	wait_for("document.querySelector('#nodes').innerText.split(' / s').length === %d", NODES + 1);
	fits(1280, 1500, false, "desktop");
	death_is_seen(leader);
	own_node_dies(shown);
	fits(390, 2600, false, "phone");
	fits(390, 2600, true, "phone-dark");
	fits(1280, 1500, true, "dark");
	if (browser.exception_count > 0) fail_msg("scripts failed: %s", browser.exception);
	browser_close(&browser);
	harness_process_kill(&worker);
	harness_cluster_fini(&cluster);
}

static int stop(void **state)
{
	(void)state;
	browser_close(&browser);
	harness_process_kill(&worker);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(a_cluster_is_watched, stop)};
	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
