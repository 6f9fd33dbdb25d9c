/* Why this file exists: see CMakeLists.txt. Respondents here answer with their number behind the question. */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/survey0/respond.h>
#include <nng/protocol/survey0/survey.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpc/survey.h"
#include "tests/harness/clock.h"
#include "tests/harness/ports.h"

#define RESPONDENTS 3
#define LIMIT_S 280

struct member {
	char endpoint[32]; /* of its calls; the survey is 2 above */
	uint8_t number;
	bool silent, slow;
	atomic_uint asked_count;
	struct fts_respondent *respondent;
};

static struct member members[RESPONDENTS];

static size_t respond(void *ctx, struct fts_bytes question, uint8_t *out)
{
	struct member *member = ctx;
	atomic_fetch_add(&member->asked_count, 1);
	if (member->slow) usleep(100 * 1000);
	if (member->silent || question.size_bytes > 100) return 0;
	memcpy(out, question.data, question.size_bytes);
	out[question.size_bytes] = member->number;
	return question.size_bytes + 1;
}

static void member_start(struct member *member)
{
	char listen[32];
	unsigned port = (unsigned)strtoul(strchr(member->endpoint, ':') + 1, NULL, 10) + 2;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
	struct fts_respondent_options options = {.listen = listen, .respond = respond, .ctx = member};
	assert_int_equal(fts_respondent_create(&options, &member->respondent, NULL), FTS_OK);
	assert_int_equal(fts_respondent_port(member->respondent), port);
}

static void member_stop(struct member *member)
{
	fts_respondent_destroy(member->respondent);
	member->respondent = NULL;
}

static int start(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < RESPONDENTS; i++) {
		members[i] = (struct member){.number = i};
		snprintf(members[i].endpoint, sizeof(members[i].endpoint), "127.0.0.1:%u", harness_ports_reserve());
		member_start(&members[i]);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < RESPONDENTS; i++)
		member_stop(&members[i]);
	return 0;
}

static struct fts_surveyor *open_surveyor(void)
{
	char endpoints[128];
	struct fts_surveyor *surveyor = NULL;
	snprintf(endpoints, sizeof(endpoints), "%s,%s,%s", members[0].endpoint, members[1].endpoint,
		 members[2].endpoint);
	struct fts_surveyor_options options = {.endpoints = endpoints};
	assert_int_equal(fts_surveyor_create(&options, &surveyor, NULL), FTS_OK);
	return surveyor;
}

/* What came back: one bit a member; other answers fail the test. */
struct heard {
	struct fts_bytes question;
	unsigned members;
	unsigned wrong_count;
};

static void hear(void *ctx, uint32_t endpoint_index, struct fts_bytes answer)
{
	struct heard *heard = ctx;
	bool right = answer.size_bytes == heard->question.size_bytes + 1 &&
		     memcmp(answer.data, heard->question.data, heard->question.size_bytes) == 0 &&
		     answer.data[answer.size_bytes - 1] == endpoint_index;
	if (right)
		heard->members |= 1u << answer.data[answer.size_bytes - 1];
	else
		heard->wrong_count++;
}

/* Returns the members that answered, as bits; 0xFFFF: an answer was wrong, or the survey failed. */
static unsigned ask(struct fts_surveyor *surveyor, uint32_t number, uint32_t wait_ms)
{
	struct heard heard = {.question = {(const uint8_t *)&number, sizeof(number)}};
	uint32_t count = 0;
	enum fts_status status = fts_surveyor_ask(surveyor, heard.question, wait_ms, hear, &heard, &count, NULL);
	return status == FTS_OK && heard.wrong_count == 0 ? heard.members : 0xFFFF;
}

static void all_answer_at_once(void **state)
{
	(void)state;
	struct fts_surveyor *surveyor = open_surveyor();
	assert_int_equal(ask(surveyor, 1, 20000), 7);
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t start_ns = harness_now_ns();
		assert_int_equal(ask(surveyor, i, 20000), 7);
		assert_true(harness_now_ns() - start_ns < 19000000000u); /* nobody waited for a time limit */
	}
	fts_surveyor_destroy(surveyor);
}

/* Surveys of wait_ms until one has these members and no other; on a busy machine some are late. */
static void await_members(struct fts_surveyor *surveyor, uint32_t wait_ms, unsigned members_wanted)
{
	struct harness_wait wait = harness_wait_ms(60000);
	for (unsigned heard; (heard = ask(surveyor, 2, wait_ms)) != members_wanted;) {
		assert_int_equal(heard & ~members_wanted, 0);
		assert_true(harness_wait_more(&wait));
	}
}

static void who_is_away_is_missing_and_comes_back(void **state)
{
	(void)state;
	struct fts_surveyor *surveyor = open_surveyor();
	assert_int_equal(ask(surveyor, 1, 20000), 7);
	member_stop(&members[1]);
	await_members(surveyor, 200, 5);
	members[2].silent = true;
	await_members(surveyor, 200, 1);
	members[2].silent = false;
	member_start(&members[1]);
	assert_int_equal(ask(surveyor, 4, 20000), 7); /* it waits until all are connected again */
	fts_surveyor_destroy(surveyor);
}

static void nobody_is_there(void **state)
{
	struct fts_surveyor *surveyor = NULL;
	char endpoint[32];
	(void)state;
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", harness_ports_reserve());
	struct fts_surveyor_options options = {.endpoints = endpoint};
	assert_int_equal(fts_surveyor_create(&options, &surveyor, NULL), FTS_OK);
	assert_int_equal(ask(surveyor, 1, 100), 0);
	fts_surveyor_destroy(surveyor);
}

