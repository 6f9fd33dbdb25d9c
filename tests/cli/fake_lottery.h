/* Why this file exists: a lottery in memory behind a real server of the runtime, that fails as a test tells it to.
 *
 * It keeps to the promises that the importer leans on: rows of an import are stored once, a batch whose after_row
 * has not been judged is ABORTED, verdicts name rows of the batch. A killed server comes back on the same port with
 * what it had. There is one draw at the start, "d", of 3 agencies with the fixed number 7574; agencies may also be
 * closed and the draw drawn. Thread: any, unless told otherwise. */
#ifndef FTS_TESTS_CLI_FAKE_LOTTERY_H
#define FTS_TESTS_CLI_FAKE_LOTTERY_H

#include <stdbool.h>
#include <stdint.h>

#include <fts/lottery.h>

struct fake_bet {
	uint32_t agency;
	uint32_t number;
	char document[24];
};

struct fake_lottery;

/* Serving on 127.0.0.1, at a port that stays reserved for this test program; one at a time. Returned
 * (fake_lottery_stop). */
struct fake_lottery *fake_lottery_start(void);
void fake_lottery_stop(struct fake_lottery *fake);
uint16_t fake_lottery_port(const struct fake_lottery *fake);

/* Away and back, as kill -9 and a restart do. */
void fake_lottery_kill(struct fake_lottery *fake);
void fake_lottery_revive(struct fake_lottery *fake);

/* Of the StoreBatch calls from now on, number first (from 0) and the count - 1 after it end with status: before
 * anything is stored, or after all is. */
void fake_lottery_fail(struct fake_lottery *fake, uint32_t first, uint32_t count, enum fts_status status, bool stored);

/* Keep back answers of StoreBatch; release gives all that are kept. */
void fake_lottery_hold(struct fake_lottery *fake, bool hold);
uint32_t fake_lottery_held(struct fake_lottery *fake);
void fake_lottery_release(struct fake_lottery *fake);

/* Publish a DrawEvent of draw "d" under "lottery.draw"; its bets are index. Indexes grow. */
void fake_lottery_publish(struct fake_lottery *fake, uint64_t index);
/* Events below index are no longer kept. */
void fake_lottery_forget(struct fake_lottery *fake, uint64_t index);

/* "n2" does not answer surveys. */
void fake_lottery_lose_node(struct fake_lottery *fake);
void fake_lottery_draw(struct fake_lottery *fake);

uint32_t fake_lottery_bet_count(struct fake_lottery *fake);
uint32_t fake_lottery_batch_calls(struct fake_lottery *fake);
/* The i-th bet by ticket. */
struct fake_bet fake_lottery_bet(struct fake_lottery *fake, uint32_t i);

#endif
