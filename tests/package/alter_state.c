/* Why this file exists: doctor_test needs nodes whose states differ: this changes one record of a node that is stopped,
 * in a way that no checksum shows. Usage: fts-alter-state DATA SALT */
#include <stdio.h>
#include <stdlib.h>

#include "tests/snapshot/state_files.h"

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: fts-alter-state DATA SALT\n");
		return 2;
	}
	state_files_alter(argv[1], (uint8_t)strtoul(argv[2], NULL, 10));
	return 0;
}
