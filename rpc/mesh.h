/* Why this file exists: one-way messages between nodes that know each other: a listener, a connection to each of a
 * changing set of others, and the news of who is there and who is gone. What the messages say is the owner's.
 *
 * Invariants
 * - Each side dials the other (PUSH), so a pair has two connections, and the end of either is told at once. What a
 *   dialed one cannot carry (a stranger's, who is not in the set) goes back over the one it came on.
 * - A line is known by its key: of a dialed one the key in the set, of an accepted one what its owner gives it after
 *   the first message. One that gets no key within 10 s is closed.
 * - Nothing queues without bound: what is sent is refused above backlog_max_bytes, reading stops when the owner says
 *   so, and at most FTSI_MESH_LINE_MAX lines are accepted.
 * - A broken line is dialed again after 10 ms, doubling to 1 s with jitter; at once when its other end has dialed.
 * - A line that has nothing to say sends an empty message twice a second, which only the other mesh sees. Whose lines
 *   have been silent for silence_ms is dialed anew: after a cut cable TCP alone would take minutes to notice that it is
 *   back.
 * Threads: functions may be called from any; callbacks run on nng's, must not block, and hold no lock. */
#ifndef FTS_RPC_MESH_H
#define FTS_RPC_MESH_H

#include <stdbool.h>

#include <fts/rpc.h>

#define FTSI_MESH_KEY_BYTES 192u
#define FTSI_MESH_LINK_MAX 64u
#define FTSI_MESH_LINE_MAX 128u

struct ftsi_mesh;
struct ftsi_mesh_line; /* one connection */

struct ftsi_mesh_options {
	const char *listen; /* "HOST:PORT", port 0: any. Borrowed. */
	struct fts_tls tls; /* borrowed; both sides show a certificate of ca_file's authority, and no other will do */
	size_t message_max_bytes;
	size_t backlog_max_bytes; /* of one line */
	uint32_t silence_ms;      /* 0: 2,000 */
	/* The dialed line to key is there: from now on ftsi_mesh_send takes messages for it. key: borrowed. */
	void (*on_up)(void *ctx, const char *key);
	/* A line to or from key has ended. */
	void (*on_down)(void *ctx, const char *key);
	/* message: borrowed; never empty. False: stop reading this line (it counts as taken) until ftsi_mesh_read_on.
	 */
	bool (*on_message)(void *ctx, struct ftsi_mesh_line *line, struct fts_bytes message);
	void *ctx;
};

/* Who is to be dialed. All borrowed. */
struct ftsi_mesh_target {
	const char *key;      /* shorter than FTSI_MESH_KEY_BYTES */
	const char *endpoint; /* "HOST:PORT" */
};

/* Listen. out_mesh: returned (stop, destroy). Errors: UNAVAILABLE (address in use), INVALID_ARGUMENT,
 * RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_mesh_create(const struct ftsi_mesh_options *options, struct ftsi_mesh **out_mesh,
					      struct fts_error *out_error);
uint16_t ftsi_mesh_port(const struct ftsi_mesh *mesh);
/* Keep a line to each of these, give up the other dialed ones. A target that can't be dialed is logged and left out. */
void ftsi_mesh_set(struct ftsi_mesh *mesh, const struct ftsi_mesh_target *targets, size_t count);
/* message (borrowed, not empty) leaves in order over key's line, or not at all: false. */
bool ftsi_mesh_send(struct ftsi_mesh *mesh, const char *key, struct fts_bytes message);
size_t ftsi_mesh_backlog_bytes(struct ftsi_mesh *mesh, const char *key);
/* Read all lines on that were stopped. */
void ftsi_mesh_read_on(struct ftsi_mesh *mesh);

/* Within on_message: */
const char *ftsi_mesh_line_key(const struct ftsi_mesh_line *line); /* "": none yet; borrowed */
/* Give an accepted line its key (borrowed); an older one of the same key is closed without a word. */
void ftsi_mesh_line_name(struct ftsi_mesh_line *line, const char *key);
void ftsi_mesh_line_close(struct ftsi_mesh_line *line, const char *reason); /* reason: static text */

/* No callback runs any more when it returns. Thread: none of nng's. */
void ftsi_mesh_stop(struct ftsi_mesh *mesh);
void ftsi_mesh_destroy(struct ftsi_mesh *mesh); /* stops; NULL: no-op */

#endif
