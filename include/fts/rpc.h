/* Why this file exists: the runtime under the generated stubs. A program includes the header that
 * protoc-gen-fts made for its service, and this one for channels (to call) and servers (to be called).
 *
 *   caller:  fts_channel_open -> acme_greeter_hello(channel, &request, NULL, &response, &error)
 *   server:  fts_server_create -> acme_greeter_register(server, &handlers, ctx) -> fts_server_start
 *
 * Invariants: nothing here blocks past its deadline; a callback fires exactly once and never inside the
 * function that was given it; nothing is resent below fts_channel, which alone retries (docs/wire.md).
 * Wire: nng's SP REQ/REP over TCP, one call a message (docs/wire.md). */
#ifndef FTS_RPC_H
#define FTS_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include <fts/api.h>
#include <fts/status.h>

FTS_BEGIN_DECLS

#define FTS_MESSAGE_MAX (4u * 1024 * 1024) /* bytes of one call or reply, headers included */
#define FTS_DEFAULT_PORT 7400

/* ---- Descriptors: emitted by protoc-gen-fts, read-only, static storage ---- */

enum fts_route { FTS_ROUTE_LEADER = 0, FTS_ROUTE_REPLICA = 1, FTS_ROUTE_ANY = 2 };

struct fts_call; /* one call while it is being served */

/* Calls the right member of a typed handler table; emitted for each method. */
typedef void (*fts_invoke_fn)(const void *handlers, struct fts_call *call, const ProtobufCMessage *request,
                              void *ctx);

struct fts_method {
	const char *name;      /* "StoreBatch" */
	const char *full_name; /* "fts.lottery.v1.Lottery/StoreBatch" */
	uint32_t id;           /* FNV-1a 32 of full_name */
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *response;
	fts_invoke_fn invoke;
	uint32_t timeout_ms;     /* default time limit */
	uint32_t longest_run_ms; /* a healthy run is never longer */
	enum fts_route route;
	bool mutates;
	bool blocking;    /* runs in the worker pool */
	bool no_side_effects; /* idempotency_level = NO_SIDE_EFFECTS: may be asked for by HTTP GET */
	const char *role; /* what the caller must be; "": see fts/rpc/v1/options.proto */
	const char *doc;  /* from the .proto's comments */
};

/* Documentation of one message or enum, for `describe`: names as in the descriptor. */
struct fts_field_doc {
	const char *field; /* "" : the message or enum itself */
	const char *doc;
};
struct fts_type_doc {
	const ProtobufCMessageDescriptor *message; /* or NULL */
	const ProtobufCEnumDescriptor *enumeration; /* or NULL */
	const char *topic;                          /* of an event; "" otherwise */
	const struct fts_field_doc *fields;
	size_t field_count;
};

struct fts_service {
	const char *name; /* "fts.lottery.v1.Lottery" */
	const char *doc;
	const struct fts_method *methods; /* in the order of the .proto */
	size_t method_count;
	const struct fts_type_doc *types; /* every type of the service's file that has a doc or a topic */
	size_t type_count;
};

/* An event message and the topic it is published under. */
struct fts_topic {
	const char *name; /* "lottery.draw" */
	const ProtobufCMessageDescriptor *message;
	const char *doc;
};

/* ---- TLS ---- */

/* Paths of PEM files (borrowed for the call that takes the struct). All NULL: no TLS. */
struct fts_tls {
	const char *ca_file;
	const char *cert_file;
	const char *key_file; /* ECDSA; must belong to the user and not be readable by others */
	const char *client_ca_file; /* servers only: callers may show a certificate of this authority too; NULL: none */
};

