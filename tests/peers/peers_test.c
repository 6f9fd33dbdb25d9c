/* Why this file exists: the connections between nodes: messages keep their order, nothing piles up without bound, who
 * is gone is told at once and found again, and what strangers send harms nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_node.h"
#include "rpc/mesh.h"
#include "tests/harness/certificates.h"
#include "tests/harness/clock.h"
#include "tests/harness/directory.h"
#include "tests/harness/ports.h"
#include "tests/harness/process.h"

static struct fts_replica a, b, c;
static const char *program;

static void start_pair(const struct fts_tls *tls_a, const struct fts_tls *tls_b)
{
	const struct fts_replica *others[1];
	bench_node_start(&a, "a", harness_ports_reserve(), tls_a);
	bench_node_start(&b, "b", harness_ports_reserve(), tls_b);
	others[0] = &b;
	bench_node_dial(&a, others, 1);
	others[0] = &a;
	bench_node_dial(&b, others, 1);
}

static void wait_pair(void)
{
	bench_wait(&bench_node_heard(&a, b.text)->connected, 1, "a has b");
	bench_wait(&bench_node_heard(&b, a.text)->connected, 1, "b has a");
	bench_wait(&a.hello_count, 1, "b has said Hello to a");
	bench_wait(&b.hello_count, 1, "a has said Hello to b");
}

static void stop_pair(void)
{
	bench_node_stop(&a);
	bench_node_stop(&b);
}

static void wait_round(struct fts_replica *node, uint64_t round)
{
	for (struct harness_wait wait = harness_wait_ms(30000); atomic_load(&node->next_round) < round;) {
		if (!harness_wait_more(&wait))
			fail_msg("%s got %llu of %llu", node->name, (unsigned long long)atomic_load(&node->next_round),
				 (unsigned long long)round);
	}
	assert_int_equal(atomic_load(&node->bad_order_count), 0);
}

static void test_order(void **state)
{
	enum { COUNT = 30000 };
	const struct fts_replica *others[2];
	(void)state;
	start_pair(NULL, NULL);
	bench_node_start(&c, "c", harness_ports_reserve(), NULL);
	others[0] = &b;
	others[1] = &c;
	bench_node_dial(&a, others, 2);
	wait_pair();
	bench_wait(&bench_node_heard(&a, c.text)->connected, 1, "a has c");
	for (uint64_t i = 0; i < COUNT; i++) {
		size_t size = i % 97 == 0 ? 70000 : i % 100;
		for (struct harness_wait wait = harness_wait_ms(20000); !bench_node_send(&a, b.text, i, size);)
			assert_true(harness_wait_more(&wait));
		for (struct harness_wait wait = harness_wait_ms(20000); !bench_node_send(&a, c.text, i, size);)
			assert_true(harness_wait_more(&wait));
	}
	wait_round(&b, COUNT);
	wait_round(&c, COUNT);
	assert_int_equal(atomic_load(&bench_node_heard(&a, b.text)->disconnected), 0);
	stop_pair();
	bench_node_stop(&c);
}

static void test_bounds(void **state)
{
	enum { SIZE = 1024 * 1024, MANY = 400 };
	uint64_t sent = 0;
	(void)state;
	start_pair(NULL, NULL);
	wait_pair();
	atomic_store(&b.blocked, true);
	for (struct harness_wait wait = harness_wait_ms(1500); sent < MANY;) {
		if (bench_node_send(&a, b.text, sent, SIZE))
			sent++;
		else if (!harness_wait_more(&wait))
			break; /* nothing more fits */
	}
	assert_true(sent < MANY);
	size_t held = (size_t)sent * SIZE;
	/* twice the backlog (being written and to be written), the inbox, kernel buffers and one message more */
	assert_true(held < 2 * FTSI_PEER_BACKLOG_MAX_BYTES + FTSI_PEER_INBOX_MAX_BYTES + 48u * 1024 * 1024);
	assert_true(a.transport->backlog_bytes(a.transport->ctx, b.text) <= FTSI_PEER_BACKLOG_MAX_BYTES);
	pthread_mutex_lock(&b.lock);
	atomic_store(&b.blocked, false);
	pthread_cond_signal(&b.wake);
	pthread_mutex_unlock(&b.lock);
	wait_round(&b, sent);
	assert_true(bench_node_send(&a, b.text, sent, 10));
	wait_round(&b, sent + 1);
	assert_int_equal(atomic_load(&bench_node_heard(&a, b.text)->disconnected), 0);
	stop_pair();
}

