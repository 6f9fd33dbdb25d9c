/* Why this file exists: what a node says of itself, in fixed memory and without a lock that anybody holds for long: see
 * server/health.h. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fts/health/v1/health.fts.h>

#include "base/clock.h"
#include "rpc/statistics.h"
#include "server/health.h"
#include "server/release.h"

#define QUESTION_MEMORY_BYTES 1024
#define TEXT_BYTES sizeof(((struct ftsi_health_report *)NULL)->texts[0])

static char *add_reason(struct ftsi_health_report *report)
{
	size_t place = report->message.n_reasons++;
	report->reasons[place] = report->texts[place];
	return report->texts[place];
}

static void add_strands(struct ftsi_health_report *report)
{
	struct fts_strand_status strands[FTS_STRAND_MAX];
	size_t count = fts_strand_list(strands);
	for (size_t i = 0; i < count; i++) {
		Fts__Health__V1__Strand *strand = &report->strands[i];
		fts__health__v1__strand__init(strand);
		strand->name = (char *)(uintptr_t)strands[i].name;
		strand->moved = strands[i].moved;
		strand->waiting = strands[i].waiting;
		strand->oldest_ms = strands[i].oldest_ms;
		strand->longest_ms = strands[i].longest_ms;
		report->strand_list[i] = strand;
		if (strands[i].waiting == 0 || strands[i].oldest_ms < FTSI_HEALTH_OLD_MS ||
		    strands[i].oldest_ms < strands[i].longest_ms ||
		    report->message.n_reasons == FTSI_HEALTH_REASONS_MAX)
			continue;
		snprintf(add_reason(report), TEXT_BYTES, "%s has not moved for %u ms, and %u wait for it",
			 strands[i].name, strands[i].oldest_ms, strands[i].waiting);
	}
	report->message.strands = report->strand_list;
	report->message.n_strands = count;
}

/* Nobody leads: is that for want of voters? */
static void add_leaderless(struct ftsi_health_report *report, struct fts_replica *replica)
{
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	size_t count = fts_replica_members(replica, members), voters = 0, alive = 0;
	for (size_t i = 0; i < count; i++) {
		voters += members[i].voter;
		alive += members[i].voter && members[i].alive;
	}
	if (voters > 0 && alive <= voters / 2)
		snprintf(add_reason(report), TEXT_BYTES, "no quorum: it hears %zu of %zu voters, itself included",
			 alive, voters);
	else
		snprintf(add_reason(report), TEXT_BYTES, "no leader is known");
}

static void add_replica(struct ftsi_health_report *report, const struct fts_replica_status *replica)
{
	if (replica->disk_full)
		snprintf(add_reason(report), TEXT_BYTES, "the disk is nearly full: writes are refused, reads go on");
	if (replica->disk_slow) snprintf(add_reason(report), TEXT_BYTES, "the disk is slow: it should not lead");
	if (!replica->digest_ok)
		snprintf(add_reason(report), TEXT_BYTES, "its state differs from the others': it does not serve");
	if (replica->syncing) snprintf(add_reason(report), TEXT_BYTES, "it fetches the state from another node");
	report->message.progress += replica->progress;
	report->message.applied = replica->applied_index;
	report->message.term = replica->term;
	report->message.disk_full = replica->disk_full;
	report->message.disk_slow = replica->disk_slow;
	report->message.digest_differs = !replica->digest_ok;
	report->message.leader_known = replica->leader_name[0] != '\0';
	report->message.format = replica->format;
}

/* Certificates, as of the last look at them. */
static void add_certificates(struct ftsi_health_report *report)
{
	ftsi_expiry_get(&report->expiry);
	report->message.certificate_ends_ms = report->expiry.ends_ms;
	report->message.certificate_file = report->expiry.file;
	if (report->expiry.ends_ms == 0 || report->expiry.ends_ms > fts_clock_wall_ms()) return;
	snprintf(add_reason(report), TEXT_BYTES, "a certificate has ended: %.110s", report->expiry.file);
}