/* ---- Calling ----
 *
 * A channel is a set of servers that offer the same services; calls find the right one, also while servers die.
 * - Where a call goes. To the leader: the one last known, at first the first endpoint. To any replica: a random
 *   endpoint at first, so that clients spread; then always that one, until it dies. To any node: the first endpoint.
 *   Leaders that are not in the list are learned from answers, and kept (up to 64 servers a channel); with
 *   learn_members all members of the cluster are, 20 ms after the first connection and every 30 s.
 * - Connections. The first call connects. From then on the channel keeps connections to up to 5 of its servers, so
 *   that a call that has to move finds one. One that could not be made is dialed again after 1 to 5 s.
 * - A connection that breaks: its calls move at once to another server.
 * - A refusal "not me" with the leader's address: the call moves there at once, also when that address is new.
 *   At most 16 moves a call. While there is no leader a call pauses a few ms, each pause an eighth of all before it,
 *   3 s in sum: it lives through an election of a second and more. Of many such calls one asks, the others wait
 *   for it.
 * - Silence: when nothing has come over a connection for 100 ms while a call waits on it, the servers are asked who
 *   leads (fts.cluster.v1.Cluster/Leader; a few bytes, not a call of yours). When another than the silent one is
 *   named, its calls move there; reads of replicas move to any that answers. A server that is alive and slow is left
 *   in peace. With one server known nothing is asked.
 * - Everything else that may be retried (UNAVAILABLE, no server reachable, RESOURCE_EXHAUSTED with advice) is, after
 *   50, 100, 200 ms: at most 4 tries.
 * - None of this outlasts the call's time limit, and no call is executed twice: every attempt of a changing call
 *   carries the same client id and sequence. A late answer of an earlier attempt is ignored. */

struct fts_channel; /* thread-safe */

struct fts_channel_options {
	const char *endpoints; /* "HOST:PORT,HOST:PORT"; NULL: 127.0.0.1:7400. Borrowed. */
	struct fts_tls tls;
	struct fts_bytes token; /* sent with every call; at most 128 bytes. Borrowed. */
	uint64_t client_id;     /* 0: a random one. One client id belongs to one channel at a time. */
	uint32_t connect_timeout_ms; /* 0: 2,000 */
	uint32_t max_open_calls;     /* 0: 4,096; more are refused with RESOURCE_EXHAUSTED */
	size_t (*token_source)(void *ctx, uint8_t *out_token); /* asked for each call's token instead: writes at most 128
	                                bytes, returns how many; must not block. NULL: token */
	void *token_ctx;             /* borrowed until close */
	bool learn_members;          /* ask the servers for the members of their cluster (fts.cluster.v1.Cluster/Status),
	                                and use them too: one endpoint is enough then */
	bool stay_local;             /* call nobody else than endpoints but on this machine, whoever is named as leader,
	                                member or owner: for a token that must not be read on its way */
};

/* How a call went, for people and for --explain. */
struct fts_call_info {
	uint32_t attempts; /* times it was sent */
	uint32_t moves;    /* of them, those that followed the one before at once: another server was known to be right */
	char node[64]; /* who answered last; "" : nobody */
	char endpoint[128]; /* of the last attempt */
	uint64_t term;
	uint64_t index;
	uint32_t age_ms; /* of a stale read */
	uint64_t connect_us; /* until it was sent first */
	uint64_t retry_us;   /* from then until it was sent last */
	uint64_t wait_us;    /* from then until it was answered */
	uint64_t server_us; /* of it, within the server */
	uint64_t total_us;
};

/* Whose call is passed on: as its header said it. */
struct fts_call_identity {
	uint64_t client_id; /* 0: it changes nothing */
	uint64_t sequence, lowest_unanswered;
	bool may_have_run; /* fts_call_may_have_run */
};

struct fts_call_options {
	uint32_t timeout_ms; /* whole call, retries included; 0: the method's own */
	uint64_t fence;      /* 0: none */
	uint64_t trace_id;   /* 0: none */
	bool stale;          /* a read may be answered from what the node has */
	bool no_retry;
	const char *endpoint; /* HOST:PORT of the server to ask first (learned when it is new); NULL: as told above. Borrowed for the start */
	const struct fts_call_identity *identity; /* of the caller a changing call is made for; NULL: the channel's own. Borrowed for the start */
	struct fts_bytes token; /* of this call, in place of the channel's; at most 128 bytes, copied. Empty: the channel's */
	struct fts_call_info *info; /* filled before the call ends, also when it fails; NULL: not wanted. Blocking calls only. */
};

/* Open a channel. Does not connect: the first call does. out_channel: returned (fts_channel_close).
 * Errors: INVALID_ARGUMENT (an endpoint that is not HOST:PORT, unreadable TLS file), RESOURCE_EXHAUSTED.
 * Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_channel_open(const struct fts_channel_options *options,
                                                      struct fts_channel **out_channel, struct fts_error *out_error);

/* End every open call with CANCELLED, wait for their callbacks, free the channel (owned; NULL: no-op).
 * Thread: any but a callback's (there it would wait for itself: it is logged, and the channel stays open). */