/* ---- A line that was stopped ---- */

struct slow_owner {
	struct ftsi_mesh *mesh;
	atomic_uint up_count, message_count;
};

static void owner_up(void *ctx, const char *key)
{
	struct slow_owner *owner = ctx;
	(void)key;
	atomic_fetch_add(&owner->up_count, 1);
}

static void owner_down(void *ctx, const char *key)
{
	(void)ctx;
	(void)key;
}

/* What waits is taken by another thread before this one has said that it is too much. */
static bool owner_message(void *ctx, struct ftsi_mesh_line *line, struct fts_bytes message)
{
	struct slow_owner *owner = ctx;
	(void)message;
	if (atomic_load(&owner->message_count) == 0) ftsi_mesh_line_name(line, "other");
	ftsi_mesh_read_on(owner->mesh);
	atomic_fetch_add(&owner->message_count, 1);
	return false;
}

static void test_read_on_in_time(void **state)
{
	enum { COUNT = 20 };
	static struct slow_owner from, to;
	const struct ftsi_mesh_options options = {.listen = "127.0.0.1:0",
						  .message_max_bytes = 1000,
						  .backlog_max_bytes = 100000,
						  .silence_ms =
						      600000, /* a line that stands still is not dialed anew */
						  .on_up = owner_up,
						  .on_down = owner_down,
						  .on_message = owner_message};
	struct ftsi_mesh_options from_options = options, to_options = options;
	struct fts_error error;
	char endpoint[64];
	(void)state;
	from_options.ctx = &from;
	to_options.ctx = &to;
	assert_int_equal(ftsi_mesh_create(&to_options, &to.mesh, &error), FTS_OK);
	assert_int_equal(ftsi_mesh_create(&from_options, &from.mesh, &error), FTS_OK);
	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", ftsi_mesh_port(to.mesh));
	ftsi_mesh_set(from.mesh, &(struct ftsi_mesh_target){"to", endpoint}, 1);
	bench_wait(&from.up_count, 1, "the line is there");
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(ftsi_mesh_send(from.mesh, "to", (struct fts_bytes){(const uint8_t *)"message", 7}));
		bench_wait(&to.message_count, i + 1, "a message");
	}
	ftsi_mesh_stop(from.mesh);
	ftsi_mesh_stop(to.mesh);
	ftsi_mesh_destroy(from.mesh);
	ftsi_mesh_destroy(to.mesh);
}

static void test_largest_message(void **state)
{
	(void)state;
	start_pair(NULL, NULL);
	wait_pair();
	assert_false(bench_node_send(&a, b.text, 0, FTSI_PEER_MESSAGE_MAX_BYTES)); /* with its head it is larger */
	assert_true(bench_node_send(&a, b.text, 0, FTSI_PEER_MESSAGE_MAX_BYTES - 256));
	wait_round(&b, 1);
	stop_pair();
}

static void test_reconnect(void **state)
{
	const struct fts_replica *others[1] = {&a};
	(void)state;
	start_pair(NULL, NULL);
	wait_pair();
	uint16_t port = (uint16_t)(ftsi_peers_port(b.peers) - 3);
	for (unsigned round = 2; round < 6; round++) {
		bench_node_stop(&b);
		bench_wait(&bench_node_heard(&a, b.text)->disconnected, round - 1, "a is told that b has gone");
		bench_node_start(&b, "b", port, NULL);
		bench_node_dial(&b, others, 1);
		bench_wait(&bench_node_heard(&a, b.text)->connected, round, "a has b again");
		bench_wait(&b.hello_count, 1, "a says Hello again");
		assert_true(bench_node_send(&a, b.text, 0, 0));
		wait_round(&b, 1);
	}
	stop_pair();
}

