/* Why this file exists: a node uses a block of ports (calls P, events P + 1, health P + 2, peers P + 3), and tests run
 * side by side. A block is reserved by locked files until the test program ends, and lies below the range from which
 * the kernel takes ports of outgoing connections.
 *
 * Invariant: two running test programs never hold the same block; the ports of a block were free when it was given. */
#ifndef FTS_TESTS_HARNESS_PORTS_H
#define FTS_TESTS_HARNESS_PORTS_H

#include <stdint.h>

#define HARNESS_PORTS_IN_BLOCK 8

/* First of HARNESS_PORTS_IN_BLOCK free ports. Fails the test when there are none. */
uint16_t harness_ports_reserve(void);

#endif
