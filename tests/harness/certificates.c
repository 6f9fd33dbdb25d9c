/* Why this file exists: see tests/harness/certificates.h. */
#include "tests/harness/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char script[] =
    "set -e; cd %s; exec >log 2>&1; umask 077\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "key ca; openssl req -x509 -new -key ca.key -subj /CN=ca -days 2 -out ca.pem\n"
    "key node; openssl req -new -key node.key -subj /CN=node -out node.csr\n"
    "printf 'subjectAltName=IP:127.0.0.1,DNS:127.0.0.1,DNS:localhost' >ext\n"
    "openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out node.pem\n";

void harness_certificate_make(struct harness_certificate *out_certificate)
{
	char directory[HARNESS_PATH_MAX], command[sizeof(script) + HARNESS_PATH_MAX];
	harness_directory_make(directory);
	(void)snprintf(command, sizeof(command), script, directory);
	if (system(command) != 0) fail_msg("openssl makes no certificates");
	(void)snprintf(out_certificate->ca, sizeof(out_certificate->ca), "%s/ca.pem", directory);
	(void)snprintf(out_certificate->cert, sizeof(out_certificate->cert), "%s/node.pem", directory);
	(void)snprintf(out_certificate->key, sizeof(out_certificate->key), "%s/node.key", directory);
}
