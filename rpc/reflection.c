/* Why this file exists: see reflection.h. Answers are built in the call's own memory from the tables; what doesn't fit
 * is refused with the advice to ask for less. */
#include "rpc/reflection.h"

#include <stdlib.h>
#include <string.h>

#include <fts/rpc/v1/reflection.fts.h>

#include "rpc/describe.h"
#include "rpc/statistics.h"

static void *call_alloc(void *call, size_t size_bytes)
{
	return fts_call_alloc(call, size_bytes);
}

/* Zeroed; NULL: the call has been refused. */
static void *take(struct fts_call *call, size_t count, size_t size_bytes)
{
	void *memory = fts_call_alloc(call, count * size_bytes + 1);

	if (memory)
		memset(memory, 0, count * size_bytes + 1);
	else
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "the answer does not fit the memory of a call");
	return memory;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_services(struct fts_call *call, const Fts__Rpc__V1__ListServicesRequest *request, void *ctx)
{
	const struct fts_server *server = ctx;
	size_t count = ftsi_server_service_count(server);
	Fts__Rpc__V1__ListServicesResponse response = FTS__RPC__V1__LIST_SERVICES_RESPONSE__INIT;

	(void)request;
	response.services = take(call, count, sizeof *response.services);
	if (!response.services) return;
	for (size_t i = 0; i < count; i++)
		response.services[i] = (char *)(uintptr_t)ftsi_server_service(server, i)->name;
	qsort(response.services, count, sizeof *response.services, compare_names);
	response.n_services = count;
	fts_reflection_list_services_reply(call, &response);
}

static void describe(struct fts_call *call, const Fts__Rpc__V1__DescribeRequest *request, void *ctx)
{
	const struct fts_server *server = ctx;
	size_t count = ftsi_server_service_count(server);
	const struct fts_service **services = take(call, count, sizeof *services);
	Fts__Rpc__V1__DescribeResponse response = FTS__RPC__V1__DESCRIBE_RESPONSE__INIT;
	struct fts_error error = {.status = FTS_OK};

	if (!services) return;
	for (size_t i = 0; i < count; i++)
		services[i] = ftsi_server_service(server, i);
	struct ftsi_describe_source source = {services, count, call_alloc, call};
	if (ftsi_describe(&source, request->name, &response, &error) == FTS_OK)
		fts_reflection_describe_reply(call, &response);
	else
		fts_call_fail_error(call, &error);
}

static size_t used_bucket_count(const struct ftsi_method_statistics *from)
{
	size_t count = FTSI_LATENCY_BUCKET_COUNT;

	while (count > 0 && from->latency_log2_us[count - 1] == 0)
		count--;
	return count;
}

/* latency: room for FTSI_LATENCY_BUCKET_COUNT numbers. */
static void fill_method(const struct ftsi_method_statistics *from, uint64_t *latency,
			Fts__Rpc__V1__MethodStatistics *out)
{
	fts__rpc__v1__method_statistics__init(out);
	out->method = (char *)(uintptr_t)from->method->full_name;
	out->calls = from->calls;
	out->errors = from->errors;
	out->request_bytes = from->request_bytes;
	out->response_bytes = from->response_bytes;
	out->open = from->open;
	out->oldest_ms = from->oldest_ms;
	memcpy(latency, from->latency_log2_us, sizeof from->latency_log2_us);
	out->latency_log2_us = latency;
	out->n_latency_log2_us = used_bucket_count(from);
}

static bool fill_methods(struct fts_call *call, struct fts_server *server, Fts__Rpc__V1__StatisticsResponse *response)
{
	size_t count = ftsi_server_method_count(server);
	Fts__Rpc__V1__MethodStatistics *methods = take(call, count, sizeof *methods);
	uint64_t *latency = methods ? take(call, count, FTSI_LATENCY_BUCKET_COUNT * sizeof *latency) : NULL;

	response->methods = latency ? take(call, count, sizeof *response->methods) : NULL;
	if (!response->methods) return false;
	for (size_t i = 0; i < count; i++) {
		struct ftsi_method_statistics statistics;
		ftsi_server_method_statistics(server, i, &statistics);
		fill_method(&statistics, latency + i * FTSI_LATENCY_BUCKET_COUNT, &methods[i]);
		response->methods[i] = &methods[i];
	}
	response->n_methods = count;
	return true;
}

static void statistics(struct fts_call *call, const Fts__Rpc__V1__StatisticsRequest *request, void *ctx)
{
	struct fts_server *server = ctx;
	struct ftsi_server_statistics whole;
	Fts__Rpc__V1__StatisticsResponse response = FTS__RPC__V1__STATISTICS_RESPONSE__INIT;

	if (!fill_methods(call, server, &response)) return;
	ftsi_server_statistics(server, &whole);
	response.uptime_ms = whole.uptime_ms;
	response.connections = whole.connections;
	response.malformed = whole.malformed;
	response.inbound_bytes = whole.inbound_bytes;
	response.outbound_bytes = whole.outbound_bytes;
	if (request->reset) ftsi_server_statistics_reset(server);
	fts_reflection_statistics_reply(call, &response);
}

enum fts_status ftsi_reflection_register(struct fts_server *server)
{
	static const struct fts_reflection_handlers handlers = {
	    .list_services = list_services, .describe = describe, .statistics = statistics};

	return fts_reflection_register(server, &handlers, server, NULL);
}
