/* Why this file exists: see client/cli/nodes.h. */
#include "client/cli/nodes.h"

#include <inttypes.h>

#include "client/cli/output.h"

static const char *role_name(Fts__Cluster__V1__Role role)
{
	switch (role) {
	case FTS__CLUSTER__V1__ROLE__LEADER:
		return "leader";
	case FTS__CLUSTER__V1__ROLE__FOLLOWER:
		return "follower";
	case FTS__CLUSTER__V1__ROLE__CANDIDATE:
		return "candidate";
	case FTS__CLUSTER__V1__ROLE__LEARNER:
		return "learner";
	case FTS__CLUSTER__V1__ROLE__EXPECTED:
		return "expected";
	default:
		return "unknown";
	}
}

json_t *ftsi_nodes_json(Fts__Cluster__V1__NodeStatus *const *nodes, size_t count)
{
	json_t *array = ftsi_json("[]");

	for (size_t i = 0; i < count; i++) {
		const Fts__Cluster__V1__NodeStatus *node = nodes[i];
		json_t *json = ftsi_json("{s:s,s:s,s:s,s:b,s:I,s:b}", "name", node->name, "address", node->address,
					 "role", role_name(node->role), "alive", node->alive, "applied",
					 (json_int_t)node->applied, "digest_ok", node->digest_ok);
		if (node->stalls) {
			json_object_set_new(json, "stalls", json_integer(node->stalls));
			json_object_set_new(json, "stall_max_ms", json_integer(node->stall_max_ms));
		}
		if (node->version[0]) json_object_set_new(json, "version", ftsi_json("s", node->version));
		json_array_append_new(array, json);
	}
	return array;
}

void ftsi_nodes_print(Fts__Cluster__V1__NodeStatus *const *nodes, size_t count)
{
	printf("%-12s %-22s %-10s %-6s %12s  %s\n", "NODE", "ADDRESS", "ROLE", "STATE", "APPLIED", "DIGEST");
	for (size_t i = 0; i < count; i++) {
		const Fts__Cluster__V1__NodeStatus *node = nodes[i];
		printf("%-12s %-22s %-10s ", node->name, node->address, role_name(node->role));
		ftsi_print_state(node->alive ? 'g' : 'b', 6, node->alive ? "alive" : "away");
		printf(" %12" PRIu64 "  ", node->applied);
		ftsi_print_state(node->digest_ok ? 'g' : 'b', 0, node->digest_ok ? "ok" : "differs");
		putchar('\n');
	}
}
