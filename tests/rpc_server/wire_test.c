/* Why this file exists: the bytes on the wire are a promise to every client in every language. The golden messages
 * in tests/golden were made with protoc --encode, not with our code, and are never made anew to please a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/wire.h"

#define GOLDEN_MAX_BYTES 512

static size_t golden_read(const char *name, uint8_t *out)
{
	char path[512];
	size_t size = 0;
	snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
	FILE *file = fopen(path, "re");
	if (file == NULL) fail_msg("%s is missing", path);
	unsigned byte;
	while (size < GOLDEN_MAX_BYTES && fscanf(file, "%2x", &byte) == 1)
		out[size++] = (uint8_t)byte;
	fclose(file);
	return size;
}

static struct fts_bytes text_bytes(const char *text)
{
	return (struct fts_bytes){(const uint8_t *)text, strlen(text)};
}

static size_t message_write(const uint8_t *route, size_t route_bytes, const uint8_t *header, size_t header_bytes,
			    const char *payload, uint8_t *out)
{
	size_t size = route_bytes + header_bytes + strlen(payload);
	ftsi_put_be64(out, size);
	memcpy(out + 8, route, route_bytes);
	memcpy(out + 8 + route_bytes, header, header_bytes);
	memcpy(out + 8 + route_bytes + header_bytes, payload, strlen(payload));
	return size + 8;
}

static void hellos_are_sp(void **state)
{
	(void)state;
	uint8_t hello[8];
	ftsi_hello_write(FTSI_ROLE_CALLER, hello);
	assert_memory_equal(hello, "\0SP\0\0\x30\0\0", 8);
	assert_true(ftsi_hello_is(FTSI_ROLE_CALLER, hello));
	ftsi_hello_write(FTSI_ROLE_SERVER, hello);
	assert_memory_equal(hello, "\0SP\0\0\x31\0\0", 8);
	assert_false(ftsi_hello_is(FTSI_ROLE_CALLER, hello));
}

static const struct {
	const char *golden;
	struct ftsi_call_fields fields;
	const char *token;
	const char *route;
	size_t route_bytes;
} calls[] = {
    {"wire_call_read.hex", {.method_id = 0xA1B2C3D4, .timeout_ms = 5000, .stale = true}, "", "\x80\0\0\1", 4},
    {"wire_call_full.hex",
     {.method_id = 0xA1B2C3D4,
      .timeout_ms = 250,
      .client_id = 0x1122334455667788,
      .sequence = 300,
      .lowest_unanswered = 299,
      .fence = 77,
      .trace_id = 0x0102030405060708},
     "secret",
     "\0\0\0\7\0\0\0\x9\xff\0\xff\0",
     12},
};

static void calls_are_golden(void **state)
{
	(void)state;
	static struct ftsi_call_writer writer;
	static struct ftsi_call_reader reader;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		uint8_t golden[GOLDEN_MAX_BYTES], header[FTSI_HEADER_MAX_BYTES], made[FTSI_HEADER_MAX_BYTES + 64];
		size_t golden_bytes = golden_read(calls[i].golden, golden);
		struct ftsi_call_fields fields = calls[i].fields;
		fields.token = text_bytes(calls[i].token);
		for (int again = 0; again < 2; again++) { /* encoded, and from the cache */
			size_t header_bytes = ftsi_call_header_write(&writer, &fields, header);
			size_t size = message_write((const uint8_t *)calls[i].route, calls[i].route_bytes, header,
						    header_bytes, "\n\2hi", made);
			assert_int_equal(size, golden_bytes);
			assert_memory_equal(made, golden, size);

			struct ftsi_frame frame;
			assert_int_equal(ftsi_frame_split((struct fts_bytes){golden + 8, golden_bytes - 8}, &frame),
					 FTS_OK);
			assert_int_equal(frame.route.size_bytes, calls[i].route_bytes);
			const fts_rpc_v1_CallHeader *read = ftsi_call_header_read(&reader, frame.header);
			assert_non_null(read);
			assert_int_equal(read->method, fields.method_id);
			assert_int_equal(read->timeout_ms, fields.timeout_ms);
			assert_true(read->client_id == fields.client_id && read->sequence == fields.sequence);
			assert_true(read->lowest_unanswered == fields.lowest_unanswered);
			assert_true(read->fence == fields.fence && read->trace_id == fields.trace_id);
			assert_int_equal(read->stale, fields.stale);
			assert_int_equal(read->token.size, strlen(calls[i].token));
			assert_memory_equal(read->token.bytes, calls[i].token, read->token.size);
			assert_int_equal(frame.payload.size_bytes, 4);
		}
	}
}

