/* Why this file exists: see base/processors.h. ftsd brings a sysconf() of its own, which the dynamic linker prefers
 * to libc's; libc's is asked for everything. */
#include "base/processors.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_long limit; /* 0: none */

void ftsi_processors_limit_begin(long processor_max)
{
	atomic_store(&limit, processor_max);
}

void ftsi_processors_limit_end(void)
{
	atomic_store(&limit, 0);
}

/* ThreadSanitizer asks sysconf() before it can bear any code of ours. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_OWN_SYSCONF
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITHOUT_OWN_SYSCONF
#endif

#ifndef WITHOUT_OWN_SYSCONF
static long ask_libc(int name)
{
	static _Atomic(void *) found;
	long (*real)(int) = NULL;
	void *symbol = atomic_load(&found);
	if (symbol == NULL) {
		symbol = dlsym(RTLD_NEXT, "sysconf");
		atomic_store(&found, symbol);
	}
	if (symbol == NULL) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&real, &symbol, sizeof(real)); /* ISO C knows no cast from an object's to a function's address */
	return real(name);
}

__attribute__((visibility("default"))) long sysconf(int name)
{
	long value = ask_libc(name), most = atomic_load(&limit);
	return name == _SC_NPROCESSORS_ONLN && most > 0 && value > most ? most : value;
}
#endif
