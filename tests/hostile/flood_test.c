/* Why this file exists: a node on the open network meets those who mean it ill: a thousand connections that say
 * nothing, a thousand that stop in the middle, headers that name a gibibyte, floods of frames that mean nothing and of
 * tokens that nobody made, on each of its ports, its HTTP door included. While all of it goes on honest callers are
 * served, its memory hardly grows, and afterwards its descriptors come back, the silent ones without the other end's
 * help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fts/kv/v1/kv.fts.h>

#include "tests/harness/clock.h"
#include "tests/harness/node.h"

#define LIMIT_S 280
#define WAIT_MS 60000
#define CROWD 1000
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX_KB (512 * 1024) /* what was freed is kept for a while */
#else
#define GROWTH_MAX_KB (64 * 1024)
#endif
#define SPARE_DESCRIPTORS 40
#define FLOOD_FRAMES 20000 /* with the argument "long": twenty times as many */

static struct harness_node node;
static unsigned frame_count = FLOOD_FRAMES;
static char door[32]; /* of its --http */
static char admin[HARNESS_PATH_MAX + 16];

/* ---- What the node holds ---- */

static long resident_kb(void)
{
	char path[64], line[256];
	long kb = -1;
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)node.process.pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1) break;
	fclose(file);
	return kb;
}

static int descriptors(void)
{
	char path[64];
	int count = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)node.process.pid);
	DIR *directory = opendir(path);
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* ---- The hostile ---- */

static int connect_to(unsigned offset)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(node.port + offset))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
	if (fd >= 0) close(fd);
	return -1;
}

static bool say(int fd, const void *bytes, size_t size_bytes)
{
	return send(fd, bytes, size_bytes, MSG_NOSIGNAL) == (ssize_t)size_bytes;
}

/* The hello of who dials each of the four ports. */
static const uint8_t hellos[4][8] = {
    {0, 'S', 'P', 0, 0, 0x30, 0, 0},
    {0, 'S', 'P', 0, 0, 0x21, 0, 0},
    {0, 'S', 'P', 0, 0, 0x62, 0, 0},
    {0, 'S', 'P', 0, 0, 0x50, 0, 0},
};

struct crowd {
	int fds[CROWD];
};

enum mischief { SILENT, HALF_HELLO, HALF_MESSAGE, GIBIBYTE };

static void misbehave(int fd, unsigned offset, enum mischief mischief)
{
	static const uint8_t half[12] = {0, 0, 0, 0, 0, 0, 16, 0, 0x80, 0, 0, 1};       /* 12 bytes of 4,096 */
	static const uint8_t gibibyte[12] = {0, 0, 0, 0, 0x40, 0, 0, 0, 0x80, 0, 0, 1}; /* and not one of them comes */
	if (mischief == SILENT) return;
	if (!say(fd, hellos[offset], mischief == HALF_HELLO ? 5 : 8)) return;
	if (mischief == HALF_MESSAGE) (void)say(fd, half, sizeof half);
	if (mischief == GIBIBYTE) (void)say(fd, gibibyte, sizeof gibibyte);
}

/* A quarter of the crowd at each port. */
static void gather(struct crowd *crowd, enum mischief mischief)
{
	for (size_t i = 0; i < CROWD; i++) {
		unsigned offset = (unsigned)(i % 4);
		crowd->fds[i] = connect_to(offset);
		if (crowd->fds[i] >= 0) misbehave(crowd->fds[i], offset, mischief);
	}
}

static void disperse(struct crowd *crowd)
{
	for (size_t i = 0; i < CROWD; i++)
		if (crowd->fds[i] >= 0) close(crowd->fds[i]);
}

/* ---- The honest ---- */

#define LATENCY_MAX 65536

struct honest {
	uint32_t latencies_us[LATENCY_MAX]; /* of the calls since the last look; beyond that they are not kept */
	atomic_uint latency_count;
	struct fts_channel *channel;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint served;
	struct fts_error error;
	atomic_bool failed;
};

