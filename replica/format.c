/* Why this file exists: see replica/format.h. */
#include "replica/format.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fts/replica/v1/mark.fts.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/forming_internal.h"

#define RAISE_AGAIN_NS 1000000000ull
#define TOLD_NS 60000000000ull /* between two lines about who holds the format back */
enum { RAISE_METHOD = 1 };     /* of Marks */

void ftsi_format_init(struct fts_replica *replica)
{
	const struct fts_replica_options *options = &replica->options;
	replica->format_max = options->format_max == 0 ? FTS_FORMAT : options->format_max;
	(void)snprintf(replica->version, sizeof replica->version, "%s",
		       options->version == NULL ? "" : options->version);
	atomic_store(&replica->format, FTS_FORMAT_FIRST);
}

/* ---- In the log, and in DIR ---- */

enum fts_status ftsi_format_take(struct fts_replica *replica, uint32_t format, const char *version)
{
	struct ftsi_identity *identity = &replica->identity;
	if (format > atomic_load(&replica->format)) atomic_store(&replica->format, format);
	if (format <= identity->format) return FTS_OK;
	FTS_LOG_INFO("cluster.format", "node=%s format=%u was=%u", replica->name, format, identity->format);
	identity->format = format;
	(void)snprintf(identity->version, sizeof identity->version, "%s", version == NULL ? replica->version : version);
	return ftsi_log_write_identity(replica->log, identity);
}

enum fts_status ftsi_format_apply_raise(struct fts_apply *apply, const ProtobufCMessage *request_base,
					ProtobufCMessage *response, void *ctx)
{
	const Fts__Replica__V1__RaiseFormatRequest *request = (const void *)request_base;
	struct fts_replica *replica = ctx;
	(void)response;
	if (request->format > replica->format_max)
		return fts_apply_refuse(
		    apply, FTS_INTERNAL,
		    "from here on the cluster writes format %u, and this is ftsd %s, which reads up "
		    "to %u: start ftsd %.23s or newer with this directory",
		    request->format, replica->version, replica->format_max, request->version);
	if (ftsi_format_take(replica, request->format, request->version) == FTS_OK) return FTS_OK;
	return fts_apply_refuse(apply, FTS_INTERNAL, "%s/log can't be written", replica->data);
}

/* ---- Raising it ---- */

/* The highest format that all members read; *out_behind: who reads no higher one (borrowed until the turn ends). A
 * member that is away may come back as it was: it counts for what the cluster writes now. */
static uint32_t common_format(struct fts_replica *replica, const char **out_behind)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	uint32_t common = replica->format_max, now = atomic_load(&replica->format);
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		const struct ftsi_member *member = ftsi_member_by_id(replica, server->id);
		/* Who was only announced is asked when it comes (ftsi_format_fits). */
		if (server->id == replica->identity.node_id || server->role == RAFT_SPARE) continue;
		bool heard = member != NULL && ftsi_member_is_alive(replica, member);
		uint32_t reads = heard && member->format_max > now ? member->format_max : now;
		if (reads >= common) continue;
		common = reads;
		*out_behind = server->address;
	}
	return common;
}

void ftsi_format_tick(struct fts_replica *replica, uint64_t now_ns)
{
	Fts__Replica__V1__RaiseFormatRequest request = FTS__REPLICA__V1__RAISE_FORMAT_REQUEST__INIT;
	const char *behind = "";
	uint32_t now = atomic_load(&replica->format);
	if (now >= replica->format_max || !atomic_load(&replica->serving) || !ftsi_forming_is_settled(replica) ||
	    now_ns < replica->format_due_ns)
		return;
	request.format = common_format(replica, &behind);
	request.version = replica->version;
	if (request.format > now) {
		replica->format_due_ns = now_ns + RAISE_AGAIN_NS;
		/* refused or lost: the next tick that is due tries again */
		enum fts_status ignored =
		    fts_replica_propose(replica, &fts_marks_service.methods[RAISE_METHOD], &request.base, NULL, NULL);
		(void)ignored;
	} else if (replica->format_told_ns == 0 || now_ns - replica->format_told_ns > TOLD_NS) {
		replica->format_told_ns = now_ns;
		FTS_LOG_INFO("cluster.format_waits", "node=%s format=%u possible=%u for=%s", replica->name, now,
			     replica->format_max, behind);
	}
}

/* ---- Asked by others ---- */

bool ftsi_format_allows(const struct fts_replica *replica, uint32_t method_id, char *out_detail)
{
	uint32_t now = atomic_load(&replica->format);
	if (now >= replica->format_max) return true; /* no method needs more */
	const struct ftsi_target *target = ftsi_target_find(replica, method_id);
	if (target == NULL || target->code->since_format <= now) return true;
	(void)snprintf(out_detail, FTS_DETAIL_MAX,
		       "%s is new: it needs format %u, and the cluster writes format %u until all its nodes are of a "
		       "version that reads more; `fts-cli status` shows them",
		       target->method->name, target->code->since_format, now);
	return false;
}

bool ftsi_format_fits(const struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message, char *out_detail)
{
	const Fts__Replica__V1__Hello *hello = message->hello;
	uint32_t now = atomic_load(&replica->format);
	uint32_t reads = hello->format_max > hello->format ? hello->format_max : hello->format;
	bool of_here = hello->formed && message->cluster_id == replica->identity.cluster_id;
	if (hello->format > replica->format_max) {
		(void)snprintf(
		    out_detail, FTS_DETAIL_MAX,
		    "%.64s (ftsd %.23s) writes format %u, and %s is ftsd %s, which reads up to %u: start the "
		    "newer version there",
		    hello->name, hello->version, hello->format, replica->name, replica->version, replica->format_max);
		return false;
	}
	/* One of this cluster that is behind hears of it from its own log, and stops there. */
	if (of_here || reads >= now) return true;
	(void)snprintf(
	    out_detail, FTS_DETAIL_MAX,
	    "the cluster of %s writes format %u, and %.64s is ftsd %.23s, which reads up to %u: start ftsd %.23s "
	    "or newer there",
	    replica->name, now, hello->name, hello->version, reads, replica->identity.version);
	return false;
}

uint32_t fts_replica_format(const struct fts_replica *replica)
{
	return atomic_load(&replica->format);
}
