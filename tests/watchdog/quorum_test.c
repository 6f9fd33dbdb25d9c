/* Why this file exists: when a member may be ended: every view of three and five nodes that matters, as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "watchdog/quorum.h"

#define NODES_MAX 5

/* What one node says: each letter is a member, a.. alive, A.. not; "" : it does not answer. */
struct view {
	const char *alive;
	char leader; /* 0: it knows none */
	uint64_t term;
};

struct quorum_case {
	const char *name;
	size_t count;
	struct view views[NODES_MAX];
	bool takes_no_part;
	bool stays;
};

static const struct quorum_case cases[] = {
    {"all are well: one of three may go", 3, {{"abc", 'b', 1}, {"abc", 'b', 1}, {"abc", 'b', 1}}, false, true},
    {"another is away already: it must stay", 3, {{"abC", 'b', 1}, {"abC", 'b', 1}, {"", 0, 0}}, false, false},
    {"another is away, and it takes no part, but is heard",
     3,
     {{"abC", 'b', 1}, {"abC", 'b', 1}, {"", 0, 0}},
     true,
     false},
    {"another is away, and nobody hears it", 3, {{"abC", 'b', 1}, {"AbC", 'b', 1}, {"", 0, 0}}, true, true},
    {"nobody hears it, yet its loop moves", 3, {{"abC", 'b', 1}, {"AbC", 'b', 1}, {"", 0, 0}}, false, false},
    {"nobody else answers, and it takes no part", 3, {{"abc", 'a', 1}, {"", 0, 0}, {"", 0, 0}}, true, true},
    {"nobody else answers, and its loop moves", 3, {{"abc", 'a', 1}, {"", 0, 0}, {"", 0, 0}}, false, false},
    {"nobody answers at all", 3, {{"", 0, 0}, {"", 0, 0}, {"", 0, 0}}, false, false},
    {"it is alone: there is no majority to lose", 1, {{"a", 'a', 1}}, false, true},
    {"the leader's view counts", 3, {{"abc", 'b', 1}, {"abC", 'b', 2}, {"abc", 'b', 9}}, false, false},
    {"without a leader the newest view counts", 3, {{"abc", 0, 1}, {"abC", 0, 2}, {"abc", 0, 3}}, false, true},
    {"two of five are away: it must stay", 5, {{"abcDE", 'b', 1}, {"abcDE", 'b', 1}, {"abcDE", 'b', 1}}, false, false},
    {"one of five is away: it may go", 5, {{"abcdE", 'b', 1}, {"abcdE", 'b', 1}, {"abcdE", 'b', 1}}, false, true},
};

static const char *const names[] = {"a", "b", "c", "d", "e"};
static const char *const endpoints[] = {"h:1", "h:2", "h:3", "h:4", "h:5"};

static void make_view(const struct view *view, size_t count, Fts__Cluster__V1__StatusResponse *out,
		      Fts__Cluster__V1__NodeStatus *nodes, Fts__Cluster__V1__NodeStatus **list)
{
	fts__cluster__v1__status_response__init(out);
	out->leader = (char *)(uintptr_t)(view->leader != 0 ? names[view->leader - 'a'] : "");
	out->term = view->term;
	out->nodes = list;
	out->n_nodes = count;
	for (size_t i = 0; i < count; i++) {
		fts__cluster__v1__node_status__init(&nodes[i]);
		nodes[i].name = (char *)(uintptr_t)names[i];
		nodes[i].address = (char *)(uintptr_t)endpoints[i];
		nodes[i].role =
		    names[i][0] == view->leader ? FTS__CLUSTER__V1__ROLE__LEADER : FTS__CLUSTER__V1__ROLE__FOLLOWER;
		nodes[i].alive = view->alive[i] >= 'a';
		list[i] = &nodes[i];
	}
}

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct quorum_case *now = &cases[i];
		Fts__Cluster__V1__StatusResponse said[NODES_MAX];
		Fts__Cluster__V1__NodeStatus nodes[NODES_MAX][NODES_MAX], *lists[NODES_MAX][NODES_MAX];
		struct ftsi_quorum_view views[NODES_MAX];
		char detail[200];
		for (size_t k = 0; k < now->count; k++) {
			bool answers = now->views[k].alive != NULL && now->views[k].alive[0] != '\0';
			if (answers) make_view(&now->views[k], now->count, &said[k], nodes[k], lists[k]);
			views[k] = (struct ftsi_quorum_view){endpoints[k], answers ? &said[k] : NULL};
		}
		bool stays = ftsi_quorum_stays(views, now->count, "a", now->takes_no_part, detail, sizeof(detail));
		if (stays != now->stays) fail_msg("%s: %s", now->name, detail);
		assert_true(detail[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_case)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