static const struct {
	const char *golden;
	struct ftsi_reply_fields fields;
	const char *route;
	const char *payload;
} replies[] = {
    {"wire_reply_ok.hex", {.executed = FTS_EXECUTED_YES, .node = "n1"}, "\x80\0\0\1", "\n\2hi"},
    {"wire_reply_refused.hex",
     {.status = FTS_UNAVAILABLE,
      .executed = FTS_EXECUTED_NO,
      .node = "n2",
      .term = 7,
      .index = 4100,
      .leader = "10.0.0.9:7400",
      .retry_after_ms = 50,
      .detail = "not the leader",
      .age_ms = 12,
      .server_us = 345},
     "\xff\0\xff\0",
     ""},
};

static void replies_are_golden(void **state)
{
	(void)state;
	static struct ftsi_reply_writer writer;
	static struct ftsi_reply_reader reader;
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		uint8_t golden[GOLDEN_MAX_BYTES], header[FTSI_HEADER_MAX_BYTES], made[FTSI_HEADER_MAX_BYTES + 64];
		size_t golden_bytes = golden_read(replies[i].golden, golden);
		const struct ftsi_reply_fields *fields = &replies[i].fields;
		for (int again = 0; again < 2; again++) {
			size_t header_bytes = ftsi_reply_header_write(&writer, fields, header);
			size_t size = message_write((const uint8_t *)replies[i].route, 4, header, header_bytes,
						    replies[i].payload, made);
			assert_int_equal(size, golden_bytes);
			assert_memory_equal(made, golden, size);

			struct ftsi_frame frame;
			assert_int_equal(ftsi_frame_split((struct fts_bytes){golden + 8, golden_bytes - 8}, &frame),
					 FTS_OK);
			const fts_rpc_v1_ReplyHeader *read = ftsi_reply_header_read(&reader, frame.header);
			assert_non_null(read);
			assert_int_equal(read->code, fields->status);
			assert_int_equal(read->executed, fields->executed);
			assert_string_equal(read->node, fields->node);
			assert_string_equal(read->leader, fields->leader == NULL ? "" : fields->leader);
			assert_string_equal(read->detail, fields->detail == NULL ? "" : fields->detail);
			assert_true(read->term == fields->term && read->index == fields->index);
			assert_int_equal(read->retry_after_ms, fields->retry_after_ms);
			assert_int_equal(read->age_ms, fields->age_ms);
			assert_int_equal(read->server_us, fields->server_us);
		}
	}
}

static const struct {
	const char *name;
	const char *bytes;
	size_t size_bytes;
	size_t route_bytes;
} malformed[] = {
    {"nothing", "", 0, 0},
    {"half a word", "\x80\0", 2, 0},
    {"no request id", "\0\0\0\1\0\0\0\2", 8, 0},
    {"16 devices",
     "\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"
     "\0\0\0\1\0\0\0\1\x80\0\0\1\0",
     69, 0},
    {"no header length", "\x80\0\0\1", 4, 4},
    {"endless header length", "\x80\0\0\1\x80\x80\x80\x80", 8, 4},
    {"header longer than the message", "\x80\0\0\1\5abcd", 9, 4},
    {"header longer than any", "\x80\0\0\1\xff\x7f", 6, 4},
};

static void malformed_frames_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		struct ftsi_frame frame;
		uint8_t *bytes = malloc(malformed[i].size_bytes + 1); /* so that ASan sees each byte too many */
		memcpy(bytes, malformed[i].bytes, malformed[i].size_bytes);
		enum fts_status st = ftsi_frame_split((struct fts_bytes){bytes, malformed[i].size_bytes}, &frame);
		if (st != FTS_INVALID_ARGUMENT || frame.route.size_bytes != malformed[i].route_bytes)
			fail_msg("%s: status %d, route of %zu", malformed[i].name, (int)st, frame.route.size_bytes);
		free(bytes);
	}
}

static void fields_out_of_bounds_are_refused(void **state)
{
	(void)state;
	static struct ftsi_call_writer writer;
	uint8_t out[FTSI_HEADER_MAX_BYTES], token[129] = {0};
	struct ftsi_call_fields fields = {.method_id = 1, .timeout_ms = 0};
	assert_int_equal(ftsi_call_header_write(&writer, &fields, out), 0);
	fields.timeout_ms = 1;
	fields.token = (struct fts_bytes){token, sizeof token};
	assert_int_equal(ftsi_call_header_write(&writer, &fields, out), 0);
	fields.token.size_bytes = 128;
	assert_true(ftsi_call_header_write(&writer, &fields, out) > 128);
}