static void *be_honest(void *ctx)
{
	struct honest *honest = ctx;
	Fts__Kv__V1__GetRequest request = FTS__KV__V1__GET_REQUEST__INIT;
	request.key = (ProtobufCBinaryData){3, (uint8_t *)"key"};
	while (!atomic_load(&honest->stop)) {
		Fts__Kv__V1__GetResponse *response = NULL;
		uint64_t began_ns = harness_now_ns();
		const struct fts_call_options options = {.timeout_ms = 30000};
		if (fts_kv_get(honest->channel, &request, &options, &response, &honest->error) != FTS_OK) {
			atomic_store(&honest->failed, true);
			return NULL;
		}
		fts__kv__v1__get_response__free_unpacked(response, NULL);
		unsigned place = atomic_load(&honest->latency_count);
		if (place < LATENCY_MAX) {
			honest->latencies_us[place] = (uint32_t)((harness_now_ns() - began_ns) / 1000);
			atomic_store(&honest->latency_count, place + 1);
		}
		atomic_fetch_add(&honest->served, 1);
	}
	return NULL;
}

static void read_token(char out_text[128], size_t *out_size)
{
	FILE *file = fopen(admin, "re");
	assert_non_null(file);
	*out_size = fread(out_text, 1, 127, file);
	while (*out_size > 0 && out_text[*out_size - 1] == '\n')
		--*out_size;
	fclose(file);
}

static void honest_start(struct honest *honest)
{
	char text[128];
	struct fts_channel_options options = {.endpoints = node.endpoint, .token = {(const uint8_t *)text, 0}};
	memset(honest, 0, sizeof *honest);
	read_token(text, &options.token.size_bytes);
	assert_int_equal(fts_channel_open(&options, &honest->channel, NULL), FTS_OK);
	assert_int_equal(pthread_create(&honest->thread, NULL, be_honest, honest), 0);
}

/* Ten more calls answered from now on. */
static void honest_goes_on(struct honest *honest)
{
	unsigned until = atomic_load(&honest->served) + 10;
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);
	     atomic_load(&honest->served) < until && !atomic_load(&honest->failed) && harness_wait_more(&wait);)
		continue;
	if (atomic_load(&honest->failed)) fail_msg("an honest call failed: %s", honest->error.detail);
	assert_true(atomic_load(&honest->served) >= until);
}

static int compare_us(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

/* For people: a machine that is busy with other tests says little. Calls of the caller's thread meanwhile may be lost.
 */
static void honest_tell(struct honest *honest, const char *when)
{
	static uint32_t sorted[LATENCY_MAX];
	unsigned count = atomic_exchange(&honest->latency_count, 0);
	memcpy(sorted, honest->latencies_us, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, compare_us);
	if (count > 0)
		print_message("%s: %u honest calls, p50 %u us, p99 %u us\n", when, count, sorted[count / 2],
			      sorted[count - 1 - count / 100]);
}

static void honest_stop(struct honest *honest)
{
	atomic_store(&honest->stop, true);
	pthread_join(honest->thread, NULL);
	fts_channel_close(honest->channel);
	if (atomic_load(&honest->failed)) fail_msg("an honest call failed: %s", honest->error.detail);
}

/* ---- The tests ---- */

static void come_back(int before, const char *what)
{
	int now = descriptors();
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);
	     now > before + SPARE_DESCRIPTORS && harness_wait_more(&wait);)
		now = descriptors();
	if (now > before + SPARE_DESCRIPTORS) fail_msg("%s: %d descriptors, before %d", what, now, before);
}

static void crowds(void **state)
{
	static const struct {
		const char *name;
		enum mischief mischief;
	} cases[] = {{"silent", SILENT},
		     {"half a hello", HALF_HELLO},
		     {"half a message", HALF_MESSAGE},
		     {"a gibibyte", GIBIBYTE}};
	static struct crowd crowd;
	static struct honest honest;
	(void)state;
	honest_start(&honest);
	honest_goes_on(&honest);
	long before_kb = resident_kb();
	int before = descriptors();
	honest_tell(&honest, "quiet");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		gather(&crowd, cases[i].mischief);
		honest_goes_on(&honest);
		long grown_kb = resident_kb() - before_kb;
		print_message("%s: %ld KiB more, %d descriptors\n", cases[i].name, grown_kb, descriptors());
		if (grown_kb > GROWTH_MAX_KB) fail_msg("%s: %ld KiB more", cases[i].name, grown_kb);
		honest_tell(&honest, cases[i].name);
		disperse(&crowd);
		come_back(before, cases[i].name);
	}
	honest_stop(&honest);
}

