/* Why this file exists: the machine of register.proto, for any node of a test. */
#ifndef FTS_TESTS_REGISTER_MACHINE_H
#define FTS_TESTS_REGISTER_MACHINE_H

#include "replica/replica.h"

#define REGISTER_TABLE 0x7f00 /* of the state; no service of fts has one so high */
#define REGISTER_BALLAST_MAX_BYTES 65536

/* One write in so many is acknowledged and forgotten, so that a test can see that it is found out; 0: none. */
extern uint64_t register_forgets_one_in;

extern const struct fts_machine register_machine;
extern const struct fts_machine *const register_machines[1];

#endif
