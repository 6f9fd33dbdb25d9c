/* Why this file exists: certificates for tests, made anew for each run (openssl), so that none can expire. */
#ifndef FTS_TESTS_HARNESS_CERTIFICATES_H
#define FTS_TESTS_HARNESS_CERTIFICATES_H

#include "tests/harness/directory.h"

struct harness_certificate {
	char ca[HARNESS_PATH_MAX + 16];
	char cert[HARNESS_PATH_MAX + 16];
	char key[HARNESS_PATH_MAX + 16];
};

/* A certificate of 127.0.0.1 and localhost, as server and as client, by an authority of its own. */
void harness_certificate_make(struct harness_certificate *out_certificate);

#endif