/* The machine below it. */
static void add_machine(struct ftsi_health_report *report, const char *data)
{
	struct statvfs disk;
	report->message.clock_ms = fts_clock_wall_ms();
	report->message.format_max = ftsi_release_format_max();
	report->message.version = (char *)(uintptr_t)ftsi_release_version();
	if (data == NULL || statvfs(data, &disk) != 0) return;
	report->message.disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	report->message.disk_total_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
}

static void add_open_methods(struct ftsi_health_report *report, struct fts_server *server)
{
	struct fts_open_method open[FTSI_HEALTH_METHODS_MAX];
	size_t count = fts_server_open_methods(server, open, FTSI_HEALTH_METHODS_MAX);
	bool told = false;
	for (size_t i = 0; i < count; i++) {
		Fts__Health__V1__OpenMethod *method = &report->methods[i];
		fts__health__v1__open_method__init(method);
		method->method = (char *)(uintptr_t)open[i].method->full_name;
		method->open = open[i].open_count;
		method->oldest_ms = open[i].oldest_ms;
		report->method_list[i] = method;
		if (open[i].method->mutates && open[i].oldest_ms >= FTSI_HEALTH_OLD_MS && !told) {
			told = true; /* one says it for all */
			snprintf(add_reason(report), TEXT_BYTES,
				 "the queue is old: %u calls of %s wait, the oldest for %u ms", open[i].open_count,
				 open[i].method->full_name, open[i].oldest_ms);
		}
	}
	report->message.open_methods = report->method_list;
	report->message.n_open_methods = count;
}

static void add_server(struct ftsi_health_report *report, struct ftsi_health *health, struct fts_server *server)
{
	Fts__Health__V1__Report *message = &report->message;
	struct fts_server_work work;
	fts_server_work(server, &work);
	uint32_t watching_count = atomic_load(&health->watching_count);
	message->progress += work.answered_count;
	message->queue = work.open_count > watching_count ? work.open_count - watching_count : 0;
	message->oldest_call_ms = message->queue > 0 ? work.oldest_ms : 0;
	add_open_methods(report, server);
	if (work.overrun == NULL) return;
	message->overrun_method = (char *)(uintptr_t)work.overrun->full_name;
	message->overrun_ms = work.overrun_ms;
	snprintf(add_reason(report), TEXT_BYTES, "%s has been running for %u ms", work.overrun->full_name,
		 work.overrun_ms);
}

void ftsi_health_look(struct ftsi_health *health, struct ftsi_health_report *out_report)
{
	Fts__Health__V1__Report *message = &out_report->message;
	struct fts_server *server = atomic_load(&health->server);
	struct fts_replica *replica = atomic_load(&health->replica);
	struct fts_replica_status status = {.ready = false};
	fts__health__v1__report__init(message);
	message->name = (char *)(uintptr_t)health->name;
	message->kind = FTS__HEALTH__V1__KIND__NODE;
	message->pid = (uint64_t)getpid();
	message->reasons = out_report->reasons;
	add_machine(out_report, health->data);
	add_certificates(out_report);
	if (replica != NULL) fts_replica_status(replica, &status);
	if (replica != NULL && status.leader_name[0] == '\0') add_leaderless(out_report, replica);
	if (replica != NULL) add_replica(out_report, &status);
	if (status.ready) atomic_store(&health->was_ready, true);
	if (server != NULL) add_server(out_report, health, server);
	add_strands(out_report);
	bool serves = status.ready && message->n_reasons == 0;
	message->state = serves                            ? FTS__HEALTH__V1__STATE__READY
			 : atomic_load(&health->was_ready) ? FTS__HEALTH__V1__STATE__DEGRADED
							   : FTS__HEALTH__V1__STATE__LIVE;
}

static const char *state_word(Fts__Health__V1__State state)
{
	return state == FTS__HEALTH__V1__STATE__READY  ? "READY"
	       : state == FTS__HEALTH__V1__STATE__LIVE ? "LIVE, does not serve yet"
						       : "DEGRADED";
}

