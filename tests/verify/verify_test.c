/* Why this file exists: fts-verify finds every alteration of a bundle and says where it is, finds nothing wrong with a
 * genuine one, and no file makes it crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "bundle_make.h"
#include "tests/harness/process.h"

enum { TIMEOUT_MS = 30000 };

static char directory[HARNESS_PATH_MAX];
static char path[HARNESS_PATH_MAX + 16];

static int verify(const char *option, const char *value, char **out_stdout)
{
	const char *argv[] = {"fts-verify", path, option, value, NULL};
	return harness_run(argv, TIMEOUT_MS, out_stdout, NULL);
}

static int verify_lines(const struct bundle_lines *bundle, char **out_stdout)
{
	bundle_write(bundle, path);
	return verify(NULL, NULL, out_stdout);
}

/* ---- Genuine ---- */

static void genuine_bundles_are_true(void **state)
{
	(void)state;
	for (int fixed = 0; fixed < 2; fixed++)
		for (int sealed = 0; sealed < 2 - fixed; sealed++) {
			struct bundle_lines bundle;
			char *out = NULL;
			bundle_make(&bundle, fixed, sealed, "salt");
			assert_int_equal(verify_lines(&bundle, &out), 0);
			assert_non_null(strstr(out, "TRUE\n"));
			if (sealed) assert_non_null(strstr(out, "not drawn yet"));
			free(out);
			bundle_free(&bundle);
		}
}

static void winners_come_in_the_order_of_bets(void **state)
{
	static const char expected[] = "winner       agency 1, ticket 2, document 37187440\n"
				       "winner       agency 1, ticket 4, document 21073376\n"
				       "winner       agency 2, ticket 5, document 20304050\n"
				       "winner       agency 3, ticket 7, document 37187440\n"
				       "winner       agency 3, ticket 9, document 21073376\n";
	struct bundle_lines bundle;
	char *out = NULL;
	const char *argv[] = {"fts-verify", "--winners", "--agency", "3", "--json", path, NULL};
	(void)state;
	bundle_make(&bundle, true, false, "salt");
	bundle_write(&bundle, path);
	assert_int_equal(verify("--winners", NULL, &out), 0);
	assert_non_null(strstr(out, expected));
	free(out);
	assert_int_equal(harness_run(argv, TIMEOUT_MS, &out, NULL), 0);
	json_t *json = json_loads(out, 0, NULL);
	assert_true(json_is_true(json_object_get(json, "true")));
	assert_int_equal(json_integer_value(json_object_get(json, "number")), 7574);
	assert_int_equal(json_array_size(json_object_get(json, "winners")), 2);
	assert_int_equal(json_array_size(json_object_get(json, "agencies")), 3);
	json_decref(json);
	free(out);
	bundle_free(&bundle);
}

static void a_draw_made_anew_has_another_root(void **state)
{
	struct bundle_lines bundle, other;
	char *out = NULL;
	char root[65] = "";
	(void)state;
	bundle_make(&bundle, true, false, "salt");
	assert_int_equal(verify_lines(&bundle, &out), 0);
	(void)snprintf(root, sizeof root, "%s", strstr(out, "under the root ") + strlen("under the root "));
	free(out);
	assert_int_equal(verify("--root", root, NULL), 0);
	root[5] = root[5] == 'a' ? 'b' : 'a';
	assert_int_equal(verify("--root", root, &out), 1);
	assert_non_null(strstr(out, "--root"));
	free(out);
	bundle_make(&other, true, false, "pepper"); /* another draw of the same name: its seal does not go with these */
	free(bundle.lines[bundle.count - 2]);
	bundle.lines[bundle.count - 2] = strdup(other.lines[other.count - 2]);
	assert_int_equal(verify_lines(&bundle, NULL), 1);
	bundle_free(&bundle);
	bundle_free(&other);
}

/* ---- Altered ---- */

/* Another value of the same type, as near as can be. Returned. */
static json_t *altered(const json_t *value)
{
	char *text, *digit;
	json_t *changed;
	if (json_is_integer(value)) return json_integer(json_integer_value(value) + 1);
	if (json_is_boolean(value)) return json_boolean(!json_is_true(value));
	text = strdup(json_string_value(value));
	digit = strpbrk(text, "0123456789");
	if (digit != NULL && strspn(text, "0123456789-") == strlen(text))
		*digit = *digit == '1' ? '2' : '1'; /* stays a number, a document, a date */
	else
		text[0] = text[0] == 'x' ? 'y' : 'x';
	changed = json_string(text);
	free(text);
	return changed;
}

struct attempt {
	const struct bundle_lines *bundle;
	json_t *line; /* root of the line being altered */
	size_t line_at;
	char place[64]; /* what has to be said */
	int count;
};

