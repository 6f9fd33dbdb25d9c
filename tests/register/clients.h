/* Why this file exists: clients that read, write, compare-and-set and add all the time, whatever happens to the nodes,
 * and write down what they asked and were told (tests/linear/history.h).
 *
 * Keys: clients of a group share a register, and go on to a fresh one after so many calls: then few calls of unknown
 * outcome fall on one register, and the judge stays fast. Adds have registers of their own. */
#ifndef FTS_TESTS_REGISTER_CLIENTS_H
#define FTS_TESTS_REGISTER_CLIENTS_H

#include "tests/linear/history.h"

#define REGISTER_CLIENT_MAX 32
#define REGISTER_ADD_KEYS 0x10000000u   /* from here on: registers for adds */
#define REGISTER_OTHER_KEYS 0x20000000u /* from here on: a test's own */

struct register_clients;

struct register_clients_options {
	const char *endpoints; /* "HOST:PORT,..."; each client begins with another one. Borrowed until stop. */
	uint32_t client_count;
	uint32_t clients_in_group; /* 0: 4 */
	uint32_t calls_on_key;     /* 0: 150 */
	uint32_t first_key;        /* fresh registers from here on */
	uint32_t timeout_ms;       /* of a call; 0: 2,000 */
	uint32_t pause_us;         /* after each call; 0: none */
	uint32_t ballast_bytes;    /* of each write */
	uint64_t seed;
	struct linear_history *history; /* borrowed until stop */
};

struct register_counts {
	uint64_t done, unknown, never; /* calls: answered, of unknown outcome, certainly not executed */
	uint64_t longest_gap_ms;       /* between two answers of whomever */
};

/* Returned (register_clients_stop). */
struct register_clients *register_clients_start(const struct register_clients_options *options);
struct register_counts register_clients_counts(struct register_clients *clients);
/* The longest time between two answers since this was last asked. */
uint64_t register_clients_gap_ms(struct register_clients *clients);
/* Wait until that many more calls have been answered. False: not within timeout_ms. */
bool register_clients_wait(struct register_clients *clients, uint64_t more, uint32_t timeout_ms);
/* End them and wait for their last calls. */
struct register_counts register_clients_stop(struct register_clients *clients);

/* Hold the history against a register; on a violation or no decision it fails the test and keeps the history, saying
 * where. Once only: the history is used up. Returns the number of calls judged. */
size_t register_judge(struct linear_history *history);
/* Only the verdict. Once only, as well. */
enum linear_verdict register_verdict(struct linear_history *history, struct linear_report *out_report);

#endif