/* Surveys that end just as the next is sent deadlock nng when they share a context. */
static void surveys_that_expire_one_after_another(void **state)
{
	(void)state;
	struct fts_surveyor *surveyor = open_surveyor();
	assert_int_equal(ask(surveyor, 0, 20000), 7);
	for (size_t i = 0; i < RESPONDENTS; i++)
		members[i].silent = true;
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(ask(surveyor, i, 1 + i % 4), 0);
	for (size_t i = 0; i < RESPONDENTS; i++)
		members[i].silent = false;
	assert_int_equal(ask(surveyor, 9, 20000), 7);
	fts_surveyor_destroy(surveyor);
}

static void *ask_many(void *ctx)
{
	uintptr_t wrong = 0;
	for (uint32_t i = 0; i < 300; i++)
		wrong += ask(ctx, i, 20000) != 7;
	return (void *)wrong; /* NOLINT: a count in a pointer's clothes, for pthread_join */
}

static void side_by_side(void **state)
{
	pthread_t threads[4];
	(void)state;
	struct fts_surveyor *surveyor = open_surveyor();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_many, surveyor), 0);
	for (size_t i = 0; i < 4; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	fts_surveyor_destroy(surveyor);
}

/* A stock SURVEYOR, with questions that are too large: it is cut off, others notice nothing. */
static void rude_and_stock_surveyors(void **state)
{
	static uint8_t large[64 * 1024];
	char url[64];
	nng_socket socket;
	nng_msg *answer = NULL;
	(void)state;
	struct fts_surveyor *surveyor = open_surveyor();
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", fts_respondent_port(members[0].respondent));
	assert_int_equal(nng_surveyor0_open(&socket), 0);
	assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_SURVEYOR_SURVEYTIME, 5000), 0);
	assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
	assert_int_equal(nng_send(socket, (void *)(uintptr_t) "hello", 5, 0), 0);
	assert_int_equal(nng_recvmsg(socket, &answer, 0), 0);
	assert_int_equal(nng_msg_len(answer), 6);
	assert_memory_equal(nng_msg_body(answer), "hello", 6);
	nng_msg_free(answer);
	unsigned asked_count = atomic_load(&members[0].asked_count);
	for (int i = 0; i < 20; i++) {
		(void)nng_send(socket, large, sizeof(large), 0);
		assert_int_equal(ask(surveyor, (uint32_t)i, 20000), 7);
	}
	assert_int_equal(atomic_load(&members[0].asked_count), asked_count + 20); /* no large one was seen */
	nng_close(socket);
	fts_surveyor_destroy(surveyor);
}

/* Something else listens where one of those that are asked should: it is missing, and takes no place of another. */
static void a_stranger_costs_nobody_an_answer(void **state)
{
	char endpoints[64], url[64];
	nng_socket stranger;
	struct fts_surveyor *surveyor = NULL;
	uint16_t port = harness_ports_reserve();
	(void)state;
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", port + 2u);
	assert_int_equal(nng_rep0_open(&stranger), 0);
	assert_int_equal(nng_listen(stranger, url, NULL, 0), 0);
	snprintf(endpoints, sizeof(endpoints), "%s,127.0.0.1:%u", members[0].endpoint, port);
	struct fts_surveyor_options options = {.endpoints = endpoints};
	assert_int_equal(fts_surveyor_create(&options, &surveyor, NULL), FTS_OK);
	for (uint32_t i = 0; i < 2; i++) /* each waits for the stranger for half its time */
		assert_int_equal(ask(surveyor, i, 6000), 1);
	fts_surveyor_destroy(surveyor);
	nng_close(stranger);
}

/* Answers everything a hundred times, as fast as it can. */
static void *answer_often(void *ctx)
{
	nng_socket socket = *(nng_socket *)ctx;
	nng_msg *question, *again;
	while (nng_recvmsg(socket, &question, 0) == 0) {
		uint8_t number = 1;
		(void)nng_msg_append(question, &number, 1);
		for (int i = 0; i < 100; i++)
			if (nng_msg_dup(&again, question) == 0 && nng_sendmsg(socket, again, 0) != 0)
				nng_msg_free(again);
		nng_msg_free(question);
	}
	return NULL;
}

/* One that answers again and again is heard once, and does not keep a slower one from being heard. */
static void who_answers_often_takes_nobodys_place(void **state)
{
	char endpoints[96], url[64];
	nng_socket rude;
	pthread_t thread;
	struct fts_surveyor *surveyor = NULL;
	uint16_t port = harness_ports_reserve();
	(void)state;
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", port + 2u);
	assert_int_equal(nng_respondent0_open_raw(&rude), 0);
	assert_int_equal(nng_listen(rude, url, NULL, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer_often, &rude), 0);
	snprintf(endpoints, sizeof(endpoints), "%s,127.0.0.1:%u,%s", members[0].endpoint, port, members[2].endpoint);
	struct fts_surveyor_options options = {.endpoints = endpoints};
	assert_int_equal(fts_surveyor_create(&options, &surveyor, NULL), FTS_OK);
	members[2].slow = true;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(ask(surveyor, i, 20000), 7);
	members[2].slow = false;
	fts_surveyor_destroy(surveyor);
	nng_close(rude);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_answer_at_once),
	    cmocka_unit_test(who_is_away_is_missing_and_comes_back),
	    cmocka_unit_test(nobody_is_there),
	    cmocka_unit_test(surveys_that_expire_one_after_another),
	    cmocka_unit_test(side_by_side),
	    cmocka_unit_test(rude_and_stock_surveyors),
	    cmocka_unit_test(a_stranger_costs_nobody_an_answer),
	    cmocka_unit_test(who_answers_often_takes_nobodys_place),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
