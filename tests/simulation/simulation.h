/* Why this file exists: the world of a simulation: nodes that are real replicas over real stores, and around them a
 * clock, a network, disks, clients and faults that are not real. One process, one thread, one seed.
 *
 * | file           | what                                                                            |
 * | world.c        | the life of a simulation: made from its seed, run, healed, ended                |
 * | node.c         | a replica as a process: start, step, pause, stop, kill                          |
 * | network.c      | what a replica's transport is: connections, delay, loss, partitions             |
 * | disk.c         | the replica's workers: jobs take time, end in order, and are lost in a crash    |
 * | call.c         | callers with an identity, who retry elsewhere                                   |
 * | client.c       | callers of the counters, who check what they are told                           |
 * | agency.c       | a lottery, and those who play it                                                |
 * | match.c        | matches, and those who play them                                                |
 * | tally.c        | the machine that is replicated                                                  |
 * | check.c        | what must hold after each step                                                  |
 * | faults.c       | what goes wrong                                                                 |
 * | members.c      | members that come, go and lose their disks                                      |
 * | mutation.c     | guards of the replica switched off                                              |
 *
 * Invariants: nothing here reads a clock, the kernel's randomness or the address of anything; so the same seed gives
 * the same trace, which its hash shows. The first violation ends the simulation. */
#ifndef FTS_TESTS_SIMULATION_SIMULATION_H
#define FTS_TESTS_SIMULATION_SIMULATION_H

#include <stdio.h>

#include "random.h"
#include "replica/environment.h"
#include "replica/internal.h"
#include "schedule.h"
#include "tally.fts.h"

enum {
	SIM_NODE_MAX = 6, /* five, and one that joins */
	SIM_CLIENT_MAX = 6,
	SIM_AGENCY_MAX = 3,
	SIM_TABLE_MAX = 2,
	SIM_PLY_MAX = 80,
	SIM_CALLER_MAX = 12,
	SIM_MACHINE_MAX = 6,
	SIM_BALLAST_MAX = 2000,
	SIM_KEY_COUNT = 3,
	SIM_WORKER_MAX = 6,
	SIM_JOB_MAX = 8192,
};
#define SIM_US ((uint64_t)1000)
#define SIM_MS ((uint64_t)1000000)
#define SIM_S ((uint64_t)1000000000)
#define SIM_NEVER UINT64_MAX

/* What kind of world it is. Decided by the seed. */
struct sim_profile {
	uint32_t node_count, client_count, agency_count; /* no agency: no lottery */
	uint32_t table_count;                            /* where matches are played */
	bool fixed_number;                               /* of the lottery */
	uint32_t election_ms;
	uint64_t snapshot_bytes;
	uint64_t faults_ns;                  /* how long things go wrong */
	uint64_t fault_gap_ns;               /* on average between two faults */
	uint64_t delay_min_ns, delay_max_ns; /* of a message */
	uint64_t disk_min_ns, disk_max_ns;   /* of a job */
	uint64_t think_max_ns;               /* of a client between two calls */
	/* 0 where connections are as TCP's: in order, and lost only with their end. */
	uint32_t loss_permille, duplicate_permille, reorder_permille;
	size_t backlog_max_bytes; /* a connection takes no more */
	uint32_t ballast_max_bytes;
	bool member_changes;
};

/* ---- Nodes ---- */

struct sim_disk {
	struct ftsi_worker *worker; /* NULL: unused */
	struct ftsi_job *jobs[SIM_JOB_MAX];
	uint32_t first, count; /* a ring */
};

/* What was seen of a node. */
struct sim_seen {
	/* Kept over its restarts. */
	uint64_t node_id, term;
	uint64_t *durable_terms; /* while it is down: terms of the entries on its disk, from durable_first on; owned */
	uint64_t durable_first, durable_count;
	/* Since its start. */
	uint64_t commit;      /* compared up to here */
	uint64_t applied;     /* last applied index looked at */
	uint64_t event_at;    /* place in sim->applied behind its last event */
	bool event_known;     /* event_at is */
	uint64_t event_index; /* of the last event */
	uint32_t event_ordinal;
	uint64_t leader_term; /* last term it led */
};

