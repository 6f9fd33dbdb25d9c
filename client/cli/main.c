/* Why this file exists: the program fts-cli. */
#include "client/cli/run.h"

int main(int argc, char **argv)
{
	return ftsi_run(argc, argv);
}