FTS_API void fts_channel_close(struct fts_channel *channel);

/* One call, and wait for it. Generated stubs call this with their types.
 * request, options: borrowed (options may be NULL). out_response: returned, free it with
 * protobuf_c_message_free_unpacked(response, NULL) or the message's own free function.
 * Errors: whatever the server answers; UNAVAILABLE (no server reachable), DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED (too many open calls, message too large). Retries as docs/wire.md says, inside the
 * time limit; a changing call keeps its client id and sequence, so it is executed once.
 * Thread: any but a callback's (INVALID_ARGUMENT there). */
FTS_API FTS_MUST_USE enum fts_status fts_channel_call(struct fts_channel *channel, const struct fts_method *method,
                                                      const ProtobufCMessage *request,
                                                      const struct fts_call_options *options,
                                                      ProtobufCMessage **out_response, struct fts_error *out_error);

/* How an asynchronous call ended. response: borrowed until the callback returns; NULL unless status is OK.
 * error: borrowed; only when status is not OK, NULL otherwise. Thread: one of the runtime's; do not block. */
typedef void (*fts_done_fn)(void *ctx, enum fts_status status, const ProtobufCMessage *response,
                            const struct fts_error *error);

/* Names a call in flight, for fts_channel_cancel. 0: none. */
struct fts_call_id {
	uint64_t value;
};

/* Start a call; done fires exactly once iff this returns OK, and never inside it.
 * request: borrowed (packed before return). out_id: may be NULL.
 * Errors: RESOURCE_EXHAUSTED (max_open_calls, size, 48 MiB of unanswered requests, 1,024 unanswered changing
 * calls), CANCELLED (the channel is being closed), INVALID_ARGUMENT. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_channel_start(struct fts_channel *channel, const struct fts_method *method,
                                                       const ProtobufCMessage *request,
                                                       const struct fts_call_options *options, fts_done_fn done,
                                                       void *ctx, struct fts_call_id *out_id);

/* Give a call up: its done fires with CANCELLED unless it has ended already (then: NOT_FOUND).
 * A changing call may have taken effect all the same. Thread: any. */
FTS_API enum fts_status fts_channel_cancel(struct fts_channel *channel, struct fts_call_id id);

/* Untyped form, for tools and gateways that hold packed messages: a method need not be compiled in.
 * payload: borrowed. out_payload: returned (free()); out_size_bytes: its size. */
FTS_API FTS_MUST_USE enum fts_status fts_channel_call_bytes(struct fts_channel *channel,
                                                            const struct fts_method *method, struct fts_bytes payload,
                                                            const struct fts_call_options *options,
                                                            uint8_t **out_payload, size_t *out_size_bytes,
                                                            struct fts_error *out_error);

/* ---- Being called ---- */

struct fts_server;

/* May method be called with this token and payload (both borrowed)? Asked before anything is unpacked, on one of the
 * runtime's threads: be short, don't block. Any status but FTS_OK is the answer, with out_error's detail; executed NO. */
typedef enum fts_status (*fts_authorize_fn)(void *ctx, const struct fts_method *method, struct fts_bytes token,
                                            struct fts_bytes payload, struct fts_error *out_error);

struct fts_server_options {
	const char *listen; /* "HOST:PORT"; port 0: any free one. Borrowed. */
	const char *node;   /* name put into replies; at most 63 bytes. Borrowed. */
	struct fts_tls tls;
	uint32_t worker_count;             /* threads for blocking methods; 0: 4 */
	uint32_t worker_idle_ms;           /* one that nobody needed for so long ends, but the last; 0: 10,000 */
	uint32_t connection_count_max;     /* 0: 4,096 */
	uint32_t open_calls_max;           /* a connection; 0: 4,096 */
	size_t inbound_bytes_max;          /* of the whole server; 0: 64 MiB */
	uint32_t idle_timeout_ms;          /* a connection that completes no handshake or leaves a message half sent
	                                      this long is closed; 0: 10,000 */
	fts_authorize_fn authorize;        /* NULL: everybody may call everything */
	void *authorize_ctx;               /* borrowed until destroy */
};

