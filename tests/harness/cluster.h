/* Why this file exists: several real nodes that form one cluster, in a test: started in any order, killed, paused,
 * stopped, started again on the same directories and addresses, asked who leads and how far they are.
 *
 * Invariants
 * - A node that ends a test with an unexpected `level=error` line in its log fails that test; a fault says which lines
 *   it brings about with harness_cluster_expect.
 * - A test that ends without harness_cluster_fini has failed: the nodes' logs are kept, and standard error says where.
 * - All from the main thread, but for the questions (harness_cluster_ask), which any thread may ask. */
#ifndef FTS_TESTS_HARNESS_CLUSTER_H
#define FTS_TESTS_HARNESS_CLUSTER_H

#include <fts/rpc.h>

#include "tests/harness/process.h"

#define HARNESS_MEMBER_MAX 8
#define HARNESS_MEMBER_FLAGS_MAX 16
#define HARNESS_EXPECTED_MAX 16
#define HARNESS_NOBODY ((size_t)-1)

struct harness_member {
	struct harness_process process;
	char name[16];
	char endpoint[64]; /* "HOST:PORT" of its calls; +1 events, +2 health, +3 peers */
	uint16_t port;
	char root[HARNESS_PATH_MAX];
	char data[HARNESS_PATH_MAX];
	const char *flags[HARNESS_MEMBER_FLAGS_MAX + 1];       /* more flags of this node: borrowed, NULL-ended */
	const char *environment[HARNESS_MEMBER_FLAGS_MAX + 1]; /* "NAME=VALUE": borrowed, NULL-ended */
	int network_fd;                                        /* of its network namespace; 0: the test's own */
	bool joins;                                            /* started with --join instead of --cluster */
	bool paused;
	struct fts_channel *channel; /* to this node alone */
	long started_at;             /* in its standard error: where its last start began */
};

struct harness_cluster {
	size_t count;
	struct harness_member members[HARNESS_MEMBER_MAX];
	const char *program;                             /* "ftsd", or a test daemon that takes its flags */
	const char *flags[HARNESS_MEMBER_FLAGS_MAX + 1]; /* of all nodes: borrowed, NULL-ended */
	char list[HARNESS_MEMBER_MAX * 96];              /* "n1=HOST:PORT,..." of the nodes that form it */
	char endpoints[HARNESS_MEMBER_MAX * 72];         /* "HOST:PORT,...", for channels and fts-cli */
	const char *expected[HARNESS_EXPECTED_MAX];      /* parts of error lines that are no surprise: borrowed */
	bool registered;
};

/* Directories, addresses and names (n1, n2, ...) of count nodes on loopback; nothing is started. Change program, flags
 * and members' fields before the first start. */
void harness_cluster_init(struct harness_cluster *cluster, size_t count);
/* Give member the address HOST:PORT (borrowed) instead, before the first start. */
void harness_cluster_place(struct harness_cluster *cluster, size_t member, const char *host, uint16_t port);
/* One more, which joins the running ones when it is started. Returns its place. */
size_t harness_cluster_add(struct harness_cluster *cluster);

/* Start all at once and wait until each says that it serves. Fails the test after 30 s, with the logs. */
void harness_cluster_start(struct harness_cluster *cluster);
/* Start one, don't wait. */
void harness_cluster_launch(struct harness_cluster *cluster, size_t member);
/* Has it said that it serves since its last start? Waits for it. */
bool harness_cluster_wait_ready(struct harness_cluster *cluster, size_t member, uint32_t timeout_ms);
/* Both; fails the test after 30 s. */
void harness_cluster_restart(struct harness_cluster *cluster, size_t member);

void harness_cluster_kill(struct harness_cluster *cluster, size_t member);   /* kill -9, also of a paused one */
void harness_cluster_pause(struct harness_cluster *cluster, size_t member);  /* SIGSTOP */
void harness_cluster_resume(struct harness_cluster *cluster, size_t member); /* SIGCONT */
/* SIGTERM; its exit code. Fails the test when it is still there after 20 s. */
int harness_cluster_stop(struct harness_cluster *cluster, size_t member);
/* Neither ended nor paused. */
bool harness_cluster_runs(struct harness_cluster *cluster, size_t member);

/* What a node says of itself. */
struct harness_member_report {
	char leader[64]; /* whom it takes for the leader; "": nobody */
	uint64_t term;
	uint64_t commit_index;
	uint64_t applied_index; /* its own */
	bool digest_ok;
	size_t node_count;  /* members it knows of */
	size_t voter_count; /* of them */
};
/* Ask one node. False: no answer within timeout_ms. Thread: any. */
bool harness_cluster_ask(struct harness_cluster *cluster, size_t member, uint32_t timeout_ms,
			 struct harness_member_report *out_report);
/* Who says of itself that it leads, in the highest term; HARNESS_NOBODY: none does. */
size_t harness_cluster_leader(struct harness_cluster *cluster);
/* Wait for a leader other than `but` (HARNESS_NOBODY: any). Fails the test after timeout_ms. */
size_t harness_cluster_wait_leader(struct harness_cluster *cluster, size_t but, uint32_t timeout_ms);
/* Wait until the leader counts that many voters: until then one more failure may be too many. Fails the test after
 * timeout_ms. */
void harness_cluster_wait_voters(struct harness_cluster *cluster, size_t count, uint32_t timeout_ms);
/* Ask for leadership to be handed to member. False: it was not. */
bool harness_cluster_lead(struct harness_cluster *cluster, size_t member);
/* Wait until all running nodes have applied the same index, of the same content as far as they know, under one leader.
 * Fails the test after timeout_ms. Returns the index. */
uint64_t harness_cluster_wait_equal(struct harness_cluster *cluster, uint32_t timeout_ms);

/* An error line that contains text (borrowed) is no surprise from now on. */
void harness_cluster_expect(struct harness_cluster *cluster, const char *text);
/* How often text stands in the logs of all nodes, or in that of one. */
size_t harness_cluster_count_in_logs(struct harness_cluster *cluster, const char *text);
size_t harness_member_count_in_log(struct harness_member *member, const char *text);
/* Copy all logs, and a file of the test's own (borrowed; NULL: none), to a new directory and say where. */
void harness_cluster_keep_logs(struct harness_cluster *cluster, const char *more);
/* Kill what runs, look at the logs, remove the directories. Call it last. */
void harness_cluster_fini(struct harness_cluster *cluster);

#endif