struct sim_node {
	struct simulation *sim;
	uint32_t number; /* from 0 */
	char name[16], address[32];
	char dir[128];
	struct fts_replica *replica; /* NULL: down */
	uint32_t incarnation;
	bool ending;            /* being stopped or killed: what it says is not heard */
	bool used;              /* it is, or shall be, a member */
	bool joined;            /* it is no part of the first list */
	bool leaving;           /* it is to be removed */
	uint64_t linger_ns;     /* then it goes on running at least so long */
	bool host_down;         /* its end was told to nobody */
	uint64_t resume_ns;     /* paused until then */
	uint64_t wake_ns;       /* of the step that is scheduled */
	uint64_t slow_until_ns; /* its disk */
	int64_t wall_offset_ms;
	bool wants[SIM_NODE_MAX]; /* peers it was told to keep connections to */
	struct ftsi_environment environment;
	struct ftsi_transport transport;
	struct fts_machine machine;
	const struct fts_machine *machines[SIM_MACHINE_MAX];
	size_t machine_count;
	struct fts_lottery *lottery; /* owned while it runs */
	struct fts_games *game;      /* likewise */
	struct sim_disk disks[SIM_WORKER_MAX];
	struct sim_seen seen;
};

/* ---- Connections: one in each direction of each pair ---- */

struct sim_message {
	struct sim_message *next;
	uint64_t due_ns;
	size_t size_bytes;
	uint8_t bytes[];
};

struct sim_link {
	bool up;
	bool blocked; /* nothing gets through; what was sent waits */
	bool dialing;
	uint32_t incarnation; /* one more with each end */
	uint32_t dial_round;  /* and with each change of mind about when to dial */
	uint32_t tries;
	uint64_t slow_ns; /* added to each message */
	struct sim_message *first, **last;
	size_t backlog_bytes;
};

/* ---- Callers ---- */

struct sim_answer {
	enum fts_status status;
	uint32_t node; /* who gave it */
	uint64_t index;
	struct fts_bytes payload; /* borrowed; of an OK answer */
};

struct sim_caller {
	uint32_t number;
	uint64_t id, sequence;
	bool busy;
	uint32_t attempt, target;
	bool hinted; /* target is who a node named as leader */
	uint64_t give_up_ns;
	const struct fts_method *method;
	size_t size_bytes;
	uint8_t payload[SIM_BALLAST_MAX + 512];
	/* answer: borrowed; NULL: the call was given up, and may have run or not. */
	void (*answered)(struct simulation *sim, struct sim_caller *caller, const struct sim_answer *answer);
};

struct sim_client {
	struct sim_caller caller; /* first */
	/* The call that is open. */
	uint32_t key;
	uint64_t operation;
	bool conditional;
	uint64_t floor;       /* the counter must be at least here: others were told so before this call began */
	uint64_t floor_index; /* and this call's entry behind this one */
	uint64_t last_known[SIM_KEY_COUNT];
	uint64_t acknowledged_count, read_count, abandoned_count;
};

struct sim_agency {
	struct sim_caller caller; /* first */
	uint32_t number, stage;
	uint32_t wanted, stored, storing; /* bets */
};

struct sim_table {
	struct sim_caller caller; /* first */
	uint32_t number, stage, seat, ply, played_count;
	char match[64], tokens[2][80];
	char moves[SIM_PLY_MAX + 1][16];
};

/* One command as it was applied first, on whatever node. */
struct sim_applied {
	uint64_t index, operation, value;
	uint32_t ordinal, key;
	enum fts_status status;
};

struct sim_operation {
	uint64_t index; /* 0: not applied yet */
	uint32_t ordinal;
};

