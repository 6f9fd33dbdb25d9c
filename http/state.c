/* Why this file exists: what machines ask a node: /metrics, /livez, /readyz. They need no token: they tell how it is,
 * never what is stored. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "rpc/statistics.h"

#define TEXT_TYPE "text/plain; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Buckets of the server's histogram that are shown: 2^i us for i up to this; longer calls are in +Inf. */
#define BUCKET_SHOWN_COUNT 26u

/* Why a call ended, in each method's words; methods nobody has asked are left out. */
static void add_calls(struct fts_metrics *metrics, const struct ftsi_method_statistics *methods, size_t count)
{
	fts_metrics_family(metrics, FTS_METRIC_COUNTER, "fts_calls_total", "Calls answered, by method and code.");
	for (size_t i = 0; i < count; i++) {
		const struct ftsi_method_statistics *method = &methods[i];
		if (method->calls == 0) continue;
		for (unsigned code = 0; code < FTSI_CODE_COUNT; code++) {
			uint64_t calls = code == FTS_OK ? method->calls - method->errors : method->refused[code];
			const char *labels[] = {"method", method->method->full_name, "code",
						fts_status_name((enum fts_status)code), NULL};
			if (calls > 0 || code == FTS_OK) fts_metrics_value(metrics, labels, (double)calls);
		}
	}
}

static void add_latencies(struct fts_metrics *metrics, const struct ftsi_method_statistics *methods, size_t count)
{
	double bounds[BUCKET_SHOWN_COUNT];
	uint64_t counts[BUCKET_SHOWN_COUNT + 1];
	for (unsigned i = 0; i < BUCKET_SHOWN_COUNT; i++)
		bounds[i] = (double)(1ull << i) / 1e6;
	fts_metrics_family(metrics, FTS_METRIC_HISTOGRAM, "fts_call_seconds",
			   "Time from reading a call to writing its answer.");
	for (size_t i = 0; i < count; i++) {
		const char *labels[] = {"method", methods[i].method->full_name, NULL};
		struct fts_metrics_histogram histogram = {bounds, counts, BUCKET_SHOWN_COUNT,
							  (double)methods[i].latency_ns / 1e9};
		if (methods[i].calls == 0) continue;
		counts[BUCKET_SHOWN_COUNT] = 0;
		for (unsigned k = 0; k < FTSI_LATENCY_BUCKET_COUNT; k++) {
			uint64_t calls = methods[i].latency_log2_us[k];
			if (k < BUCKET_SHOWN_COUNT)
				counts[k] = calls;
			else
				counts[BUCKET_SHOWN_COUNT] += calls;
		}
		fts_metrics_histogram(metrics, labels, &histogram);
	}
}

static void add_bytes(struct fts_metrics *metrics, const struct ftsi_method_statistics *methods, size_t count)
{
	fts_metrics_family(metrics, FTS_METRIC_COUNTER, "fts_call_bytes_total", "Bytes of requests and answers.");
	for (size_t i = 0; i < count; i++) {
		const char *in[] = {"method", methods[i].method->full_name, "direction", "in", NULL};
		const char *out[] = {"method", methods[i].method->full_name, "direction", "out", NULL};
		if (methods[i].calls == 0) continue;
		fts_metrics_value(metrics, in, (double)methods[i].request_bytes);
		fts_metrics_value(metrics, out, (double)methods[i].response_bytes);
	}
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, "fts_calls_open", "Calls not yet answered.");
	for (size_t i = 0; i < count; i++) {
		const char *labels[] = {"method", methods[i].method->full_name, NULL};
		if (methods[i].calls > 0 || methods[i].open > 0)
			fts_metrics_value(metrics, labels, (double)methods[i].open);
	}
}

static void add_server(struct fts_metrics *metrics, struct fts_server *server)
{
	struct ftsi_server_statistics statistics;
	size_t count = ftsi_server_method_count(server);
	struct ftsi_method_statistics *methods = calloc(count + 1, sizeof(*methods));
	if (methods == NULL) {
		metrics->cut = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		ftsi_server_method_statistics(server, i, &methods[i]);
	add_calls(metrics, methods, count);
	add_latencies(metrics, methods, count);
	add_bytes(metrics, methods, count);
	free(methods);
	ftsi_server_statistics(server, &statistics);
	fts_metrics_gauge(metrics, "fts_rpc_connections", "Connections of callers.", (double)statistics.connections);
	fts_metrics_counter(metrics, "fts_rpc_malformed_total", "Frames refused before they were calls.",
			    (double)statistics.malformed);
	fts_metrics_counter(metrics, "fts_rpc_inbound_bytes_total", "Bytes received from callers.",
			    (double)statistics.inbound_bytes);
	fts_metrics_counter(metrics, "fts_rpc_outbound_bytes_total", "Bytes sent to callers.",
			    (double)statistics.outbound_bytes);
}

static void add_door(struct fts_metrics *metrics, struct fts_door *door)
{
	pthread_mutex_lock(&door->lock);
	uint32_t conn_count = door->conn_count;
	pthread_mutex_unlock(&door->lock);
	fts_metrics_gauge(metrics, "fts_http_connections", "Connections at the HTTP door.", conn_count);
	fts_metrics_gauge(metrics, "fts_http_streams", "Streams of events at the HTTP door.",
			  atomic_load(&door->stream_count));
	fts_metrics_counter(metrics, "fts_http_requests_total", "Requests at the HTTP door.",
			    (double)atomic_load(&door->request_count));
	fts_metrics_counter(metrics, "fts_http_refused_total", "Requests at the HTTP door that ended with an error.",
			    (double)atomic_load(&door->refused_count));
	fts_metrics_counter(metrics, "fts_http_cut_total", "Connections of the HTTP door that were cut as too slow.",
			    (double)atomic_load(&door->cut_count));
}

enum MHD_Result ftsi_metrics_answer(struct ftsi_exchange *exchange)
{
	struct fts_door *door = exchange->door;
	struct fts_metrics metrics = {0};
	add_server(&metrics, door->options.server);
	add_door(&metrics, door);
	door->options.on_metrics(door->options.ctx, &metrics);
	if (!metrics.cut)
		return ftsi_answer(exchange, MHD_HTTP_OK, METRICS_TYPE, (uint8_t *)metrics.text, metrics.size_bytes);
	free(metrics.text);
	(void)fts_error_set(&exchange->error, FTS_RESOURCE_EXHAUSTED, "out of memory for the metrics");
	return ftsi_answer_error(exchange);
}

enum MHD_Result ftsi_live_answer(struct ftsi_exchange *exchange)
{
	return ftsi_answer_text(exchange, MHD_HTTP_OK, TEXT_TYPE, "live\n");
}

enum MHD_Result ftsi_ready_answer(struct ftsi_exchange *exchange)
{
	char reason[FTS_DOOR_REASON_BYTES + 2] = "";
	struct fts_door *door = exchange->door;
	if (door->options.is_ready(door->options.ctx, reason))
		return ftsi_answer_text(exchange, MHD_HTTP_OK, TEXT_TYPE, "ready\n");
	size_t size = strlen(reason);
	memcpy(reason + size, "\n", 2);
	return ftsi_answer_text(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_TYPE, reason);
}