/* ---- At the HTTP door ---- */

#define HTTP_OFFSET 5

/* Says nothing, stops within its headers, names a body of 1 GiB, or stops within a body. */
static void misbehave_http(int fd, unsigned number)
{
	static const char *const beginnings[] = {
	    "",
	    "POST /fts.kv.v1.Kv/Get HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
	    "POST /fts.kv.v1.Kv/Get HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "Content-Length: 1073741824\r\n\r\n{",
	    "POST /fts.kv.v1.Kv/Get HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "Content-Length: 4096\r\n\r\n{",
	};
	const char *beginning = beginnings[number % (sizeof beginnings / sizeof *beginnings)];
	if (beginning[0] != '\0') (void)say(fd, beginning, strlen(beginning));
}

/* The node looks through its descriptors for the silent; it must not lose what it holds by that: the database's lock
 * would go with the first descriptor of the file that is closed. */
static void expect_locked(const char *name)
{
	char path[HARNESS_PATH_MAX + 16];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	(void)snprintf(path, sizeof path, "%s/%s", node.data, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETLK, &lock), 0);
	close(fd);
	if (lock.l_type == F_UNLCK || lock.l_pid != node.process.pid) fail_msg("%s: the node holds no lock", path);
}

/* Those that never finish a hello, a message or a request are sent away: a thousand on the ports of calls and peers,
 * and a thousand at the door. */
static void the_silent_are_sent_away(void **state)
{
	static const char ask[] = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
	static struct crowd crowd, at_the_door;
	static struct honest honest;
	char answer[4096];
	(void)state;
	honest_start(&honest);
	honest_goes_on(&honest);
	long before_kb = resident_kb();
	int before = descriptors();
	for (size_t i = 0; i < CROWD; i++) {
		unsigned offset = i % 10 == 0 ? 3 : 0;
		crowd.fds[i] = connect_to(offset);
		if (crowd.fds[i] >= 0) misbehave(crowd.fds[i], offset, (enum mischief)(i % 3));
		at_the_door.fds[i] = connect_to(HTTP_OFFSET);
		if (at_the_door.fds[i] >= 0) misbehave_http(at_the_door.fds[i], (unsigned)i);
	}
	honest_goes_on(&honest);
	long grown_kb = resident_kb() - before_kb;
	print_message("two thousand: %ld KiB more, %d descriptors\n", grown_kb, descriptors());
	assert_true(grown_kb <= 2 * GROWTH_MAX_KB);
	come_back(before, "still open on the other side");
	expect_locked("kv/LOCK");
	expect_locked("log/LOCK");
	honest_goes_on(&honest);
	int fd = connect_to(HTTP_OFFSET);
	assert_true(fd >= 0 && say(fd, ask, sizeof ask - 1));
	ssize_t size = recv(fd, answer, sizeof answer - 1, 0);
	assert_true(size > 0);
	answer[size] = '\0';
	assert_non_null(strstr(answer, "200 OK"));
	close(fd);
	disperse(&crowd);
	disperse(&at_the_door);
	honest_stop(&honest);
}

static unsigned cut_off_count(void)
{
	char *log = harness_process_stderr(&node.process);
	unsigned count = 0;
	for (const char *at = log; (at = strstr(at, "event=rpc.cut_off")) != NULL; at++)
		count++;
	free(log);
	return count;
}

/* Tokens that nobody made are refused at the door, and don't count against those who share its way into the node. */
static void bad_tokens_at_the_door(void **state)
{
	static const char ask[] =
	    "POST /fts.kv.v1.Kv/Get HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	    "Authorization: Bearer fts_0123456789abcdef_nobody\r\nContent-Length: 2\r\n\r\n{}";
	char answer[4096];
	unsigned before = cut_off_count();
	int fd = connect_to(HTTP_OFFSET);
	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 250; i++) {
		assert_true(say(fd, ask, sizeof ask - 1));
		ssize_t size = recv(fd, answer, sizeof answer - 1, 0);
		assert_true(size > 0);
		answer[size] = '\0';
		if (strstr(answer, " 401 ") == NULL) fail_msg("%s", answer);
	}
	close(fd);
	assert_int_equal(cut_off_count(), before);
	char *log = harness_process_stderr(&node.process);
	assert_null(strstr(log, "fts_0123456789abcdef")); /* what was sent stands in no log, good or bad */
	free(log);
}