struct sim_entry {
	uint64_t hash;       /* of what was committed; 0: nothing yet */
	uint64_t term;       /* of the entry */
	uint64_t seen_term;  /* of the node that was first seen to know that it is committed */
	uint64_t state_hash; /* of the whole state with this index applied; 0: nobody has looked */
};

struct simulation {
	uint64_t seed;
	struct sim_profile profile;
	struct sim_random random;
	struct sim_schedule schedule;
	uint64_t now_ns, end_ns;
	bool trace, verbose, healed, ended;
	uint64_t healed_ns;
	uint64_t trace_hash, trace_count;
	char violation[512]; /* "": none */
	char *dir;           /* owned; a directory a node below it */
	struct sim_node nodes[SIM_NODE_MAX];
	struct sim_link links[SIM_NODE_MAX][SIM_NODE_MAX]; /* [from][to] */
	struct sim_client clients[SIM_CLIENT_MAX];
	struct sim_agency agencies[SIM_AGENCY_MAX];
	struct sim_table tables[SIM_TABLE_MAX];
	struct sim_caller *callers[SIM_CALLER_MAX]; /* all of them, by number */
	uint32_t caller_count;
	uint32_t open_calls; /* given to a replica, not finished */
	/* The truth, as far as it is known. */
	struct sim_entry *entries; /* by index */
	uint64_t entry_capacity;
	uint64_t commit_index;       /* of whoever is furthest */
	struct sim_applied *applied; /* in the order of the log */
	uint64_t applied_count, applied_capacity;
	struct sim_operation *operations; /* by number */
	uint64_t operation_count, operation_capacity;
	uint64_t latest[SIM_KEY_COUNT]; /* value after the last command applied anywhere */
	uint64_t told[SIM_KEY_COUNT];   /* highest value that any caller was told */
	uint64_t acknowledged_index;    /* highest index that any caller was told */
	struct {
		uint64_t term;
		uint32_t node;
	} leaders[4096]; /* who led which term: by term modulo, newest wins */
	struct {
		uint64_t kills, pauses, partitions, breaks, elections, snapshots, steps, messages, lost, restarts,
		    changes;
	} counts;
};

/* ---- world.c ---- */
struct sim_options {
	uint64_t seed;
	bool trace;         /* print every event */
	bool verbose;       /* and what the replicas log */
	uint64_t faults_ms; /* 0: as the seed says */
	bool no_snapshots;
};
/* Run one seed to its end. True: nothing was violated. out_sim: filled in, sim_world_fini. */
bool sim_world_run(const struct sim_options *options, struct simulation *out_sim);
void sim_world_fini(struct simulation *sim);
/* Note what happens, for the trace and its hash. */
void sim_note(struct simulation *sim, const char *what, uint64_t a, uint64_t b, uint64_t c);
void sim_violation(struct simulation *sim, const char *format, ...) FTS_PRINTF(2, 3);
/* event: owned, as sim_schedule_add. */
void sim_after(struct simulation *sim, uint64_t delay_ns, struct sim_event *event,
	       void (*run)(struct simulation *sim, struct sim_event *event));
void *sim_alloc(size_t size_bytes); /* zeroed; never NULL */
void sim_remove_dir(const char *dir);
static inline bool sim_violated(const struct simulation *sim)
{
	return sim->violation[0] != 0;
}

/* ---- node.c ---- */
void sim_node_init(struct simulation *sim, uint32_t number);
void sim_node_start(struct sim_node *node);
/* As SIGKILL; as the loss of its host when silent; as SIGTERM. Not running: nothing. */
void sim_node_kill(struct sim_node *node, bool silent);
void sim_node_stop(struct sim_node *node);
void sim_node_pause(struct sim_node *node, uint64_t for_ns);
/* Step it soon: something was handed to it. */
void sim_node_wake(struct sim_node *node);
static inline bool sim_node_runs(const struct sim_node *node)
{
	return node->replica != NULL && !node->ending;
}
static inline bool sim_node_paused(const struct sim_node *node)
{
	return node->resume_ns > node->sim->now_ns;
}
/* Who leads, in the highest term; NULL: nobody. */
struct sim_node *sim_leader(struct simulation *sim);

