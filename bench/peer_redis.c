/* Why this file exists: a client of redis that does what fts-bench kv does to fts: set and get, keys from the same
 * place (keys.h), each client a connection with --pipeline calls in flight: the next are sent when all have been
 * answered. With several --endpoints they are the masters of a Redis Cluster, which hold equal shares of the 16,384
 * slots in that order (bench/redis makes them so); a client stays with one master and draws keys until one belongs
 * there, so that no call is redirected, which is the best a client of a cluster could do. One thread, as
 * redis-benchmark; epoll. */
#include "bench/keys.h"
#include "bench/measure.h"
#include "bench/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MASTERS_MAX = 8, SLOT_COUNT = 16384, READ_BYTES = 64 * 1024, EVENTS_MAX = 256, FILL_PIPELINE = 512 };

struct client {
	int fd;
	uint32_t master;
	uint64_t random;
	uint32_t fill_next;  /* filling: the next key to look at */
	uint32_t open_count; /* calls in flight */
	uint64_t sent_ns;
	size_t skip_bytes; /* of a value that is still to come */
	size_t line_bytes; /* of the line that has begun */
	char line[64];
};

struct load {
	const struct bench_options *options;
	struct bench_keys keys;
	struct sockaddr_in masters[MASTERS_MAX];
	uint32_t master_count;
	int epoll_fd;
	struct client *clients;
	char *out; /* room for the calls of one client */
	size_t call_bytes_max;
	uint64_t end_ns;
	bool filling; /* each master by one client, which sends all keys that belong there */
	struct measure measure;
};

/* ---- Slots: CRC16 of the key, XMODEM's polynomial (Redis Cluster specification) ---- */

static uint16_t crc16(const char *bytes, size_t size_bytes)
{
	uint16_t crc = 0;
	for (size_t i = 0; i < size_bytes; i++) {
		crc = (uint16_t)(crc ^ (uint16_t)((uint8_t)bytes[i] << 8));
		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1);
	}
	return crc;
}

static bool belongs(const struct load *load, const struct client *client, const char *key)
{
	if (load->master_count == 1) return true;
	return (uint32_t)(crc16(key, BENCH_KEY_BYTES) % SLOT_COUNT) * load->master_count / SLOT_COUNT == client->master;
}

/* ---- Sending ---- */

/* False: no key is left to fill with. */
static bool next_key(struct load *load, struct client *client, char *out)
{
	do {
		if (load->filling && client->fill_next == load->keys.count) return false;
		bench_key_print(out,
				load->filling ? client->fill_next++ : bench_keys_draw(&load->keys, &client->random));
	} while (!belongs(load, client, out));
	return true;
}

static size_t print_call(struct load *load, struct client *client, const char *key, char *out)
{
	uint32_t value_bytes = load->options->value_bytes;
	bool reads = !load->filling && bench_random_next(&client->random) % 100 < load->options->get_percent;
	if (reads)
		return (size_t)snprintf(out, load->call_bytes_max, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", BENCH_KEY_BYTES,
					key);
	size_t size = (size_t)snprintf(out, load->call_bytes_max, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%u\r\n",
				       BENCH_KEY_BYTES, key, value_bytes);
	memset(out + size, 'v', value_bytes);
	memcpy(out + size + value_bytes, "\r\n", 2);
	return size + value_bytes + 2;
}

static bool send_all(int fd, const char *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t sent = send(fd, bytes, size_bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) continue;
		if (sent <= 0) return false;
		bytes += sent;
		size_bytes -= (size_t)sent;
	}
	return true;
}

static bool send_next(struct load *load, struct client *client)
{
	uint32_t count = load->filling ? FILL_PIPELINE : load->options->pipeline;
	size_t size = 0;
	char key[BENCH_KEY_BYTES + 1];
	client->open_count = 0;
	while (client->open_count < count && next_key(load, client, key)) {
		size += print_call(load, client, key, load->out + size);
		client->open_count++;
	}
	client->sent_ns = measure_now_ns();
	return send_all(client->fd, load->out, size);
}

/* ---- Answers ---- */

static void end_call(struct load *load, struct client *client, bool good)
{
	client->open_count--;
	if (load->filling) return;
	if (good)
		measure_add(&load->measure, measure_now_ns() - client->sent_ns);
	else
		load->measure.error_count++;
}

static void end_line(struct load *load, struct client *client)
{
	long value_bytes = client->line[0] == '$' ? strtol(client->line + 1, NULL, 10) : -1;
	if (value_bytes >= 0) client->skip_bytes = (size_t)value_bytes + 2;
	if (client->line[0] == '-') fprintf(stderr, "peer-redis: %s\n", client->line);
	end_call(load, client, client->line[0] == '+' || value_bytes == (long)load->options->value_bytes);
	client->line_bytes = 0;
}

