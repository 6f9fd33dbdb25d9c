/* Why this file exists: see fts_tiny.h. The bytes are told in docs/wire.md. */
#include "client/tiny/fts_tiny.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HELLO_BYTES 8
#define LENGTH_BYTES 8
#define ID_BYTES 4
#define ID_BIT 0x80000000u
#define MESSAGE_MAX_BYTES (4u * 1024 * 1024)
#define HEADER_MAX_BYTES 512
#define FRAME_MAX_BYTES (LENGTH_BYTES + ID_BYTES + 2 + HEADER_MAX_BYTES)

static const uint8_t hello_ours[HELLO_BYTES] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
static const uint8_t hello_theirs[HELLO_BYTES] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};

/* ---- Time and sockets ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Wait until fd is ready for events. */
static enum fts_tiny_result wait_ready(int fd, short events, uint64_t deadline_ms)
{
	for (;;) {
		uint64_t at_ms = now_ms();
		uint64_t left_ms = deadline_ms > at_ms ? deadline_ms - at_ms : 0;
		struct pollfd pollfd = {.fd = fd, .events = events};
		int ready = poll(&pollfd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);

		if (ready > 0) return FTS_TINY_OK;
		if (ready == 0 && left_ms <= INT_MAX) return FTS_TINY_DEADLINE;
		if (ready < 0 && errno != EINTR) return FTS_TINY_CLOSED;
	}
}

static int would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static enum fts_tiny_result send_all(int fd, struct iovec *parts, size_t part_count, uint64_t deadline_ms)
{
	while (part_count > 0) {
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
		ssize_t sent_bytes = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (sent_bytes < 0 && !would_block()) return FTS_TINY_CLOSED;
		if (sent_bytes < 0) {
			enum fts_tiny_result result = wait_ready(fd, POLLOUT, deadline_ms);
			if (result != FTS_TINY_OK) return result;
			continue;
		}
		while (part_count > 0 && (size_t)sent_bytes >= parts->iov_len) {
			sent_bytes -= (ssize_t)parts->iov_len;
			parts++;
			part_count--;
		}
		if (part_count > 0) {
			parts->iov_base = (uint8_t *)parts->iov_base + sent_bytes;
			parts->iov_len -= (size_t)sent_bytes;
		}
	}
	return FTS_TINY_OK;
}

static enum fts_tiny_result receive_all(int fd, uint8_t *out, size_t size_bytes, uint64_t deadline_ms)
{
	while (size_bytes > 0) {
		ssize_t got_bytes = recv(fd, out, size_bytes, 0);

		if (got_bytes == 0 || (got_bytes < 0 && !would_block())) return FTS_TINY_CLOSED;
		if (got_bytes < 0) {
			enum fts_tiny_result result = wait_ready(fd, POLLIN, deadline_ms);
			if (result != FTS_TINY_OK) return result;
			continue;
		}
		out += got_bytes;
		size_bytes -= (size_t)got_bytes;
	}
	return FTS_TINY_OK;
}

/* ---- Connecting ---- */

static enum fts_tiny_result connect_address(struct fts_tiny *tiny, const struct sockaddr *address, socklen_t size_bytes,
					    uint64_t deadline_ms)
{
	int one = 1, error = 0;
	socklen_t error_bytes = sizeof error;
	enum fts_tiny_result result = FTS_TINY_OK;

	tiny->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tiny->fd < 0) return FTS_TINY_UNREACHABLE;
	(void)setsockopt(tiny->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(tiny->fd, address, size_bytes) != 0) {
		if (errno == EINPROGRESS)
			result = wait_ready(tiny->fd, POLLOUT, deadline_ms);
		else
			result = FTS_TINY_UNREACHABLE;
		if (result == FTS_TINY_OK &&
		    (getsockopt(tiny->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) != 0 || error != 0))
			result = FTS_TINY_UNREACHABLE;
	}
	if (result != FTS_TINY_OK) fts_tiny_close(tiny);
	return result;
}