/* ---- network.c ---- */
void sim_network_init(struct sim_node *node);
void sim_network_fini(struct simulation *sim);
/* Both directions; the ends are told, unless their process is gone. */
void sim_network_break(struct simulation *sim, uint32_t a, uint32_t b);
void sim_network_block(struct simulation *sim, uint32_t from, uint32_t to, bool blocked);
void sim_network_heal(struct simulation *sim);
/* node's process has ended; silent: nobody hears of it now. */
void sim_network_gone(struct sim_node *node, bool silent);
void sim_network_started(struct sim_node *node);
/* Deliver what waited for node, which was paused. */
void sim_network_resume(struct sim_node *node);

/* ---- disk.c ---- */
void sim_disk_submit(void *ctx, struct ftsi_worker *worker, struct ftsi_job *job);
/* The process dies: some jobs had reached the disk, the others are lost. All are ended. */
void sim_disk_crash(struct sim_node *node);
/* Do all jobs now, as an orderly stop waits for. False: there were none. */
bool sim_disk_drain(struct sim_node *node);

/* ---- tally.c ---- */
void sim_tally_init(struct sim_node *node);

/* ---- call.c ---- */
void sim_caller_init(struct simulation *sim, struct sim_caller *caller,
		     void (*answered)(struct simulation *sim, struct sim_caller *caller,
				      const struct sim_answer *answer));
/* Begin a call; request: packed at once. None may be open. */
void sim_call(struct simulation *sim, struct sim_caller *caller, const struct fts_method *method,
	      const ProtobufCMessage *request);

/* ---- client.c ---- */
void sim_client_start(struct simulation *sim, uint32_t number);

/* ---- agency.c ---- */
/* The lottery's machines of a node that is about to start; once its replica is there; before that is destroyed. */
void sim_lottery_create(struct sim_node *node);
void sim_lottery_attach(struct sim_node *node);
void sim_lottery_destroy(struct sim_node *node);
void sim_agency_start(struct simulation *sim, uint32_t number);
bool sim_agencies_done(const struct simulation *sim);

/* ---- match.c: as agency.c ---- */
void sim_game_create(struct sim_node *node);
void sim_game_attach(struct sim_node *node);
void sim_game_destroy(struct sim_node *node);
void sim_table_start(struct simulation *sim, uint32_t number);

/* ---- check.c ---- */
void sim_check_started(struct sim_node *node);
/* Its disk is as it will be found at the next start. */
void sim_check_ended(struct sim_node *node);
void sim_check_step(struct sim_node *node);
void sim_check_applied(struct sim_node *node, const struct fts_apply *apply,
		       const Fts__Test__Tally__V1__AddRequest *request, enum fts_status status, uint64_t value);
void sim_check_event(struct sim_node *node, uint64_t index, uint32_t ordinal, struct fts_bytes topic,
		     struct fts_bytes payload);
/* The caller was told. */
void sim_check_answer(struct sim_client *client, struct simulation *sim, enum fts_status status, uint64_t index,
		      uint64_t value);
void sim_check_read(struct sim_client *client, struct simulation *sim, uint32_t node, uint64_t value);
/* Everybody has the same. False: not yet. */
bool sim_check_converged(struct simulation *sim);
/* The whole state was replaced: events of what came with it are not published. */
void sim_check_replaced(struct sim_node *node);
void sim_check_fini(struct simulation *sim);

/* ---- faults.c ---- */
void sim_faults_start(struct simulation *sim);

/* ---- members.c ---- */
void sim_members_start(struct simulation *sim);
/* Let one come, let one go, or take one's disk. */
void sim_members_change(struct simulation *sim);
/* Exactly those that are used are members, and all may vote. */
bool sim_members_settled(struct simulation *sim);

/* ---- mutation.c ---- */
/* Switch off one guard of the replica; false: there is none of that name. */
bool sim_mutation_set(const char *guard);
void sim_mutation_list(FILE *out);

#endif