/* Make a server that does not listen yet. out_server: returned (fts_server_destroy).
 * Every server also offers fts.rpc.v1.Reflection. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_server_create(const struct fts_server_options *options,
                                                       struct fts_server **out_server, struct fts_error *out_error);

/* Offer a service. service: static. handlers: the typed table generated for it, borrowed until destroy.
 * Generated `<prefix>_register` functions call this. Errors: ALREADY_EXISTS (service or method id taken),
 * FAILED_PRECONDITION (already started). Thread: the one that made the server. */
FTS_API FTS_MUST_USE enum fts_status fts_server_add(struct fts_server *server, const struct fts_service *service,
                                                    const void *handlers, void *ctx, struct fts_error *out_error);

/* A handler that takes every method of a service still packed, as the replicated log does.
 * payload: borrowed until the call is answered. */
typedef void (*fts_raw_handler_fn)(struct fts_call *call, const struct fts_method *method, struct fts_bytes payload,
                                   void *ctx);
FTS_API FTS_MUST_USE enum fts_status fts_server_add_raw(struct fts_server *server, const struct fts_service *service,
                                                        fts_raw_handler_fn handler, void *ctx,
                                                        struct fts_error *out_error);

/* Listen and serve. Errors: UNAVAILABLE (address in use: detail says which), INVALID_ARGUMENT. */
FTS_API FTS_MUST_USE enum fts_status fts_server_start(struct fts_server *server, struct fts_error *out_error);

/* The port it listens on, host byte order; 0 before start. */
FTS_API uint16_t fts_server_port(const struct fts_server *server);

/* Take no new connections or calls (refused UNAVAILABLE, executed NO), and wait until every open call is
 * answered and written, timeout_ms at most. Errors: DEADLINE_EXCEEDED (some are still open). */
FTS_API enum fts_status fts_server_drain(struct fts_server *server, uint32_t timeout_ms);

/* Close all connections and free the server (owned; NULL: no-op). Calls that are still open may be
 * answered later: the answer is dropped. Thread: any but a handler's. */
FTS_API void fts_server_destroy(struct fts_server *server);

/* Answer a call: exactly one of these, exactly once, from any thread, at once or later.
 * The call and its request (borrowed until then) are gone when it returns. */
FTS_API void fts_call_reply(struct fts_call *call, const ProtobufCMessage *response);
FTS_API void fts_call_reply_bytes(struct fts_call *call, struct fts_bytes payload);
FTS_API void fts_call_fail(struct fts_call *call, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
/* As fts_call_fail, with everything an error can say; error: borrowed. */
FTS_API void fts_call_fail_error(struct fts_call *call, const struct fts_error *error);

/* What the reply header will say, set before answering. Strings are copied, cut at their field's size. */
FTS_API void fts_call_set_executed(struct fts_call *call, enum fts_executed executed);
FTS_API void fts_call_set_log_position(struct fts_call *call, uint64_t term, uint64_t index);
FTS_API void fts_call_set_leader(struct fts_call *call, const char *leader_endpoint);
FTS_API void fts_call_set_age_ms(struct fts_call *call, uint32_t age_ms);

/* What the call header said. Pointers are borrowed until the call is answered. */
FTS_API const struct fts_method *fts_call_method(const struct fts_call *call);
FTS_API uint64_t fts_call_deadline_ns(const struct fts_call *call); /* CLOCK_MONOTONIC */
FTS_API uint64_t fts_call_client_id(const struct fts_call *call);
FTS_API uint64_t fts_call_sequence(const struct fts_call *call);
FTS_API uint64_t fts_call_lowest_unanswered(const struct fts_call *call);
/* The caller has sent it before, and can't know whether it ran then. */
FTS_API bool fts_call_may_have_run(const struct fts_call *call);
FTS_API uint64_t fts_call_fence(const struct fts_call *call);
FTS_API uint64_t fts_call_trace_id(const struct fts_call *call);
FTS_API bool fts_call_stale(const struct fts_call *call);
FTS_API struct fts_bytes fts_call_token(const struct fts_call *call);
/* The caller's connection is closed: nobody will read the answer (it must be given all the same). */
FTS_API bool fts_call_abandoned(const struct fts_call *call);
/* Memory that lives until the call is answered; NULL: the call's cap is reached. 16-byte aligned. */
FTS_API void *fts_call_alloc(struct fts_call *call, size_t size_bytes);

FTS_END_DECLS

#endif
