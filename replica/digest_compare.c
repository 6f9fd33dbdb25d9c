/* Why this file exists: the leader compares what members saw at one mark, tells everybody what most of them saw, and
 * each node judges itself by that.
 *
 * Invariants: only voters count, and only more than half of all voters make a majority. Chain and content are judged
 * each for itself. Where voters differ and no value can get a majority, everybody is told so, and nobody acts. */
#include <string.h>

#include "base/log.h"
#include "replica/digest_internal.h"
#include "replica/state_internal.h"

#define LATE_NS ((uint64_t)4 * 1000000000u) /* whoever has not reported by then is not waited for */

/* ---- Every node: what it saw, and what it is told ---- */

static void report(struct fts_replica *replica, uint64_t node_id, const Fts__Replica__V1__DigestReport *seen);

void ftsi_digest_tell(struct fts_replica *replica, const struct ftsi_digest_look *look)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__DigestReport seen = FTS__REPLICA__V1__DIGEST_REPORT__INIT;
	uint64_t leader = ftsi_state_leader(replica);
	seen.index = look->index;
	seen.writes = look->writes;
	seen.content = look->content;
	if (raft_state(&replica->raft) == RAFT_LEADER) {
		report(replica, replica->identity.node_id, &seen);
		return;
	}
	if (leader == 0) return;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_DIGEST_REPORT;
	message.digest_report = &seen;
	(void)ftsi_state_tell(replica, leader, &message);
}

static struct ftsi_digest_look *look_at(struct ftsi_digest *digest, uint64_t index)
{
	for (uint32_t i = 0; i < FTSI_DIGEST_LOOK_COUNT; i++)
		if (digest->looks[i].index == index && index != 0) return &digest->looks[i];
	return NULL;
}

void ftsi_digest_saw(struct fts_replica *replica, uint64_t index, uint64_t content, enum fts_status status)
{
	struct ftsi_digest_look *look = look_at(replica->keeper->digest, index);
	if (atomic_load(&replica->failed) || atomic_load(&replica->doubted)) return;
	if (status == FTS_DATA_LOSS) {
		ftsi_state_doubt(replica, "the state can't be read any more");
		return;
	}
	if (look == NULL || status != FTS_OK) return;
	look->content = content;
	look->told = false; /* again, with the content: ftsi_digest_turn */
}

static void judge_self(struct fts_replica *replica, uint64_t index, uint64_t writes, uint64_t content)
{
	const struct ftsi_digest_look *look = look_at(replica->keeper->digest, index);
	if (look == NULL || atomic_load(&replica->doubted)) return;
	if (writes == 0 && content == 0) {
		if (!atomic_exchange(&replica->keeper->differs, true))
			FTS_LOG_ERROR("replica.states_differ",
				      "node=%s index=%llu writes=%016llx content=%016llx detail=\"the members' states "
				      "differ, and none has a majority\"",
				      replica->name, (unsigned long long)index, (unsigned long long)look->writes,
				      (unsigned long long)look->content);
		return;
	}
	if ((writes != 0 && writes != look->writes) ||
	    (content != 0 && look->content != 0 && content != look->content)) {
		FTS_LOG_WARN("replica.state_differs",
			     "node=%s index=%llu writes=%016llx most=%016llx content=%016llx most=%016llx",
			     replica->name, (unsigned long long)index, (unsigned long long)look->writes,
			     (unsigned long long)writes, (unsigned long long)look->content,
			     (unsigned long long)content);
		ftsi_state_doubt(replica, "it differs from that of the other members");
		return;
	}
	/* Only a look at everything tells that nothing differs any more. */
	if (content != 0 && look->content != 0) atomic_store(&replica->keeper->differs, false);
}

/* ---- The leader: what all saw ---- */

static struct ftsi_digest_mark *mark_at(struct ftsi_digest *digest, uint64_t index)
{
	struct ftsi_digest_mark *mark;
	uint64_t newest = 0;
	for (uint32_t i = 0; i < FTSI_DIGEST_LOOK_COUNT; i++) {
		if (digest->marks[i].index == index) return &digest->marks[i];
		if (digest->marks[i].index > newest) newest = digest->marks[i].index;
	}
	mark = &digest->marks[digest->mark_at];
	if (index < newest) return NULL; /* forgotten since */
	digest->mark_at = (digest->mark_at + 1) % FTSI_DIGEST_LOOK_COUNT;
	*mark = (struct ftsi_digest_mark){.index = index};
	return mark;
}

static bool is_voter(const struct fts_replica *replica, uint64_t node_id)
{
	const struct raft_configuration *conf = &replica->raft.configuration;
	for (unsigned i = 0; i < conf->n; i++)
		if (conf->servers[i].id == node_id) return conf->servers[i].role == RAFT_VOTER;
	return false;
}

static uint64_t value_of(const struct ftsi_digest_heard *heard, bool content)
{
	return content ? heard->content : heard->writes;
}

struct count {
	uint32_t voters, told, most, distinct;
	uint64_t value; /* what most have told */
};

