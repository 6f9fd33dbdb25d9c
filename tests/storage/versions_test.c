/* Why this file exists: what is known of keys without the store: a batch sees its own writes, readers see none of it
 * before it is on disk, nothing old is taken back after it, and all of it is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/versions.h"

static struct fts_bytes text(const char *words)
{
	return (struct fts_bytes){(const uint8_t *)words, strlen(words)};
}

static enum fts_status look(struct ftsi_versions *versions, const char *key, struct ftsi_record *record,
			    struct ftsi_versions_look *out_look)
{
	uint8_t *value = NULL;
	*record = (struct ftsi_record){.key = text(key)};
	enum fts_status status = ftsi_versions_read(versions, text(key), record, &value, out_look);
	free(value);
	return status;
}

static void stand(struct ftsi_standing *standing, uint64_t time)
{
	standing->stands = standing->live = true;
	standing->version = (struct ftsi_version){time, 1};
}

static struct ftsi_record record_of(const char *key, const char *value, uint64_t time)
{
	return (struct ftsi_record){.key = text(key), .value = text(value), .version = {time, 1}};
}

static void a_batch_sees_what_it_wrote(void **state)
{
	struct ftsi_versions versions;
	bool known;
	(void)state;
	ftsi_versions_init(&versions);
	struct ftsi_standing *first = ftsi_versions_touch(&versions, text("a"), &known);
	assert_false(known);
	stand(first, 5);
	assert_ptr_equal(ftsi_versions_touch(&versions, text("a"), &known), first);
	assert_true(known);
	ftsi_versions_let_go(&versions, first);
	assert_ptr_equal(ftsi_versions_touch(&versions, text("a"), &known), first);
	ftsi_versions_forget_all(&versions);
	(void)ftsi_versions_touch(&versions, text("a"), &known);
	assert_false(known);
	ftsi_versions_fini(&versions);
}

static void readers_are_sent_to_the_store_meanwhile(void **state)
{
	struct ftsi_versions versions;
	struct ftsi_versions_look before, within, after;
	struct ftsi_record record, old = record_of("a", "old", 4), new = record_of("a", "new", 5);
	bool known;
	(void)state;
	ftsi_versions_init(&versions);
	assert_int_equal(look(&versions, "a", &record, &before), FTS_UNAVAILABLE);
	struct ftsi_standing *standing = ftsi_versions_touch(&versions, text("a"), &known);
	stand(standing, 5);
	assert_int_equal(look(&versions, "a", &record, &within), FTS_UNAVAILABLE);
	ftsi_versions_let_go(&versions, standing);
	ftsi_versions_offer(&versions, text("a"), &before, &old); /* too late, both of them */
	ftsi_versions_offer(&versions, text("a"), &within, &old);
	ftsi_versions_offer(&versions, text("a"), &within, NULL);
	assert_int_equal(standing->version.time, 5);
	assert_true(standing->stands);
	assert_int_equal(look(&versions, "a", &record, &after), FTS_UNAVAILABLE); /* nobody has brought the value */
	ftsi_versions_offer(&versions, text("a"), &after, &new);
	assert_int_equal(look(&versions, "a", &record, &after), FTS_OK);
	assert_int_equal(record.version.time, 5);
	assert_int_equal(record.value.size_bytes, 3);
	assert_ptr_equal(ftsi_versions_touch(&versions, text("a"), &known), standing);
	stand(standing, 6);
	ftsi_versions_set_value(&versions, standing, text("newest"));
	assert_int_equal(look(&versions, "a", &record, &after), FTS_UNAVAILABLE);
	ftsi_versions_let_go(&versions, standing);
	assert_int_equal(look(&versions, "a", &record, &after), FTS_OK); /* written, and so at hand */
	assert_int_equal(record.version.time, 6);
	assert_int_equal(record.value.size_bytes, 6);
	ftsi_versions_fini(&versions);
}

static void what_is_not_there_is_known_too(void **state)
{
	struct ftsi_versions versions;
	struct ftsi_versions_look at;
	struct ftsi_record record, deleted = record_of("b", "", 7);
	(void)state;
	deleted.tombstone = true;
	ftsi_versions_init(&versions);
	assert_int_equal(look(&versions, "a", &record, &at), FTS_UNAVAILABLE);
	ftsi_versions_offer(&versions, text("a"), &at, NULL);
	assert_int_equal(look(&versions, "a", &record, &at), FTS_NOT_FOUND);
	assert_int_equal(look(&versions, "b", &record, &at), FTS_UNAVAILABLE);
	ftsi_versions_offer(&versions, text("b"), &at, &deleted);
	assert_int_equal(look(&versions, "b", &record, &at), FTS_OK);
	assert_true(record.tombstone);
	ftsi_versions_fini(&versions);
}

static size_t bytes_of_all(const struct ftsi_versions *versions)
{
	size_t bytes = 0;
	for (size_t i = 0; i < FTSI_VERSIONS_SHARD_COUNT; i++)
		bytes += versions->shards[i].bytes;
	return bytes;
}

/* More than fits is read and written; what a batch touches stays, and so does what is used. */
static void it_is_bounded(void **state)
{
	struct ftsi_versions versions;
	struct ftsi_versions_look at;
	struct ftsi_record record;
	char key[32], value[FTSI_VERSIONS_VALUE_MAX + 2];
	bool known;
	(void)state;
	memset(value, 'v', sizeof value);
	value[FTSI_VERSIONS_VALUE_MAX] = '\0';
	ftsi_versions_init(&versions);
	struct ftsi_standing *touched = ftsi_versions_touch(&versions, text("touched"), &known);
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		struct ftsi_record given = record_of(key, value, 1);
		if (look(&versions, key, &record, &at) == FTS_UNAVAILABLE)
			ftsi_versions_offer(&versions, text(key), &at, &given);
		if (look(&versions, "used", &record, &at) == FTS_UNAVAILABLE) {
			assert_true(i < 1000);
			given = record_of("used", "x", 1);
			ftsi_versions_offer(&versions, text("used"), &at, &given);
		}
		assert_true(bytes_of_all(&versions) <= FTSI_VERSIONS_BYTES_MAX);
	}
	assert_ptr_equal(ftsi_versions_touch(&versions, text("touched"), &known), touched);
	assert_true(bytes_of_all(&versions) > FTSI_VERSIONS_BYTES_MAX / 2);
	value[FTSI_VERSIONS_VALUE_MAX] = 'v';
	value[FTSI_VERSIONS_VALUE_MAX + 1] = '\0';
	struct ftsi_record large = record_of("large", value, 1);
	assert_int_equal(look(&versions, "large", &record, &at), FTS_UNAVAILABLE);
	ftsi_versions_offer(&versions, text("large"), &at, &large);
	assert_int_equal(look(&versions, "large", &record, &at), FTS_UNAVAILABLE);
	ftsi_versions_fini(&versions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batch_sees_what_it_wrote),
	    cmocka_unit_test(readers_are_sent_to_the_store_meanwhile),
	    cmocka_unit_test(what_is_not_there_is_known_too),
	    cmocka_unit_test(it_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
