/* Why this file exists: see tests/page/browser.h. */
#include "tests/page/browser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/connect.h"
#include "tests/harness/clock.h"

#define ANSWER_MS 30000
#define PIECE_BYTES 65536u

const char *browser_program(void)
{
	static const char *const paths[] = {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0) return paths[i];
	return NULL;
}

/* ---- Messages ---- */

static void send_message(struct browser *browser, const char *method, json_t *parameters)
{
	json_t *message =
	    json_pack("{s:I, s:s, s:o}", "id", (json_int_t)++browser->id, "method", method, "params", parameters);
	if (browser->session[0] != '\0') json_object_set_new(message, "sessionId", json_string(browser->session));
	char *text = json_dumps(message, JSON_COMPACT);
	size_t size = strlen(text) + 1;
	for (size_t at = 0; at < size;) {
		ssize_t more = write(browser->to_fd, text + at, size - at);
		assert_true(more > 0);
		at += (size_t)more;
	}
	free(text);
	json_decref(message);
}

static void receive(struct browser *browser, struct harness_wait *wait)
{
	struct pollfd waits = {.fd = browser->from_fd, .events = POLLIN};
	while (poll(&waits, 1, 100) == 0)
		if (!harness_wait_more(wait)) fail_msg("the browser does not answer");
	if (browser->capacity_bytes - browser->size_bytes < PIECE_BYTES) {
		browser->capacity_bytes = browser->capacity_bytes * 2 + PIECE_BYTES;
		browser->text = realloc(browser->text, browser->capacity_bytes);
		assert_non_null(browser->text);
	}
	ssize_t size = read(browser->from_fd, browser->text + browser->size_bytes, PIECE_BYTES);
	if (size <= 0) fail_msg("the browser has ended");
	browser->size_bytes += (unsigned long)size;
}

/* The next message, whatever it is. */
static json_t *next_message(struct browser *browser, struct harness_wait *wait)
{
	char *end;
	while ((end = browser->size_bytes == 0 ? NULL : memchr(browser->text, 0, browser->size_bytes)) == NULL)
		receive(browser, wait);
	json_t *message = json_loads(browser->text, 0, NULL);
	unsigned long used = (unsigned long)(end - browser->text) + 1;
	browser->size_bytes -= used;
	memmove(browser->text, browser->text + used, browser->size_bytes);
	assert_non_null(message);
	return message;
}

static void note_exception(struct browser *browser, const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	if (method == NULL || strcmp(method, "Runtime.exceptionThrown") != 0) return;
	char *text = json_dumps(json_object_get(message, "params"), JSON_COMPACT);
	snprintf(browser->exception, sizeof(browser->exception), "%s", text);
	free(text);
	browser->exception_count++;
}

/* Ask, and wait for the answer's result. Returned (json_decref). */
static json_t *ask(struct browser *browser, const char *method, json_t *parameters)
{
	struct harness_wait wait = harness_wait_ms(ANSWER_MS);
	send_message(browser, method, parameters);
	for (;;) {
		json_t *message = next_message(browser, &wait);
		note_exception(browser, message);
		if (json_integer_value(json_object_get(message, "id")) == browser->id) {
			json_t *result = json_incref(json_object_get(message, "result"));
			if (result == NULL) fail_msg("%s: %s", method, json_dumps(message, JSON_COMPACT));
			json_decref(message);
			return result;
		}
		json_decref(message);
	}
}

static void tell(struct browser *browser, const char *method, json_t *parameters)
{
	json_decref(ask(browser, method, parameters));
}

/* ---- Life ---- */

