/* Why this file exists: ThreadSanitizer does not see libnng's own atomics, by which messages count who still needs
 * them: the last one frees, and that looks like a race with nng's own reading of the bytes. Suppressed are only
 * nng's frees under the publisher's sending (which does nothing else), and the reports of rpc_channel/tsan.c. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:pthread_mutex_destroy\nrace:^flush$\n";
}
