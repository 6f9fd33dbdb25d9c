/* Why this file exists: ThreadSanitizer does not see libnng's own atomics. A dialer's memory is given back by nng's
 * reaper thread when its count of references, such an atomic, has come to 0, and that looks like a mutex destroyed
 * in a race. Only that report is suppressed: naming libnng would hide our own races too, since our callbacks all
 * have it on their stacks. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:pthread_mutex_destroy\n";
}
