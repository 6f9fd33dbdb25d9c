/* Why this file exists: how far a linearizable read waits, where the partners and the clock are the test's (puppet.h):
 * questions that are repeated, and questions of a node that was started again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "puppet.h"

#define PROBE FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE
#define ASK FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ASK
#define TOLD FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_TOLD

static void ask(struct puppet *puppet, uint64_t from, uint64_t id)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__ReadIndexAsk body = FTS__REPLICA__V1__READ_INDEX_ASK__INIT;
	body.id = id;
	message.kind_case = ASK;
	message.read_index_ask = &body;
	puppet_give(puppet, from, &message);
}

static void tell(struct puppet *puppet, uint64_t from, uint64_t id, uint64_t index)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__ReadIndexTold body = FTS__REPLICA__V1__READ_INDEX_TOLD__INIT;
	body.id = id;
	body.leads = true;
	body.index = index;
	message.kind_case = TOLD;
	message.read_index_told = &body;
	puppet_give(puppet, from, &message);
}

/* A round that takes longer than the time after which a node repeats its question answers it all the same. */
static void a_repeated_question_is_answered(void **state)
{
	struct puppet puppet;
	const Fts__Replica__V1__PeerMessage *probe, *told;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	puppet_result(&puppet, 3, 2, 2);
	assert_true(atomic_load(&puppet.replica->serving));
	ask(&puppet, 2, 9);
	probe = puppet_said(&puppet, 3, PROBE);
	assert_non_null(probe);
	uint64_t round = probe->read_index_probe->round;
	ask(&puppet, 2, 9);
	puppet_ack(&puppet, 3, 2, round);
	told = puppet_said(&puppet, 2, TOLD);
	assert_non_null(told);
	assert_true(told->read_index_told->leads);
	assert_int_equal(told->read_index_told->id, 9);
	/* another question waits for a round that begins after it came */
	ask(&puppet, 2, 10);
	probe = puppet_said(&puppet, 3, PROBE);
	assert_true(probe->read_index_probe->round > round);
	round = probe->read_index_probe->round;
	ask(&puppet, 2, 11);
	puppet_forget(&puppet);
	puppet_ack(&puppet, 3, 2, round);
	assert_null(puppet_said(&puppet, 2, TOLD));
	assert_non_null(puppet_said(&puppet, 3, PROBE));
	puppet_close(&puppet);
}

static uint64_t question_of(struct puppet *puppet, uint64_t term, struct get_result *out_read)
{
	const struct get get = {.name = "a", .timeout_ms = 1000};
	const Fts__Replica__V1__PeerMessage *asked;
	puppet_append(puppet, &(struct puppet_append){2, term, 1, 1, 1, NULL, 0});
	assert_int_equal(atomic_load(&puppet->replica->leads), FTSI_LEADS_OTHER);
	assert_int_equal(get_start(puppet->replica, &get, out_read), FTS_OK);
	out_read->job.deadline_ns = UINT64_MAX; /* its clock is not this one's */
	puppet_step(puppet);
	asked = puppet_said(puppet, 2, ASK);
	assert_non_null(asked);
	return asked->read_index_ask->id;
}

/* What the leader tells an earlier life of this node was true before this one asked: it is no answer to it. */
static void what_an_earlier_life_asked_is_no_answer(void **state)
{
	struct puppet puppet;
	struct get_result before, read;
	(void)state;
	puppet_open(&puppet, 0);
	uint64_t first = question_of(&puppet, 2, &before);
	puppet.wall_ahead_ms = 1;
	puppet_restart(&puppet);
	get_wait(&before);
	assert_int_equal(before.status, FTS_UNAVAILABLE);
	uint64_t second = question_of(&puppet, 2, &read);
	tell(&puppet, 2, first, 1);
	assert_int_equal(sem_trywait(&read.done), -1);
	tell(&puppet, 2, second, 1);
	get_wait(&read);
	assert_int_equal(read.status, FTS_OK);
	puppet_close(&puppet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_repeated_question_is_answered),
	    cmocka_unit_test(what_an_earlier_life_asked_is_no_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
