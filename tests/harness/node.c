/* Why this file exists: see tests/harness/node.h. */
#include "tests/harness/node.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/ports.h"

#define READY_TIMEOUT_MS 20000
#define STOP_TIMEOUT_MS 20000

void harness_node_init(struct harness_node *node)
{
	*node = (struct harness_node){.port = harness_ports_reserve()};
	snprintf(node->endpoint, sizeof(node->endpoint), "127.0.0.1:%u", node->port);
	snprintf(node->text_address, sizeof(node->text_address), "127.0.0.1:%u", node->port + 4u);
	harness_directory_make(node->root);
	if (snprintf(node->data, sizeof(node->data), "%s/data", node->root) >= (int)sizeof(node->data))
		fail_msg("path too long");
}

static void show_log(const struct harness_node *node)
{
	char *log = harness_process_stderr(&node->process);
	size_t size = strlen(log);
	print_error("log of %s:\n%s\n", node->endpoint, size > 4000 ? log + size - 4000 : log);
	free(log);
}

long harness_node_launch(struct harness_node *node)
{
	const char *argv[8 + HARNESS_NODE_FLAGS_MAX] = {"ftsd",     "--name",   "n1",          "--data",
							node->data, "--listen", node->endpoint};
	size_t count = 7;
	for (size_t i = 0; node->flags[i] != NULL; i++)
		argv[count++] = node->flags[i];
	char *before = node->process.err_path[0] != '\0' ? harness_process_stderr(&node->process) : NULL;
	long from = before != NULL ? (long)strlen(before) : 0;
	free(before);
	harness_process_start(&node->process, node->root, "ftsd", argv);
	return from;
}

bool harness_node_wait_ready(struct harness_node *node, long from, uint32_t timeout_ms)
{
	return harness_process_wait_stderr(&node->process, "event=node.ready", from, timeout_ms);
}

void harness_node_start(struct harness_node *node)
{
	long from = harness_node_launch(node);
	if (harness_node_wait_ready(node, from, READY_TIMEOUT_MS)) return;
	show_log(node);
	fail_msg("ftsd is not ready (exit code %d)", node->process.exit_code);
}

void harness_node_kill(struct harness_node *node)
{
	harness_process_kill(&node->process);
}

int harness_node_stop(struct harness_node *node)
{
	harness_process_signal(&node->process, SIGTERM);
	if (!harness_process_wait(&node->process, STOP_TIMEOUT_MS)) {
		show_log(node);
		fail_msg("ftsd is still there %d ms after SIGTERM", STOP_TIMEOUT_MS);
	}
	return node->process.exit_code;
}

void harness_node_fini(struct harness_node *node)
{
	harness_process_kill(&node->process);
	char *log = harness_process_stderr(&node->process);
	bool unexpected = !node->errors_expected && strstr(log, "level=error") != NULL;
	bool sanitizer = strstr(log, "ERROR: AddressSanitizer") != NULL || strstr(log, "runtime error:") != NULL ||
			 strstr(log, "WARNING: ThreadSanitizer") != NULL;
	free(log);
	if (unexpected || sanitizer) {
		show_log(node);
		fail_msg("the node's log has an error that nobody expected");
	}
	harness_directory_remove(node->root);
}
