/* Why this file exists: an Ethernet switch in user space between tap devices, for what a kernel without netem can't do:
 * delay, loss, duplication and reordering, different in each direction of each pair of ports, by a seed.
 *
 * Invariants: bounded: a frame that finds HARNESS_SWITCH_FRAMES_MAX frames waiting is lost, as in any switch. Frames
 * of one direction keep their order as long as jitter_us is 0. */
#ifndef FTS_TESTS_HARNESS_SWITCH_H
#define FTS_TESTS_HARNESS_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARNESS_SWITCH_PORT_MAX 10
#define HARNESS_SWITCH_FRAMES_MAX 8192

/* What happens to frames from one port to another. */
struct harness_link_faults {
	uint32_t delay_us;
	uint32_t jitter_us; /* 0 to this is added to each frame's delay: so they overtake each other */
	uint32_t loss_ppm;  /* of a million frames */
	uint32_t duplicate_ppm;
	bool cut;
};

struct harness_switch;

/* fds: of tap devices (borrowed until destroy), port by port. Its thread runs at once. Returned. */
struct harness_switch *harness_switch_create(const int *fds, size_t count, uint64_t seed);
/* From now on. Thread: any. */
void harness_switch_set(struct harness_switch *ether, size_t from, size_t to, const struct harness_link_faults *faults);
void harness_switch_set_all(struct harness_switch *ether, const struct harness_link_faults *faults);

struct harness_switch_counts {
	uint64_t forwarded, lost, duplicated, overflowed;
};
struct harness_switch_counts harness_switch_counts(struct harness_switch *ether);
void harness_switch_destroy(struct harness_switch *ether); /* NULL: no-op */

#endif