static void take_bytes(struct load *load, struct client *client, const char *bytes, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes;) {
		size_t left = size_bytes - at;
		if (client->skip_bytes > 0) {
			size_t skipped = left < client->skip_bytes ? left : client->skip_bytes;
			client->skip_bytes -= skipped;
			at += skipped;
			continue;
		}
		char byte = bytes[at++];
		if (byte == '\n') {
			client->line[client->line_bytes < sizeof client->line ? client->line_bytes
									      : sizeof client->line - 1] = 0;
			end_line(load, client);
		} else if (byte != '\r' && client->line_bytes < sizeof client->line - 1) {
			client->line[client->line_bytes++] = byte;
		}
	}
}

/* False: the connection is over. *out_idle: nothing is in flight, and nothing more is to be sent. */
static bool serve_client(struct load *load, struct client *client, bool *out_idle)
{
	static char bytes[READ_BYTES];
	ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);
	if (size < 0 && errno == EINTR) return true;
	if (size <= 0) return false;
	take_bytes(load, client, bytes, (size_t)size);
	if (client->open_count > 0 || client->skip_bytes > 0) return true;
	*out_idle = !load->filling && measure_now_ns() >= load->end_ns;
	if (!*out_idle && !send_next(load, client)) return false;
	*out_idle = *out_idle || client->open_count == 0;
	return true;
}

/* ---- The run ---- */

static bool run(struct load *load, uint32_t client_count)
{
	struct epoll_event events[EVENTS_MAX];
	uint32_t busy = 0;
	for (uint32_t i = 0; i < client_count; i++) {
		if (!send_next(load, &load->clients[i])) return false;
		if (load->clients[i].open_count > 0) busy++;
	}
	while (busy > 0) {
		int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, 10000);
		if (count <= 0 && errno != EINTR) return false;
		for (int i = 0; i < count; i++) {
			bool idle = false;
			if (!serve_client(load, events[i].data.ptr, &idle)) return false;
			if (idle) busy--;
		}
	}
	return true;
}

static bool open_client(struct load *load, struct client *client, uint32_t place)
{
	int on = 1;
	*client = (struct client){.master = place % load->master_count, .random = bench_random_of(place)};
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
	const struct sockaddr_in *master = &load->masters[client->master];
	if (client->fd < 0 || connect(client->fd, (const struct sockaddr *)master, sizeof *master) != 0 ||
	    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) != 0) {
		fprintf(stderr, "peer-redis: %s\n", strerror(errno));
		return false;
	}
	return true;
}

/* All keys, so that each read finds one. */
static bool fill(struct load *load)
{
	if (load->options->get_percent == 0 || load->options->filled) return true;
	load->filling = true;
	bool good = load->options->clients >= load->master_count && run(load, load->master_count);
	load->filling = false;
	return good;
}

static bool parse_masters(struct load *load, const char *endpoints)
{
	char *list = strdup(endpoints), *rest = list;
	bool good = list != NULL;
	for (char *one; good && (one = strsep(&rest, ",")) != NULL;) {
		char *colon = strchr(one, ':');
		good = colon != NULL && load->master_count < MASTERS_MAX;
		if (!good) break;
		*colon = 0;
		struct sockaddr_in *master = &load->masters[load->master_count++];
		*master = (struct sockaddr_in){.sin_family = AF_INET,
					       .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
		good = inet_pton(AF_INET, one, &master->sin_addr) == 1;
	}
	free(list);
	return good;
}

int main(int argc, char **argv)
{
	struct bench_options options = {
	    .clients = 64, .outstanding = 64, .seconds = 5, .keys = 100000, .value_bytes = 100, .pipeline = 1};
	static struct load load;
	bench_options_parse(&options, argc, argv, 1);
	if (options.endpoints == NULL || !parse_masters(&load, options.endpoints)) {
		fputs("peer-redis: --endpoints IP:PORT[,IP:PORT of the other masters]\n", stderr);
		return 2;
	}
	load.options = &options;
	bench_keys_init(&load.keys, options.keys, options.skewed);
	load.call_bytes_max = options.value_bytes + 128;
	uint32_t most = options.pipeline > FILL_PIPELINE ? options.pipeline : FILL_PIPELINE;
	load.clients = calloc(options.clients, sizeof *load.clients);
	load.out = malloc(load.call_bytes_max * most);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bool good = load.clients != NULL && load.out != NULL && load.epoll_fd >= 0;
	for (uint32_t i = 0; good && i < options.clients; i++)
		good = open_client(&load, &load.clients[i], i);
	good = good && fill(&load);
	double cpu_before_s = measure_cpu_s(0) + measure_cpu_of_s(options.pids);
	load.end_ns = measure_now_ns() + options.seconds * 1000000000ull;
	good = good && run(&load, options.clients);
	double cpu_s = measure_cpu_s(0) + measure_cpu_of_s(options.pids) - cpu_before_s;
	if (good) measure_print(&load.measure, "redis", options.seconds, cpu_s, options.json);
	return good && load.measure.error_count == 0 ? 0 : 1;
}
