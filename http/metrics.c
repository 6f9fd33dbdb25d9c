/* Why this file exists: see http/metrics.h. */
#include "http/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 16384
#define NUMBER_BYTES 40

static bool make_room(struct fts_metrics *metrics, size_t more_bytes)
{
	size_t wanted = metrics->size_bytes + more_bytes + 1, capacity = metrics->capacity_bytes;
	if (metrics->cut || more_bytes > FTS_METRICS_BYTES_MAX || wanted > FTS_METRICS_BYTES_MAX) {
		metrics->cut = true;
		return false;
	}
	if (wanted <= capacity) return true;
	for (capacity = capacity == 0 ? FIRST_BYTES : capacity; capacity < wanted;)
		capacity *= 2;
	char *text = realloc(metrics->text, capacity);
	metrics->cut = text == NULL;
	if (text == NULL) return false;
	metrics->text = text;
	metrics->capacity_bytes = capacity;
	return true;
}

static void add(struct fts_metrics *metrics, const char *text, size_t size_bytes)
{
	if (!make_room(metrics, size_bytes)) return;
	memcpy(metrics->text + metrics->size_bytes, text, size_bytes);
	metrics->size_bytes += size_bytes;
	metrics->text[metrics->size_bytes] = '\0';
}

static void add_text(struct fts_metrics *metrics, const char *text)
{
	add(metrics, text, strlen(text));
}

/* In a label's value \ " and line ends are escaped. */
static void add_escaped(struct fts_metrics *metrics, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			add_text(metrics, "\\n");
		else if (*text == '\\' || *text == '"')
			add(metrics, (const char[]){'\\', *text}, 2);
		else
			add(metrics, text, 1);
	}
}

static void add_number(struct fts_metrics *metrics, double value)
{
	char text[NUMBER_BYTES];
	if (isinf(value))
		snprintf(text, sizeof(text), "%s", value > 0 ? "+Inf" : "-Inf");
	else if (value == floor(value) && fabs(value) < 9007199254740992.0)
		snprintf(text, sizeof(text), "%.0f", value);
	else
		snprintf(text, sizeof(text), "%.9g", value);
	add_text(metrics, text);
}

/* "{a="b",le="0.1"}"; bound NULL: no le. */
static void add_labels(struct fts_metrics *metrics, const char *const *labels, const double *bound)
{
	const char *between = "{";
	for (; labels != NULL && labels[0] != NULL; labels += 2) {
		add_text(metrics, between);
		add_text(metrics, labels[0]);
		add_text(metrics, "=\"");
		add_escaped(metrics, labels[1]);
		add_text(metrics, "\"");
		between = ",";
	}
	if (bound != NULL) {
		add_text(metrics, between);
		add_text(metrics, "le=\"");
		add_number(metrics, *bound);
		add_text(metrics, "\"");
		between = ",";
	}
	if (*between == ',') add_text(metrics, "}");
}

static void add_line(struct fts_metrics *metrics, const char *suffix, const char *const *labels, const double *bound,
		     double value)
{
	add_text(metrics, metrics->family);
	add_text(metrics, suffix);
	add_labels(metrics, labels, bound);
	add_text(metrics, " ");
	add_number(metrics, value);
	add_text(metrics, "\n");
}

void fts_metrics_family(struct fts_metrics *metrics, enum fts_metric_kind kind, const char *name, const char *help)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	metrics->family = name;
	const char *const parts[] = {"# HELP ", name, " ", help, "\n# TYPE ", name, " ", kinds[kind], "\n"};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		add_text(metrics, parts[i]);
}

void fts_metrics_value(struct fts_metrics *metrics, const char *const *labels, double value)
{
	add_line(metrics, "", labels, NULL, value);
}

void fts_metrics_histogram(struct fts_metrics *metrics, const char *const *labels,
			   const struct fts_metrics_histogram *histogram)
{
	const double all = INFINITY;
	uint64_t sum = 0;
	for (size_t i = 0; i <= histogram->bound_count; i++) {
		sum += histogram->counts[i];
		add_line(metrics, "_bucket", labels, i < histogram->bound_count ? &histogram->bounds[i] : &all,
			 (double)sum);
	}
	add_line(metrics, "_sum", labels, NULL, histogram->sum);
	add_line(metrics, "_count", labels, NULL, (double)sum);
}

void fts_metrics_gauge(struct fts_metrics *metrics, const char *name, const char *help, double value)
{
	fts_metrics_family(metrics, FTS_METRIC_GAUGE, name, help);
	fts_metrics_value(metrics, NULL, value);
}

void fts_metrics_counter(struct fts_metrics *metrics, const char *name, const char *help, double value)
{
	fts_metrics_family(metrics, FTS_METRIC_COUNTER, name, help);
	fts_metrics_value(metrics, NULL, value);
}