static struct count count_values(const struct fts_replica *replica, const struct ftsi_digest_mark *mark, bool content)
{
	struct count count = {0};
	for (unsigned i = 0; i < replica->raft.configuration.n; i++)
		count.voters += replica->raft.configuration.servers[i].role == RAFT_VOTER;
	for (uint32_t i = 0; i < mark->count; i++) {
		uint64_t value = value_of(&mark->heard[i], content);
		uint32_t same = 0, before = 0;
		if (value == 0 || !is_voter(replica, mark->heard[i].node_id)) continue;
		count.told++;
		for (uint32_t j = 0; j < mark->count; j++)
			if (value_of(&mark->heard[j], content) == value && is_voter(replica, mark->heard[j].node_id)) {
				same++;
				before += j < i;
			}
		count.distinct += before == 0;
		if (same > count.most) {
			count.most = same;
			count.value = value;
		}
	}
	return count;
}

static void send_verdict(struct fts_replica *replica, uint64_t to, const struct ftsi_digest_mark *mark)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__DigestVerdict verdict = FTS__REPLICA__V1__DIGEST_VERDICT__INIT;
	verdict.index = mark->index;
	verdict.writes = mark->split ? 0 : mark->writes;
	verdict.content = mark->split ? 0 : mark->content;
	if (to == replica->identity.node_id) {
		judge_self(replica, verdict.index, verdict.writes, verdict.content);
		return;
	}
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_DIGEST_VERDICT;
	message.digest_verdict = &verdict;
	(void)ftsi_state_tell(replica, to, &message);
}

static void tell_all(struct fts_replica *replica, const struct ftsi_digest_mark *mark)
{
	for (uint32_t i = 0; i < mark->count; i++) {
		if (raft_state(&replica->raft) != RAFT_LEADER) return;
		send_verdict(replica, mark->heard[i].node_id, mark);
	}
}

/* No value of this kind can be that of a majority. */
static bool is_split(struct count count, bool late)
{
	return count.distinct > 1 && count.most * 2 <= count.voters && (count.told == count.voters || late);
}

static void judge(struct fts_replica *replica, struct ftsi_digest_mark *mark, bool late)
{
	struct count writes = count_values(replica, mark, false), content = count_values(replica, mark, true);
	bool split = is_split(writes, late) || is_split(content, late);
	uint64_t most_writes = writes.most * 2 > writes.voters ? writes.value : 0;
	uint64_t most_content = content.most * 2 > content.voters ? content.value : 0;
	if (split == mark->split && most_writes == mark->writes && most_content == mark->content) return;
	/* Whoever made up the majority has left since: that is no difference, and what was found before stands. */
	if (!split && most_writes == 0 && most_content == 0) return;
	mark->split = split;
	mark->writes = most_writes;
	mark->content = most_content;
	tell_all(replica, mark);
}

static void report(struct fts_replica *replica, uint64_t node_id, const Fts__Replica__V1__DigestReport *seen)
{
	/* What has committed is in a leader's log: there is no mark behind its end, and one would hide all others. */
	bool is_one = seen->index != 0 && seen->index <= raft_last_index(&replica->raft);
	struct ftsi_digest_mark *mark = is_one ? mark_at(replica->keeper->digest, seen->index) : NULL;
	struct ftsi_digest_heard *heard;
	uint32_t at = 0;
	if (mark == NULL) return;
	while (at < mark->count && mark->heard[at].node_id != node_id)
		at++;
	if (at == FTS_REPLICA_MEMBER_MAX) return;
	if (at == mark->count) mark->heard[mark->count++] = (struct ftsi_digest_heard){.node_id = node_id};
	heard = &mark->heard[at];
	heard->writes = seen->writes;
	if (seen->content != 0) heard->content = seen->content;
	mark->heard_ns = replica->now_ns;
	if (mark->split || mark->writes != 0 || mark->content != 0) send_verdict(replica, node_id, mark);
	judge(replica, mark, false);
}

void ftsi_digest_judge_late(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_digest *digest = replica->keeper->digest;
	for (uint32_t i = 0; i < FTSI_DIGEST_LOOK_COUNT; i++) {
		struct ftsi_digest_mark *mark = &digest->marks[i];
		if (mark->index == 0 || mark->heard_ns == 0 || now_ns - mark->heard_ns < LATE_NS) continue;
		mark->heard_ns = 0; /* once, until somebody reports again */
		judge(replica, mark, true);
		if (raft_state(&replica->raft) != RAFT_LEADER || atomic_load(&replica->doubted)) return;
	}
}

/* ---- Messages ---- */

void ftsi_digest_receive(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__DigestVerdict *verdict;
	if (message->kind_case == FTS__REPLICA__V1__PEER_MESSAGE__KIND_DIGEST_REPORT) {
		if (raft_state(&replica->raft) == RAFT_LEADER && !atomic_load(&replica->doubted))
			report(replica, message->from, message->digest_report);
		return;
	}
	verdict = message->digest_verdict;
	if (message->from == ftsi_state_leader(replica))
		judge_self(replica, verdict->index, verdict->writes, verdict->content);
}
