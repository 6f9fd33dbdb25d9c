#include <stdio.h>
#include "greeter.fts.h"

static void hello(struct fts_call *call, const Acme__HelloRequest *request, void *ctx)
{
	Acme__HelloResponse response = ACME__HELLO_RESPONSE__INIT;
	char text[128];

	snprintf(text, sizeof(text), "%s, %s!", (const char *)ctx, request->name);
	response.text = text;
	acme_greeter_hello_reply(call, &response);
}

int main(void)
{
	const struct acme_greeter_handlers handlers = {.hello = hello};
	const struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "greeter"};
	struct fts_server *server = NULL;

	if (fts_server_create(&options, &server, NULL) != FTS_OK ||
	    acme_greeter_register(server, &handlers, "Hello", NULL) != FTS_OK || fts_server_start(server, NULL) != FTS_OK)
		return 1;
	printf("127.0.0.1:%u\n", fts_server_port(server));
	fflush(stdout);
	(void)getchar(); /* until stdin is closed */
	fts_server_destroy(server);
}
