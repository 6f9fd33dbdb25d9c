/* Why this file exists: ThreadSanitizer does not see librocksdb's own atomics, so that a reader and the writer of its
 * memtable look like a race. RocksDB calls nothing of ours back: no race of our own has it on its stack. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:librocksdb\n";
}