static void run(int from_test, int to_test, const char *directory)
{
	char profile[600];
	snprintf(profile, sizeof(profile), "--user-data-dir=%s/profile", directory);
	const char *argv[] = {browser_program(),
			      "--headless=new",
			      "--no-sandbox",
			      "--disable-gpu",
			      "--disable-dev-shm-usage",
			      "--hide-scrollbars",
			      "--no-first-run",
			      "--disable-extensions",
			      "--disable-background-networking",
			      "--remote-debugging-pipe",
			      profile,
			      "about:blank",
			      NULL};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	int in = fcntl(from_test, F_DUPFD, 10), out = fcntl(to_test, F_DUPFD, 10), none = open("/dev/null", O_RDWR);
	if (in < 0 || out < 0 || dup2(in, 3) < 0 || dup2(out, 4) < 0) _exit(127);
	dup2(none, 0);
	dup2(none, 1);
	dup2(none, 2);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void browser_open(struct browser *browser, const char *directory, const char *url)
{
	int to[2], from[2];
	memset(browser, 0, sizeof(*browser));
	assert_int_equal(pipe2(to, O_CLOEXEC) + pipe2(from, O_CLOEXEC), 0);
	browser->pid = fork();
	assert_true(browser->pid >= 0);
	if (browser->pid == 0) run(to[0], from[1], directory);
	close(to[0]);
	close(from[1]);
	browser->to_fd = to[1];
	browser->from_fd = from[0];
	json_t *target = ask(browser, "Target.createTarget", json_pack("{s:s}", "url", url));
	json_t *session = ask(browser, "Target.attachToTarget",
			      json_pack("{s:O, s:b}", "targetId", json_object_get(target, "targetId"), "flatten", 1));
	snprintf(browser->session, sizeof(browser->session), "%s",
		 json_string_value(json_object_get(session, "sessionId")));
	json_decref(target);
	json_decref(session);
	tell(browser, "Runtime.enable", json_object());
}

void browser_close(struct browser *browser)
{
	if (browser->pid <= 0) return;
	kill(-browser->pid, SIGKILL);
	kill(browser->pid, SIGKILL);
	waitpid(browser->pid, NULL, 0);
	close(browser->to_fd);
	close(browser->from_fd);
	free(browser->text);
	browser->pid = 0;
}

/* ---- The page ---- */

void browser_set_window(struct browser *browser, unsigned width, unsigned height, bool dark)
{
	tell(browser, "Emulation.setDeviceMetricsOverride",
	     json_pack("{s:i, s:i, s:i, s:b}", "width", (int)width, "height", (int)height, "deviceScaleFactor", 1,
		       "mobile", width < 600));
	tell(browser, "Emulation.setEmulatedMedia",
	     json_pack("{s:[{s:s, s:s}]}", "features", "name", "prefers-color-scheme", "value",
		       dark ? "dark" : "light"));
}

json_t *browser_value(struct browser *browser, const char *expression)
{
	json_t *result =
	    ask(browser, "Runtime.evaluate",
		json_pack("{s:s, s:b, s:b}", "expression", expression, "returnByValue", 1, "awaitPromise", 1));
	json_t *value = json_incref(json_object_get(json_object_get(result, "result"), "value"));
	bool failed = json_object_get(result, "exceptionDetails") != NULL;
	json_decref(result);
	if (!failed) return value;
	json_decref(value);
	return NULL;
}

void browser_wait(struct browser *browser, const char *expression, uint32_t timeout_ms)
{
	struct harness_wait wait = harness_wait_ms(timeout_ms);
	for (bool is_true = false; !is_true;) {
		json_t *value = browser_value(browser, expression);
		is_true = json_is_true(value);
		json_decref(value);
		if (is_true || harness_wait_more(&wait)) continue;
		json_t *text = browser_value(browser, "document.body.innerText");
		fail_msg("not true on the page: %s\nthe page says:\n%s", expression, json_string_value(text));
	}
}

void browser_screenshot(struct browser *browser, const char *path)
{
	json_t *result = ask(browser, "Page.captureScreenshot",
			     json_pack("{s:s, s:b}", "format", "png", "captureBeyondViewport", 1));
	const char *text = json_string_value(json_object_get(result, "data"));
	uint8_t *bytes = malloc(strlen(text));
	size_t size = ftsi_connect_base64(text, strlen(text), bytes);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
	free(bytes);
	json_decref(result);
}