static void expect_altered(struct attempt *attempt, const char *what)
{
	struct bundle_lines copy;
	char *out = NULL;
	int code;
	bundle_copy(&copy, attempt->bundle);
	free(copy.lines[attempt->line_at]);
	copy.lines[attempt->line_at] = json_dumps(attempt->line, JSON_COMPACT);
	code = verify_lines(&copy, &out);
	if (code != 1 || strstr(out, "ALTERED: ") == NULL || strstr(out, attempt->place) == NULL)
		fail_msg("line %zu, %s: exit %d, %s", attempt->line_at + 1, what, code, out);
	attempt->count++;
	free(out);
	bundle_free(&copy);
}

static void alter_each(struct attempt *attempt, json_t *value);

static void alter_field(struct attempt *attempt, json_t *object, const char *name)
{
	json_t *kept = json_incref(json_object_get(object, name));
	bool frame = strcmp(name, "fts_draw_bundle") == 0 || strcmp(name, "status") == 0;
	alter_each(attempt, kept);
	if (!frame && !json_is_object(kept) && !json_is_array(kept)) {
		json_object_set_new(object, name, altered(kept));
		expect_altered(attempt, name);
	}
	if (!frame) {
		json_object_del(object, name);
		expect_altered(attempt, name);
		json_object_set(object, name, kept);
	}
	json_decref(kept);
}

static void alter_object(struct attempt *attempt, json_t *object)
{
	const char *key, *keys[32];
	size_t count = 0;
	json_t *value, *whole = json_copy(object); /* holds the keys while the object changes */
	json_object_foreach(whole, key, value)
	{
		assert_true(value != NULL && count < 32);
		keys[count++] = key;
	}
	for (size_t i = 0; i < count; i++)
		alter_field(attempt, object, keys[i]);
	json_object_set_new(object, "more", json_true());
	expect_altered(attempt, "a field more");
	json_object_del(object, "more");
	json_decref(whole);
}

static void alter_array(struct attempt *attempt, json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *kept = json_incref(json_array_get(array, i));
		alter_each(attempt, kept);
		json_array_remove(array, i);
		expect_altered(attempt, "an element less");
		json_array_insert(array, i, kept);
		json_array_insert(array, i, kept);
		expect_altered(attempt, "an element twice");
		json_array_remove(array, i);
		json_decref(kept);
	}
}

static void alter_each(struct attempt *attempt, json_t *value)
{
	if (json_is_object(value))
		alter_object(attempt, value);
	else if (json_is_array(value))
		alter_array(attempt, value);
}

static void alter_bundle(bool fixed)
{
	struct bundle_lines bundle;
	int count = 0;
	bundle_make(&bundle, fixed, false, "salt");
	for (size_t i = 0; i < bundle.count; i++) {
		struct attempt attempt = {.bundle = &bundle, .line_at = i};
		attempt.line = json_loads(bundle.lines[i], 0, NULL);
		if (i > 0) (void)snprintf(attempt.place, sizeof attempt.place, "record %zu (line %zu)", i - 1, i + 1);
		alter_each(&attempt, attempt.line);
		json_decref(attempt.line);
		count += attempt.count;
	}
	assert_true(count > (fixed ? 200 : 250));
	bundle_free(&bundle);
}

static void every_field_counts(void **state)
{
	(void)state;
	alter_bundle(false);
	alter_bundle(true);
}

static void every_record_counts(void **state)
{
	struct bundle_lines bundle, copy;
	(void)state;
	bundle_make(&bundle, false, false, "salt");
	for (size_t i = 1; i < bundle.count; i++) {
		char *removed;
		bundle_copy(&copy, &bundle); /* one less */
		removed = copy.lines[i];
		memmove(&copy.lines[i], &copy.lines[i + 1], (copy.count - i - 1) * sizeof *copy.lines);
		copy.count--;
		assert_int_equal(verify_lines(&copy, NULL), 1);
		free(removed);
		bundle_free(&copy);
		bundle_copy(&copy, &bundle); /* one twice */
		memmove(&copy.lines[i + 1], &copy.lines[i], (copy.count - i) * sizeof *copy.lines);
		copy.lines[i] = strdup(copy.lines[i + 1]);
		copy.count++;
		assert_int_equal(verify_lines(&copy, NULL), 1);
		bundle_free(&copy);
		bundle_copy(&copy, &bundle); /* cut off */
		for (size_t k = i; k < copy.count; k++)
			free(copy.lines[k]);
		copy.count = i;
		assert_int_equal(verify_lines(&copy, NULL), 1);
		bundle_free(&copy);
		if (i == 1) continue;
		bundle_copy(&copy, &bundle); /* two exchanged */
		removed = copy.lines[i];
		copy.lines[i] = copy.lines[i - 1];
		copy.lines[i - 1] = removed;
		assert_int_equal(verify_lines(&copy, NULL), 1);
		bundle_free(&copy);
	}
	bundle_free(&bundle);
}

/* ---- Hostile ---- */

static void write_file(const char *bytes, size_t size_bytes)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size_bytes, file), size_bytes);
	assert_int_equal(fclose(file), 0);
}