/* What a header says in detail may come from anybody: it leaves as UTF-8, whole characters, within its field. */
static void texts_leave_as_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"ñandú", "ñandú"},
	    {"\xff"
	     "a",
	     "?a"},
	    {"\xc3", "?"},
	    {"\xc0\x80", "??"},
	    {"\xed\xa0\x80", "???"},
	    {"\xf4\x90\x80\x80", "????"},
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	};
	static struct ftsi_reply_writer writer;
	static struct ftsi_reply_reader reader;
	uint8_t out[FTSI_HEADER_MAX_BYTES];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ftsi_reply_fields fields = {.detail = cases[i].in};
		size_t size = ftsi_reply_header_write(&writer, &fields, out);
		const fts_rpc_v1_ReplyHeader *read =
		    ftsi_reply_header_read(&reader, (struct fts_bytes){out + 1, size - 1});
		assert_non_null(read);
		assert_string_equal(read->detail, cases[i].out);
	}
	char text[1024];
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "ñ", 3);
	struct ftsi_reply_fields fields = {.detail = text};
	size_t size = ftsi_reply_header_write(&writer, &fields, out);
	const fts_rpc_v1_ReplyHeader *read = ftsi_reply_header_read(&reader, (struct fts_bytes){out + 2, size - 2});
	assert_non_null(read);
	assert_int_equal(strlen(read->detail), 510);
}

/* The caches must never answer with another header: random fields, each written and read beside a fresh pair. */
static void caches_are_transparent(void **state)
{
	(void)state;
	static struct ftsi_call_writer writer, fresh_writer;
	static struct ftsi_call_reader reader, fresh_reader;
	srand(7);
	for (int i = 0; i < 20000; i++) {
		struct ftsi_call_fields fields = {.method_id = (uint32_t)rand() % 6,
						  .timeout_ms = 1 + (uint32_t)rand() % 2,
						  .fence = (uint64_t)rand() % 2,
						  .sequence = (uint64_t)rand() % 2,
						  .stale = rand() % 2 == 0};
		uint8_t out[FTSI_HEADER_MAX_BYTES], expected[FTSI_HEADER_MAX_BYTES];
		memset(&fresh_writer, 0, sizeof fresh_writer);
		size_t size = ftsi_call_header_write(&writer, &fields, out);
		assert_int_equal(size, ftsi_call_header_write(&fresh_writer, &fields, expected));
		assert_memory_equal(out, expected, size);
		memset(&fresh_reader, 0, sizeof fresh_reader);
		struct fts_bytes header = {out + 1, size - 1};
		const fts_rpc_v1_CallHeader *a = ftsi_call_header_read(&reader, header);
		const fts_rpc_v1_CallHeader *b = ftsi_call_header_read(&fresh_reader, header);
		assert_non_null(a);
		assert_non_null(b);
		assert_true(a->method == b->method && a->timeout_ms == b->timeout_ms && a->fence == b->fence &&
			    a->sequence == b->sequence && a->stale == b->stale);
	}
}

/* Random bytes, and good headers with some bytes changed: nothing but an answer. */
static void noise_is_harmless(void **state)
{
	(void)state;
	static struct ftsi_call_reader calls_reader;
	static struct ftsi_reply_reader replies_reader;
	uint8_t golden[GOLDEN_MAX_BYTES];
	size_t golden_bytes = golden_read("wire_call_full.hex", golden);
	srand(11);
	for (int i = 0; i < 200000; i++) {
		size_t size = (size_t)rand() % (golden_bytes - 8);
		uint8_t *bytes = malloc(size + 1);
		memcpy(bytes, golden + 8, size);
		for (int k = rand() % 4; k > 0 && size > 0; k--)
			bytes[(size_t)rand() % size] = (uint8_t)rand();
		struct ftsi_frame frame;
		if (ftsi_frame_split((struct fts_bytes){bytes, size}, &frame) == FTS_OK) {
			(void)ftsi_call_header_read(&calls_reader, frame.header);
			(void)ftsi_reply_header_read(&replies_reader, frame.header);
		}
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hellos_are_sp),
	    cmocka_unit_test(calls_are_golden),
	    cmocka_unit_test(replies_are_golden),
	    cmocka_unit_test(malformed_frames_are_told),
	    cmocka_unit_test(fields_out_of_bounds_are_refused),
	    cmocka_unit_test(texts_leave_as_utf8),
	    cmocka_unit_test(caches_are_transparent),
	    cmocka_unit_test(noise_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