/* A call with a token that nobody made, or a frame that means nothing. Returns its size. */
static size_t bad_frame(uint8_t *out, unsigned number)
{
	uint8_t *at = out + 8;
	static const uint8_t route[4] = {0x80, 0, 0, 1};
	memcpy(at, route, sizeof route);
	at += sizeof route;
	if (number % 2 == 0) {
		memset(at, 0xff, 40); /* no header */
		at += 40;
	} else {
		uint8_t *header = at++;
		*at++ = 0x0d; /* method */
		memcpy(at, &fts_kv_get_method->id, 4);
		at += 4;
		*at++ = 0x10; /* timeout_ms */
		*at++ = 100;
		*at++ = 0x3a; /* token */
		*at++ = 85;
		at += snprintf((char *)at, 86, "fts_%016x_%064x", number, number);
		*header = (uint8_t)(at - header - 1);
	}
	size_t size = (size_t)(at - out - 8);
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(size >> (56 - 8 * i));
	return size + 8;
}

static void floods(void **state)
{
	static struct honest honest;
	uint8_t bytes[256], answer[65536];
	int fd = -1;
	unsigned connection_count = 0;
	(void)state;
	honest_start(&honest);
	honest_goes_on(&honest);
	long before_kb = resident_kb();
	honest_tell(&honest, "quiet");
	bool cut_off = false;
	for (unsigned i = 0; i < frame_count || !cut_off; i++) { /* the alarm ends it when nobody is ever cut off */
		if (fd < 0) {
			if ((fd = connect_to(0)) < 0) continue;
			connection_count++;
			(void)say(fd, hellos[0], 8);
		}
		if (!say(fd, bytes, bad_frame(bytes, i))) { /* cut off: it comes back */
			close(fd);
			fd = -1;
			cut_off = true;
		} else {
			(void)!recv(fd, answer, sizeof answer, MSG_DONTWAIT);
		}
	}
	if (fd >= 0) close(fd);
	honest_tell(&honest, "floods");
	honest_goes_on(&honest);
	long grown_kb = resident_kb() - before_kb;
	print_message("floods: %u connections, %ld KiB more\n", connection_count, grown_kb);
	/* none is heard for ever */
	assert_true(harness_process_wait_stderr(&node.process, "event=rpc.cut_off", 0, WAIT_MS));
	assert_true(grown_kb <= GROWTH_MAX_KB);
	honest_stop(&honest);
}

static void run_cli(const char *first, const char *second, const char *third, const char *fourth)
{
	const char *argv[] = {"fts-cli", "--endpoints", node.endpoint, "--timeout", "30s", first, second,
			      third,     fourth,        NULL,          NULL,        NULL,  NULL};
	size_t count = 9;
	if (strcmp(first, "token") == 0) {
		argv[count++] = "--out";
		argv[count++] = admin;
	}
	char *err = NULL;
	if (harness_run(argv, WAIT_MS, NULL, &err) != 0) fail_msg("%s", err);
	free(err);
}

static int start(void **state)
{
	struct rlimit limit;
	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	harness_node_init(&node);
	(void)snprintf(door, sizeof door, "127.0.0.1:%u", node.port + HTTP_OFFSET);
	node.flags[0] = "--http";
	node.flags[1] = door;
	harness_node_start(&node);
	(void)snprintf(admin, sizeof admin, "%s/admin", node.root);
	run_cli("kv", "set", "key", "value");
	run_cli("token", "make", "--role", "admin");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_node_fini(&node);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(crowds),
	    cmocka_unit_test(the_silent_are_sent_away),
	    cmocka_unit_test(bad_tokens_at_the_door),
	    cmocka_unit_test(floods),
	};
	if (argc > 1 && strcmp(argv[1], "long") == 0) frame_count *= 20;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
