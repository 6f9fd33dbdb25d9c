/* Why this file exists: numbers as Prometheus reads them (text format 0.0.4), so that whoever has numbers needs not
 * know how they are written.
 *
 * Invariants: a family's lines stand together, under its HELP and TYPE; label values are escaped; a text that would
 * grow past FTS_METRICS_BYTES_MAX ends instead, and says so. Thread: the one that fills it.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats */
#ifndef FTS_HTTP_METRICS_H
#define FTS_HTTP_METRICS_H

#include <fts/api.h>
#include <stdbool.h>

#define FTS_METRICS_BYTES_MAX ((size_t)8 * 1024 * 1024)

struct fts_metrics {
	char *text; /* owned; NULL at first */
	size_t size_bytes, capacity_bytes;
	bool cut; /* no memory, or past the limit */
	const char *family;
};

enum fts_metric_kind { FTS_METRIC_COUNTER, FTS_METRIC_GAUGE, FTS_METRIC_HISTOGRAM };

/* Lines of a new family follow. name ("fts_calls_total"), help: static. */
void fts_metrics_family(struct fts_metrics *metrics, enum fts_metric_kind kind, const char *name, const char *help);
/* One line of the family. labels (borrowed): name, value, name, value, ..., NULL; NULL: none. */
void fts_metrics_value(struct fts_metrics *metrics, const char *const *labels, double value);
/* A histogram's lines: bucket i counts what took at most bounds[i]; the rest lies in one bucket more. counts: of each
 * bucket alone, bound_count + 1 of them. sum: in the unit of the bounds. All borrowed. */
struct fts_metrics_histogram {
	const double *bounds;
	const uint64_t *counts;
	size_t bound_count;
	double sum;
};
void fts_metrics_histogram(struct fts_metrics *metrics, const char *const *labels,
			   const struct fts_metrics_histogram *histogram);
/* One value without labels as a family of its own. */
void fts_metrics_gauge(struct fts_metrics *metrics, const char *name, const char *help, double value);
void fts_metrics_counter(struct fts_metrics *metrics, const char *name, const char *help, double value);

#endif
