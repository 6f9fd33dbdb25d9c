/* Why this file exists: separate hosts on one machine: each node in a network namespace of its own, with its own
 * address, on one network with the test's clients; partitions by nftables, one-way too; and a bad line by our own
 * switch (tests/harness/switch.h).
 *
 *   host k has 10.77.0.(11 + k), the test itself 10.77.0.1 (HARNESS_LAB_TEST)
 *
 * Invariants: the test program itself moves to a namespace of its own first: labs of tests that run side by side don't
 * see each other, and the kernel takes everything away when the last process is gone, however it went. A thread
 * stays where it was started, so: one lab a program, before anything that starts threads (a channel does). Thread:
 * main. */
#ifndef FTS_TESTS_HARNESS_LAB_H
#define FTS_TESTS_HARNESS_LAB_H

#include "tests/harness/cluster.h"
#include "tests/harness/switch.h"

#define HARNESS_LAB_TEST HARNESS_MEMBER_MAX /* the test's own place among the hosts */
#define HARNESS_LAB_PORT 7400

struct harness_host {
	char address[16];
	int network_fd; /* of its namespace */
	int tap_fd;     /* -1: it hangs on a bridge of the kernel */
	bool filters;   /* its table of nftables is there */
};

struct harness_lab {
	size_t host_count; /* without the test */
	struct harness_host hosts[HARNESS_MEMBER_MAX + 1];
	struct harness_switch *ether; /* NULL: a bridge of the kernel */
};

enum harness_lab_line {
	HARNESS_LAB_BRIDGE, /* as fast as the kernel */
	HARNESS_LAB_SWITCH, /* through the user-space switch */
};

/* May this process make namespaces? If not, the test fails with a line that says what to do, unless
 * FTS_TEST_NO_NETNS=1 is set: then it says so on standard error and returns false, and the caller tests what it can. */
bool harness_lab_allowed(void);
/* Make the hosts. seed: of the switch. */
void harness_lab_init(struct harness_lab *lab, size_t host_count, enum harness_lab_line line, uint64_t seed);
/* Put member k of cluster on host k: before its first start. */
void harness_lab_settle(struct harness_lab *lab, struct harness_cluster *cluster);

/* Nothing that `from` sends reaches `to` any more. Silence, not a broken connection. */
void harness_lab_cut(struct harness_lab *lab, size_t from, size_t to);
/* Both ways between host and all other hosts; with_test: and the test's clients. */
void harness_lab_isolate(struct harness_lab *lab, size_t host, bool with_test);
/* End all partitions. */
void harness_lab_heal(struct harness_lab *lab);
/* The port of the switch where host hangs. */
size_t harness_lab_port(const struct harness_lab *lab, size_t host);
/* A UDP or TCP socket (SOCK_DGRAM, SOCK_STREAM) that lives on host. Returned (close). */
int harness_lab_socket(struct harness_lab *lab, size_t host, int kind);
void harness_lab_fini(struct harness_lab *lab);

#endif
