/* Why this file exists: before the lab's word is taken for anything: its hosts reach each other, its partitions cut
 * what they say and nothing else, and its switch delays, loses, doubles and reorders as it was told. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/lab.h"

#define PORT 9000
#define PASS_MS 20000
#define SILENCE_MS 200 /* what is cut does not arrive */
#define QUIET_MS 1000  /* and after this long nothing more will, on a busy machine too */

static struct sockaddr_in address_of(const struct harness_lab *lab, size_t host)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	assert_int_equal(inet_pton(AF_INET, lab->hosts[host].address, &address.sin_addr), 1);
	return address;
}

static int open_mailbox(struct harness_lab *lab, size_t host)
{
	int fd = harness_lab_socket(lab, host, SOCK_DGRAM), size = 8 << 20;
	struct sockaddr_in address = address_of(lab, host);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	return fd;
}

static void post(struct harness_lab *lab, int from_fd, size_t to, uint32_t number)
{
	struct sockaddr_in address = address_of(lab, to);
	assert_int_equal(sendto(from_fd, &number, sizeof(number), 0, (struct sockaddr *)&address, sizeof(address)),
			 sizeof(number));
}

/* The next one that arrives within timeout_ms. */
static bool arrives(int fd, uint32_t timeout_ms, uint32_t *out_number)
{
	struct pollfd ready = {fd, POLLIN, 0};
	return poll(&ready, 1, (int)timeout_ms) == 1 &&
	       recv(fd, out_number, sizeof(*out_number), 0) == (ssize_t)sizeof(*out_number);
}

static bool reaches(struct harness_lab *lab, const int *fds, size_t from, size_t to, uint32_t timeout_ms)
{
	static uint32_t next = 1000;
	uint32_t number = ++next, got = 0;
	post(lab, fds[from], to, number);
	while (got != number)
		if (!arrives(fds[to], timeout_ms, &got)) return false;
	return true;
}

static void partitions(struct harness_lab *lab)
{
	int fds[HARNESS_LAB_TEST + 1] = {0};
	static const size_t hosts[] = {0, 1, 2, HARNESS_LAB_TEST};
	for (size_t i = 0; i < 4; i++)
		fds[hosts[i]] = open_mailbox(lab, hosts[i]);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++)
			if (i != k) assert_true(reaches(lab, fds, hosts[i], hosts[k], PASS_MS));
	harness_lab_cut(lab, 0, 1);
	assert_false(reaches(lab, fds, 0, 1, SILENCE_MS));
	assert_true(reaches(lab, fds, 1, 0, PASS_MS)); /* the other way goes on */
	assert_true(reaches(lab, fds, 0, 2, PASS_MS));
	harness_lab_heal(lab);
	assert_true(reaches(lab, fds, 0, 1, PASS_MS));
	harness_lab_isolate(lab, 2, false);
	assert_false(reaches(lab, fds, 2, 0, SILENCE_MS));
	assert_false(reaches(lab, fds, 1, 2, SILENCE_MS));
	assert_true(reaches(lab, fds, HARNESS_LAB_TEST, 2, PASS_MS));
	assert_true(reaches(lab, fds, 0, 1, PASS_MS));
	harness_lab_isolate(lab, 2, true);
	assert_false(reaches(lab, fds, HARNESS_LAB_TEST, 2, SILENCE_MS));
	harness_lab_heal(lab);
	assert_true(reaches(lab, fds, 2, HARNESS_LAB_TEST, PASS_MS));
	for (size_t i = 0; i < 4; i++)
		close(fds[hosts[i]]);
}

static void on_a_bridge(void **state)
{
	struct harness_lab lab;
	(void)state;
	if (!harness_lab_allowed()) return;
	harness_lab_init(&lab, 3, HARNESS_LAB_BRIDGE, 0);
	partitions(&lab);
	harness_lab_fini(&lab);
}

/* Send count numbers from host 0 to host 1 and tell how they arrive. */
struct arrival {
	uint32_t different, doubled, overtaken;
};

static struct arrival measure(struct harness_lab *lab, const int *fds, uint32_t count)
{
	static uint8_t seen[4096];
	struct arrival arrival = {0};
	uint32_t got, last = 0, sent = 0;
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < count; i++, sent++)
		post(lab, fds[0], 1, i);
	while (arrives(fds[1], QUIET_MS, &got)) {
		assert_true(got < count);
		arrival.doubled += seen[got] > 0;
		arrival.different += seen[got] == 0;
		arrival.overtaken += got < last;
		seen[got] = 1;
		last = got;
	}
	return arrival;
}

static void through_the_switch(void **state)
{
	enum { COUNT = 2000 };
	struct harness_lab lab;
	struct harness_link_faults faults = {0};
	(void)state;
	if (!harness_lab_allowed()) return;
	harness_lab_init(&lab, 3, HARNESS_LAB_SWITCH, 1);
	partitions(&lab);
	int fds[] = {open_mailbox(&lab, 0), open_mailbox(&lab, 1)};
	assert_true(reaches(&lab, fds, 0, 1, PASS_MS));

	struct arrival clean = measure(&lab, fds, COUNT);
	assert_int_equal(clean.different, COUNT);
	assert_int_equal(clean.doubled + clean.overtaken, 0);

	faults = (struct harness_link_faults){.loss_ppm = 200000, .duplicate_ppm = 100000};
	harness_switch_set(lab.ether, 0, 1, &faults);
	struct arrival bad = measure(&lab, fds, COUNT);
	if (bad.different < 1450 || bad.different > 1750 || bad.doubled < 80 || bad.doubled > 260)
		fail_msg("of %d: %u arrived, %u twice", COUNT, bad.different, bad.doubled);
	assert_int_equal(bad.overtaken, 0); /* a double comes right behind its first */

	faults = (struct harness_link_faults){.delay_us = 1000, .jitter_us = 5000};
	harness_switch_set(lab.ether, 0, 1, &faults);
	struct arrival mixed = measure(&lab, fds, COUNT);
	assert_int_equal(mixed.different, COUNT);
	assert_true(mixed.overtaken > COUNT / 10);

	faults = (struct harness_link_faults){.delay_us = 80000};
	harness_switch_set(lab.ether, 0, 1, &faults);
	uint64_t from_ns = harness_now_ns();
	assert_true(reaches(&lab, fds, 0, 1, PASS_MS));
	assert_true(harness_now_ns() - from_ns >= 80000000u);

	faults = (struct harness_link_faults){.cut = true};
	harness_switch_set(lab.ether, 0, 1, &faults);
	assert_false(reaches(&lab, fds, 0, 1, SILENCE_MS));
	close(fds[0]), close(fds[1]);
	harness_lab_fini(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(on_a_bridge),
	    cmocka_unit_test(through_the_switch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