void ftsi_health_line(struct ftsi_health *health, char *out, size_t size_bytes)
{
	struct ftsi_health_report report;
	struct fts_replica *replica = atomic_load(&health->replica);
	struct fts_replica_status status = {.leader = false};
	char role[96] = "no leader is known";
	ftsi_health_look(health, &report);
	if (replica != NULL) fts_replica_status(replica, &status);
	if (status.leader)
		snprintf(role, sizeof(role), "leader");
	else if (status.leader_name[0] != '\0')
		snprintf(role, sizeof(role), "follows %s", status.leader_name);
	size_t used = (size_t)snprintf(out, size_bytes, "%s, %s", role, state_word(report.message.state));
	for (size_t i = 0; i < report.message.n_reasons && used + 3 < size_bytes; i++)
		used += (size_t)snprintf(out + used, size_bytes - used, "%s%s", i == 0 ? ": " : "; ",
					 report.message.reasons[i]);
}

/* ---- Answering a survey ---- */

struct memory {
	size_t used_bytes;
	_Alignas(16) uint8_t bytes[QUESTION_MEMORY_BYTES];
};

static void *take(void *ctx, size_t size_bytes)
{
	struct memory *memory = ctx;
	size_t padded_bytes = (size_bytes + 15) / 16 * 16;
	if (size_bytes > sizeof(memory->bytes) || padded_bytes > sizeof(memory->bytes) - memory->used_bytes)
		return NULL;
	memory->used_bytes += padded_bytes;
	return memory->bytes + memory->used_bytes - padded_bytes;
}

static void give(void *ctx, void *pointer)
{
	(void)ctx, (void)pointer; /* it goes with the memory it lies in */
}

/* Whom this node knows; they live in lists of the caller. */
static void add_others(Fts__Health__V1__Report *message, struct ftsi_other *others, size_t count,
		       Fts__Health__V1__Announced *announced, Fts__Health__V1__Announced **list)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	for (size_t i = 0; i < count; i++) {
		fts__health__v1__announced__init(&announced[i]);
		announced[i].name = others[i].name;
		announced[i].address = others[i].address;
		announced[i].kind = others[i].kind;
		announced[i].left = others[i].left;
		announced[i].report = (ProtobufCBinaryData){others[i].said_bytes, others[i].said};
		announced[i].heard_ago_ms =
		    others[i].heard_ns < now_ns ? (uint32_t)((now_ns - others[i].heard_ns) / 1000000u) : 0;
		list[i] = &announced[i];
	}
	message->others = list;
	message->n_others = count;
}

size_t ftsi_health_respond(void *ctx, struct fts_bytes question, uint8_t *out)
{
	struct ftsi_health *health = ctx;
	struct ftsi_health_report report;
	struct ftsi_other others[FTSI_OTHERS_MAX];
	Fts__Health__V1__Announced announced[FTSI_OTHERS_MAX], *list[FTSI_OTHERS_MAX];
	struct memory memory = {.used_bytes = 0};
	ProtobufCAllocator allocator = {take, give, &memory};
	Fts__Health__V1__Question *asked =
	    fts__health__v1__question__unpack(&allocator, question.size_bytes, question.data);
	if (asked == NULL) return 0;
	ftsi_health_look(health, &report);
	report.message.question_id = asked->id;
	if (asked->with_others)
		add_others(&report.message, others, ftsi_others_list(&health->others, others), announced, list);
	/* What does not fit is left out: the node where each of them announced itself tells it. */
	while (report.message.n_others > 0 &&
	       fts__health__v1__report__get_packed_size(&report.message) > FTS_SURVEY_ANSWER_MAX_BYTES)
		report.message.n_others--;
	if (fts__health__v1__report__get_packed_size(&report.message) > FTS_SURVEY_ANSWER_MAX_BYTES) return 0;
	return fts__health__v1__report__pack(&report.message, out);
}
