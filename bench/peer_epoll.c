/* Why this file exists: the floor under every RPC: the same protobuf messages behind a 4-byte length over raw
 * epoll, one connection, no deadline, no dispatch, no statistics. What fts adds to this is its price.
 * Usage: peer-epoll [flags of fts-bench rpc]; with "serve" as first argument: the server. */
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/process.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fts/bench/v1/echo.pb-c.h"

#define BUFFER_SIZE (1u << 18)
#define OUTSTANDING_MAX 4096

struct side { /* one end of the connection */
	int fd;
	size_t in_size, out_size;
	uint8_t in[BUFFER_SIZE], out[BUFFER_SIZE];
};

static void no_delay(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static uint8_t *frame_begin(struct side *side)
{
	return side->out + side->out_size + 4;
}

static void frame_end(struct side *side, size_t size)
{
	uint32_t length = htonl((uint32_t)size);
	memcpy(side->out + side->out_size, &length, 4);
	side->out_size += 4 + size;
}

/* Writes all of the output; false: the peer is gone. */
static bool flush_out(struct side *side)
{
	size_t done = 0;
	while (done < side->out_size) {
		ssize_t n = write(side->fd, side->out + done, side->out_size - done);
		if (n <= 0) return false;
		done += (size_t)n;
	}
	side->out_size = 0;
	return true;
}

typedef void (*on_frame_fn)(void *ctx, const uint8_t *data, size_t size);

/* Waits for input, hands over every whole frame; false: the peer is gone. */
static bool read_frames(struct side *side, int epoll_fd, on_frame_fn on_frame, void *ctx)
{
	struct epoll_event event;
	if (epoll_wait(epoll_fd, &event, 1, -1) < 0) return false;
	ssize_t n = read(side->fd, side->in + side->in_size, BUFFER_SIZE - side->in_size);
	if (n <= 0) return false;
	side->in_size += (size_t)n;
	size_t at = 0;
	for (uint32_t length; side->in_size - at >= 4; at += 4 + length) {
		memcpy(&length, side->in + at, 4);
		length = ntohl(length);
		if (side->in_size - at - 4 < length) break;
		on_frame(ctx, side->in + at + 4, length);
	}
	memmove(side->in, side->in + at, side->in_size - at);
	side->in_size -= at;
	return true;
}

static int epoll_on(int fd)
{
	int epoll_fd = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	return epoll_fd;
}

/* ---- Server ---- */

static void serve_frame(void *ctx, const uint8_t *data, size_t size)
{
	struct side *side = ctx;
	Fts__Bench__V1__EchoRequest *request = fts__bench__v1__echo_request__unpack(NULL, size, data);
	Fts__Bench__V1__EchoResponse response = FTS__BENCH__V1__ECHO_RESPONSE__INIT;
	if (request == NULL) return;
	response.sequence = request->sequence;
	response.sum = request->padding.len + request->number;
	frame_end(side, fts__bench__v1__echo_response__pack(&response, frame_begin(side)));
	fts__bench__v1__echo_request__free_unpacked(request, NULL);
}

static int serve(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	static struct side side;
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1) != 0) return 1;
	getsockname(listener, (struct sockaddr *)&address, &size);
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	side.fd = accept(listener, NULL, NULL);
	no_delay(side.fd);
	int epoll_fd = epoll_on(side.fd);
	while (read_frames(&side, epoll_fd, serve_frame, &side) && flush_out(&side)) continue;
	return 0;
}

/* ---- Client ---- */

struct client {
	struct side side;
	struct measure measure;
	uint64_t end_ns;
	uint32_t open;
	uint64_t sent_ns[OUTSTANDING_MAX];
};

static const uint8_t padding_bytes[40];

static void send_one(struct client *client, uint32_t slot)
{
	Fts__Bench__V1__EchoRequest request = FTS__BENCH__V1__ECHO_REQUEST__INIT;
	request.sequence = slot;
	request.first_name = (char *)"Santiago Lionel";
	request.last_name = (char *)"Lorca";
	request.document = (char *)"30904465";
	request.birthdate = (char *)"1999-03-17";
	request.number = 2201;
	request.padding.data = (uint8_t *)padding_bytes;
	request.padding.len = sizeof padding_bytes;
	client->sent_ns[slot] = measure_now_ns();
	client->open++;
	frame_end(&client->side, fts__bench__v1__echo_request__pack(&request, frame_begin(&client->side)));
}

static void client_frame(void *ctx, const uint8_t *data, size_t size)
{
	struct client *client = ctx;
	Fts__Bench__V1__EchoResponse *response = fts__bench__v1__echo_response__unpack(NULL, size, data);
	if (response == NULL || response->sequence >= OUTSTANDING_MAX) exit(1);
	uint32_t slot = (uint32_t)response->sequence;
	uint64_t now_ns = measure_now_ns();
	measure_add(&client->measure, now_ns - client->sent_ns[slot]);
	client->open--;
	if (now_ns < client->end_ns) send_one(client, slot);
	fts__bench__v1__echo_response__free_unpacked(response, NULL);
}

static int measure_client(const struct bench_options *options)
{
	static struct client client;
	struct bench_process server = {0};
	const char *args[] = {"serve", NULL};
	if (!bench_process_start(&server, "peer-epoll", args)) return 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                              .sin_port = htons(server.port)};
	client.side.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(client.side.fd, (struct sockaddr *)&address, sizeof address) != 0) return 1;
	no_delay(client.side.fd);
	int epoll_fd = epoll_on(client.side.fd);
	double cpu_before_s = measure_cpu_s(server.pid);
	client.end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	for (uint32_t slot = 0; slot < options->outstanding; slot++) send_one(&client, slot);
	flush_out(&client.side);
	while (client.open > 0 && read_frames(&client.side, epoll_fd, client_frame, &client))
		if (!flush_out(&client.side)) break;
	double cpu_s = measure_cpu_s(server.pid) - cpu_before_s;
	close(client.side.fd);
	bench_process_stop(&server);
	measure_print(&client.measure, "epoll", options->seconds, cpu_s, options->json);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = {.clients = 1, .outstanding = 64, .seconds = 5};
	if (argc > 1 && strcmp(argv[1], "serve") == 0) return serve();
	bench_options_parse(&options, argc, argv, 1);
	return measure_client(&options);
}
