#include <stdio.h>
#include "greeter.fts.h"

int main(int argc, char **argv)
{
	struct fts_channel *channel = NULL;
	Acme__HelloRequest request = ACME__HELLO_REQUEST__INIT;
	Acme__HelloResponse *response = NULL;
	struct fts_error error = {0};

	request.name = argv[argc - 1];
	if (fts_channel_open(&(struct fts_channel_options){.endpoints = argv[1]}, &channel, &error) != FTS_OK ||
	    acme_greeter_hello(channel, &request, NULL, &response, &error) != FTS_OK)
		return fprintf(stderr, "%s: %s\n", fts_status_name(error.status), error.detail), 1;
	puts(response->text);
	acme__hello_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
}