static void no_byte_can_be_changed_unseen(void **state)
{
	struct bundle_lines bundle;
	size_t size;
	unsigned seed = 7;
	(void)state;
	bundle_make(&bundle, false, false, "salt");
	bundle_write(&bundle, path);
	char *text = harness_file_read(path, &size);
	for (int i = 0; i < 600; i++) {
		size_t at = (size_t)rand_r(&seed) % (size - 1); /* the last line end is nobody's */
		char kept = text[at], put = (char)(rand_r(&seed) % 256);
		int code;
		if (put == kept) continue;
		text[at] = put;
		write_file(text, size);
		code = verify(NULL, NULL, NULL);
		if (code != 1 && code != 2) fail_msg("byte %zu made %d: exit %d", at, (unsigned char)put, code);
		text[at] = kept;
	}
	for (size_t cut = 0; cut < size - 1; cut += 1 + size / 200) {
		write_file(text, cut);
		int code = verify(NULL, NULL, NULL);
		assert_true(code == 1 || code == 2);
	}
	free(text);
	bundle_free(&bundle);
}

static void strange_files_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
	    {"", 2},
	    {"\n", 2},
	    {"{}\n", 2},
	    {"not json\n", 2},
	    {"{\"fts_draw_bundle\":2,\"status\":{}}\n", 2},
	    {"{\"fts_draw_bundle\":1,\"status\":{}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"OPEN\"}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\"}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\"}}\n\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\"}}\n[]\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\",\"bets\":\"18446744073709551616\"}}"
	     "\n",
	     1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\",\"bets\":-1}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\",\"agencies\":[[]]}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\",\"commitments\":[7]}}\n", 1},
	    {"{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\",\"%n%s\":1}}\n", 1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_file(cases[i].text, strlen(cases[i].text));
		int code = verify(NULL, NULL, NULL);
		if (code != cases[i].code) fail_msg("%s: exit %d", cases[i].text, code);
	}
}

static void large_and_deep_files_are_refused(void **state)
{
	static const char head[] = "{\"fts_draw_bundle\":1,\"status\":{\"draw\":\"x\",\"state\":\"DRAWN\"}}\n";
	size_t size = (size_t)40 << 20;
	char *text = malloc(size);
	(void)state;
	memset(text, 'a', size);
	write_file(text, size);
	assert_int_equal(verify(NULL, NULL, NULL), 2);
	memcpy(text, head, sizeof head - 1);
	write_file(text, size);
	assert_int_equal(verify(NULL, NULL, NULL), 1);
	memset(text + sizeof head - 1, '[', 1 << 20);
	write_file(text, 1 << 20);
	assert_int_equal(verify(NULL, NULL, NULL), 1);
	memset(text, 0, 1 << 20);
	write_file(text, 1 << 20);
	assert_int_equal(verify(NULL, NULL, NULL), 2);
	free(text);
}

static void usage_is_told(void **state)
{
	const char *none[] = {"fts-verify", NULL}, *help[] = {"fts-verify", "--help", NULL};
	const char *version[] = {"fts-verify", "--version", NULL}, *unknown[] = {"fts-verify", "--versoin", NULL};
	const char *missing[] = {"fts-verify", "/nonexistent/file", NULL}, *folder[] = {"fts-verify", "/", NULL};
	const char *agency[] = {"fts-verify", "--agency", "1", "x", NULL};
	const char *root[] = {"fts-verify", "--root", "12", "x", NULL};
	char *out = NULL;
	(void)state;
	assert_int_equal(harness_run(none, TIMEOUT_MS, NULL, NULL), 2);
	assert_int_equal(harness_run(missing, TIMEOUT_MS, NULL, NULL), 2);
	assert_int_equal(harness_run(folder, TIMEOUT_MS, NULL, NULL), 2);
	assert_int_equal(harness_run(agency, TIMEOUT_MS, NULL, NULL), 2);
	assert_int_equal(harness_run(root, TIMEOUT_MS, NULL, NULL), 2);
	assert_int_equal(harness_run(help, TIMEOUT_MS, &out, NULL), 0);
	assert_non_null(strstr(out, "usage: fts-verify FILE"));
	free(out);
	assert_int_equal(harness_run(version, TIMEOUT_MS, &out, NULL), 0);
	assert_int_equal(strncmp(out, "fts-verify ", strlen("fts-verify ")), 0);
	free(out);
	assert_int_equal(harness_run(unknown, TIMEOUT_MS, NULL, NULL), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(genuine_bundles_are_true),
	    cmocka_unit_test(winners_come_in_the_order_of_bets),
	    cmocka_unit_test(a_draw_made_anew_has_another_root),
	    cmocka_unit_test(every_field_counts),
	    cmocka_unit_test(every_record_counts),
	    cmocka_unit_test(no_byte_can_be_changed_unseen),
	    cmocka_unit_test(strange_files_are_refused),
	    cmocka_unit_test(large_and_deep_files_are_refused),
	    cmocka_unit_test(usage_is_told),
	};
	harness_directory_make(directory);
	(void)snprintf(path, sizeof path, "%s/bundle", directory);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
