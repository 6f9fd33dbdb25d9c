/* Why this file exists: a headless Chromium in a test, driven over its debugging pipe (Chrome DevTools Protocol: JSON
 * texts ended by a zero byte, to its descriptor 3 and from its descriptor 4). One page at a time.
 *
 * Invariant: it does not outlive the test: killed at the end, and by the kernel when the test is. */
#ifndef FTS_TESTS_PAGE_BROWSER_H
#define FTS_TESTS_PAGE_BROWSER_H

#include <stdbool.h>
#include <stdint.h>

struct json_t;

struct browser {
	int pid;
	int to_fd, from_fd;
	char *text; /* received, not read yet; owned */
	unsigned long size_bytes, capacity_bytes;
	long id;
	char session[128];
	unsigned exception_count; /* scripts that failed */
	char exception[512];      /* the last one's words */
};

/* Path of Chromium; NULL: there is none. */
const char *browser_program(void);
/* Start it with its profile in directory, and show url. Fails the test when it does not come up. */
void browser_open(struct browser *browser, const char *directory, const char *url);
/* The window: width by height in CSS pixels, light or dark. */
void browser_set_window(struct browser *browser, unsigned width, unsigned height, bool dark);
/* The value of a JavaScript expression. Returned (json_decref); NULL: it failed. */
struct json_t *browser_value(struct browser *browser, const char *expression);
/* Wait until the expression is true; fails the test after timeout_ms. */
void browser_wait(struct browser *browser, const char *expression, uint32_t timeout_ms);
/* All of the page as a PNG file. */
void browser_screenshot(struct browser *browser, const char *path);
void browser_close(struct browser *browser);

#endif