static void test_given_up(void **state)
{
	(void)state;
	start_pair(NULL, NULL);
	wait_pair();
	bench_node_dial(&a, NULL, 0);
	/* What b dialed stays: a can still answer over it. */
	for (struct harness_wait wait = harness_wait_ms(5000); !bench_node_send(&a, b.text, 0, 0);)
		assert_true(harness_wait_more(&wait));
	wait_round(&b, 1);
	bench_node_dial(&b, NULL, 0);
	for (struct harness_wait wait = harness_wait_ms(5000); bench_node_send(&a, b.text, 1, 0);)
		assert_true(harness_wait_more(&wait));
	stop_pair();
}

/* ---- A peer in another process ---- */

__attribute__((noreturn)) static void run_child(char **argv)
{
	const struct fts_replica *others[1] = {&a};
	(void)snprintf(a.text, sizeof a.text, "%s", argv[3]);
	bench_node_start(&b, "b", (uint16_t)strtoul(argv[2], NULL, 10), NULL);
	bench_node_dial(&b, others, 1);
	for (;;)
		pause();
}

static void start_child(struct harness_process *child, const char *directory, uint16_t port)
{
	char port_text[8];
	const char *const argv[] = {program, "child", port_text, a.text, NULL};
	(void)snprintf(port_text, sizeof port_text, "%u", port);
	harness_process_start(child, directory, "child", argv);
}

static void test_process_death(void **state)
{
	enum { KILLS = 10 };
	struct harness_process child = {0};
	const struct fts_replica *others[1] = {&b};
	char directory[HARNESS_PATH_MAX];
	uint64_t sum_ns = 0;
	(void)state;
	harness_directory_make(directory);
	bench_node_start(&a, "a", harness_ports_reserve(), NULL);
	uint16_t port = harness_ports_reserve();
	(void)snprintf(b.text, sizeof b.text, "b=127.0.0.1:%u", port);
	bench_node_dial(&a, others, 1);
	struct heard *heard = bench_node_heard(&a, b.text);
	for (unsigned i = 1; i <= KILLS; i++) {
		start_child(&child, directory, port);
		bench_wait(&heard->connected, i, "a has the child");
		bench_wait(&a.hello_count, i, "the child has a");
		unsigned before = atomic_load(&heard->disconnected);
		uint64_t killed_ns = harness_now_ns();
		harness_process_kill(&child);
		bench_wait(&heard->disconnected, before + 2, "both connections are told gone");
		sum_ns += atomic_load(&heard->disconnected_ns) - killed_ns;
	}
	print_message("kill -9 to both ends told: %.2f ms on average\n", (double)sum_ns / KILLS / 1e6);
	assert_true(sum_ns / KILLS < 200000000u);
	bench_node_stop(&a);
}

static void test_silence(void **state)
{
	struct harness_process child = {0};
	const struct fts_replica *others[1] = {&b};
	char directory[HARNESS_PATH_MAX];
	(void)state;
	harness_directory_make(directory);
	bench_node_start(&a, "a", harness_ports_reserve(), NULL);
	uint16_t port = harness_ports_reserve();
	(void)snprintf(b.text, sizeof b.text, "b=127.0.0.1:%u", port);
	bench_node_dial(&a, others, 1);
	struct heard *heard = bench_node_heard(&a, b.text);
	start_child(&child, directory, port);
	bench_wait(&heard->connected, 1, "a has the child");
	bench_wait(&a.hello_count, 1, "the child has a");
	harness_process_signal(&child, SIGSTOP);
	bench_wait(&heard->disconnected, 1, "a gives a silent peer's connection up");
	unsigned before = atomic_load(&heard->connected), hellos = atomic_load(&a.hello_count);
	harness_process_signal(&child, SIGCONT);
	bench_wait(&a.hello_count, hellos + 1, "it is back, and says Hello");
	bench_wait(&heard->connected, before + 1, "a has it again");
	harness_process_kill(&child);
	bench_node_stop(&a);
}

/* ---- Strangers ---- */