static enum fts_tiny_result connect_name(struct fts_tiny *tiny, const char *host, uint16_t port, uint64_t deadline_ms)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
	enum fts_tiny_result result = FTS_TINY_UNREACHABLE;
	char service[8];

	(void)snprintf(service, sizeof service, "%u", (unsigned)port);
	if (getaddrinfo(host, service, &hints, &list) != 0) return FTS_TINY_UNREACHABLE;
	for (struct addrinfo *at = list; at && result == FTS_TINY_UNREACHABLE; at = at->ai_next)
		result = connect_address(tiny, at->ai_addr, at->ai_addrlen, deadline_ms);
	freeaddrinfo(list);
	return result;
}

static enum fts_tiny_result connect_host(struct fts_tiny *tiny, const char *host, uint16_t port, uint64_t deadline_ms)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, host, &four.sin_addr) == 1)
		return connect_address(tiny, (const struct sockaddr *)&four, sizeof four, deadline_ms);
	if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1)
		return connect_address(tiny, (const struct sockaddr *)&six, sizeof six, deadline_ms);
	return connect_name(tiny, host, port, deadline_ms);
}

static enum fts_tiny_result greet(struct fts_tiny *tiny, uint64_t deadline_ms)
{
	uint8_t ours[HELLO_BYTES], theirs[HELLO_BYTES];
	struct iovec part = {ours, sizeof ours};

	memcpy(ours, hello_ours, sizeof ours);
	enum fts_tiny_result result = send_all(tiny->fd, &part, 1, deadline_ms);
	if (result == FTS_TINY_OK) result = receive_all(tiny->fd, theirs, sizeof theirs, deadline_ms);
	if (result == FTS_TINY_OK && memcmp(theirs, hello_theirs, sizeof theirs) != 0) result = FTS_TINY_MALFORMED;
	return result;
}

enum fts_tiny_result fts_tiny_open(struct fts_tiny *tiny, const char *host, uint16_t port, uint32_t timeout_ms)
{
	uint64_t deadline_ms = now_ms() + timeout_ms;

	fts_tiny_close(tiny);
	enum fts_tiny_result result = connect_host(tiny, host, port, deadline_ms);
	if (result == FTS_TINY_OK) result = greet(tiny, deadline_ms);
	if (result != FTS_TINY_OK) fts_tiny_close(tiny);
	return result;
}

void fts_tiny_close(struct fts_tiny *tiny)
{
	if (tiny->fd >= 0) (void)close(tiny->fd);
	tiny->fd = -1;
}

/* ---- Frames ---- */

static void put_be(uint8_t *out, uint64_t value, unsigned byte_count)
{
	for (unsigned i = 0; i < byte_count; i++)
		out[i] = (uint8_t)(value >> 8 * (byte_count - 1 - i));
}

static uint64_t get_be(const uint8_t *in, unsigned byte_count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < byte_count; i++)
		value = value << 8 | in[i];
	return value;
}

/* FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv */
static uint32_t method_id(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static int fill_header(const struct fts_tiny_call *call, fts_rpc_v1_CallHeader *header)
{
	if (!call->method || call->timeout_ms == 0 || call->token_bytes > sizeof header->token.bytes) return -1;
	header->method = method_id(call->method);
	header->timeout_ms = call->timeout_ms;
	header->client_id = call->client_id;
	header->sequence = call->sequence;
	header->lowest_unanswered = call->sequence; /* one call at a time: all before it have been answered */
	header->fence = call->fence;
	header->trace_id = call->trace_id;
	header->stale = call->stale != 0;
	header->token.size = (pb_size_t)call->token_bytes;
	if (call->token_bytes) memcpy(header->token.bytes, call->token, call->token_bytes);
	return 0;
}

/* Everything in front of the payload. Returns its size; 0: a field is out of bounds. */
static size_t write_frame(const struct fts_tiny *tiny, const struct fts_tiny_call *call, uint8_t *out)
{
	fts_rpc_v1_CallHeader header = fts_rpc_v1_CallHeader_init_zero;
	pb_ostream_t stream =
	    pb_ostream_from_buffer(out + LENGTH_BYTES + ID_BYTES, FRAME_MAX_BYTES - LENGTH_BYTES - ID_BYTES);

	if (fill_header(call, &header) != 0 || call->payload_bytes > MESSAGE_MAX_BYTES - FRAME_MAX_BYTES ||
	    !pb_encode_ex(&stream, fts_rpc_v1_CallHeader_fields, &header, PB_ENCODE_DELIMITED))
		return 0;
	put_be(out, ID_BYTES + stream.bytes_written + call->payload_bytes, LENGTH_BYTES);
	put_be(out + LENGTH_BYTES, tiny->request_id, ID_BYTES);
	return LENGTH_BYTES + ID_BYTES + stream.bytes_written;
}

static enum fts_tiny_result send_call(struct fts_tiny *tiny, const struct fts_tiny_call *call, uint64_t deadline_ms)
{
	uint8_t frame[FRAME_MAX_BYTES];

	tiny->request_id = (tiny->request_id + 1) | ID_BIT;
	size_t frame_bytes = write_frame(tiny, call, frame);
	if (frame_bytes == 0) return FTS_TINY_INVALID;
	struct iovec parts[] = {{frame, frame_bytes}, {(uint8_t *)(uintptr_t)call->payload, call->payload_bytes}};
	return send_all(tiny->fd, parts, call->payload_bytes ? 2 : 1, deadline_ms);
}

static enum fts_tiny_result read_reply(const struct fts_tiny *tiny, const uint8_t *message, size_t size_bytes,
				       struct fts_tiny_reply *out)
{
	if (size_bytes < ID_BYTES || get_be(message, ID_BYTES) != tiny->request_id) return FTS_TINY_MALFORMED;
	pb_istream_t stream = pb_istream_from_buffer(message + ID_BYTES, size_bytes - ID_BYTES);
	fts_rpc_v1_ReplyHeader empty = fts_rpc_v1_ReplyHeader_init_zero;
	out->header = empty;
	if (!pb_decode_ex(&stream, fts_rpc_v1_ReplyHeader_fields, &out->header, PB_DECODE_DELIMITED))
		return FTS_TINY_MALFORMED;
	out->payload_bytes = stream.bytes_left;
	out->payload = message + size_bytes - stream.bytes_left;
	return FTS_TINY_OK;
}

static enum fts_tiny_result receive_reply(struct fts_tiny *tiny, uint8_t *buffer, size_t buffer_bytes,
					  uint64_t deadline_ms, struct fts_tiny_reply *out)
{
	uint8_t length[LENGTH_BYTES];
	enum fts_tiny_result result = receive_all(tiny->fd, length, sizeof length, deadline_ms);

	if (result != FTS_TINY_OK) return result;
	uint64_t size_bytes = get_be(length, LENGTH_BYTES);
	if (size_bytes > MESSAGE_MAX_BYTES) return FTS_TINY_MALFORMED;
	if (size_bytes > buffer_bytes) return FTS_TINY_NO_SPACE;
	result = receive_all(tiny->fd, buffer, (size_t)size_bytes, deadline_ms);
	return result == FTS_TINY_OK ? read_reply(tiny, buffer, (size_t)size_bytes, out) : result;
}

enum fts_tiny_result fts_tiny_call(struct fts_tiny *tiny, const struct fts_tiny_call *call, uint8_t *buffer,
				   size_t buffer_bytes, struct fts_tiny_reply *out_reply)
{
	uint64_t deadline_ms = now_ms() + call->timeout_ms;

	if (tiny->fd < 0) return FTS_TINY_UNREACHABLE;
	enum fts_tiny_result result = send_call(tiny, call, deadline_ms);
	if (result == FTS_TINY_OK) result = receive_reply(tiny, buffer, buffer_bytes, deadline_ms, out_reply);
	if (result != FTS_TINY_OK) fts_tiny_close(tiny);
	return result;
}