static int dial_raw(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {5, 0};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* The other side closes. */
static void expect_end(int fd)
{
	uint8_t byte[64];
	ssize_t got;
	while ((got = recv(fd, byte, sizeof byte, 0)) > 0)
		continue;
	assert_true(got == 0 || errno == ECONNRESET);
	close(fd);
}

static void send_raw(int fd, const void *bytes, size_t size)
{
	ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
	(void)sent; /* it may be closed already: that is what is tested */
}

static const uint8_t push_hello[8] = {0, 'S', 'P', 0, 0, 0x50, 0, 0};

static void test_garbage(void **state)
{
	struct harness_random random = {42};
	(void)state;
	start_pair(NULL, NULL);
	wait_pair();
	uint16_t port = ftsi_peers_port(a.peers);
	for (int round = 0; round < 200; round++) {
		uint8_t noise[300];
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)harness_random_next(&random);
		int fd = dial_raw(port);
		if (round % 4 != 0) send_raw(fd, push_hello, sizeof push_hello);
		if (round % 4 == 2) { /* a whole message that is no Hello */
			uint8_t length[8] = {0, 0, 0, 0, 0, 0, 1, 0};
			send_raw(fd, length, sizeof length);
		}
		if (round % 4 == 3) { /* one that claims to be huge */
			uint8_t length[8] = {0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0};
			send_raw(fd, length, sizeof length);
		}
		send_raw(fd, noise, sizeof noise);
		if (round % 4 == 1)
			close(fd); /* in the middle of a length that makes no sense, or of a message */
		else
			expect_end(fd);
	}
	assert_int_equal(atomic_load(&a.other_count), 0); /* nothing of it reached the loop */
	assert_true(bench_node_send(&b, a.text, 0, 0));
	wait_round(&a, 1);
	assert_int_equal(atomic_load(&bench_node_heard(&a, b.text)->disconnected), 0);
	stop_pair();
}

/* ---- TLS ---- */

static struct harness_certificate ours, foreign;

static int make_certificates(void **state)
{
	(void)state;
	harness_certificate_make(&ours);
	harness_certificate_make(&foreign);
	return 0;
}

static struct fts_tls files(const struct harness_certificate *certificate)
{
	return (struct fts_tls){
	    .ca_file = certificate->ca, .cert_file = certificate->cert, .key_file = certificate->key};
}

static void test_tls(void **state)
{
	struct fts_tls tls = files(&ours);
	(void)state;
	start_pair(&tls, &tls);
	wait_pair();
	for (uint64_t i = 0; i < 200; i++) {
		for (struct harness_wait wait = harness_wait_ms(20000); !bench_node_send(&a, b.text, i, 100000);)
			assert_true(harness_wait_more(&wait));
	}
	wait_round(&b, 200);
	uint16_t port = (uint16_t)(ftsi_peers_port(b.peers) - 3);
	bench_node_stop(&b);
	bench_wait(&bench_node_heard(&a, b.text)->disconnected, 1, "a is told over TLS");
	const struct fts_replica *others[1] = {&a};
	bench_node_start(&b, "b", port, &tls);
	bench_node_dial(&b, others, 1);
	bench_wait(&bench_node_heard(&a, b.text)->connected, 2, "a has b again");
	stop_pair();
}

static void test_tls_stranger(void **state)
{
	struct fts_tls known = files(&ours), stranger = files(&foreign);
	(void)state;
	start_pair(&known, &stranger);
	for (struct harness_wait wait = harness_wait_ms(1500); harness_wait_more(&wait);)
		continue; /* a stretch of time in which nothing may come about */
	assert_int_equal(atomic_load(&a.hello_count) + atomic_load(&b.hello_count), 0);
	assert_int_equal(atomic_load(&bench_node_heard(&a, b.text)->connected), 0);
	stop_pair();
}

int main(int argc, char **argv)
{
	program = argv[0];
	if (argc == 4 && strcmp(argv[1], "child") == 0) run_child(argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),           cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_largest_message), cmocka_unit_test(test_read_on_in_time),
	    cmocka_unit_test(test_reconnect),       cmocka_unit_test(test_given_up),
	    cmocka_unit_test(test_process_death),   cmocka_unit_test(test_silence),
	    cmocka_unit_test(test_garbage),         cmocka_unit_test(test_tls),
	    cmocka_unit_test(test_tls_stranger),
	};
	return cmocka_run_group_tests(tests, make_certificates, NULL);
}
