/* Why this file exists: `fts-cli describe` shows a schema the way its author wrote it. See schema.h.
 *
 * Invariant: what is printed came from a server, so control characters (a terminal would obey them) become '?'. */
#include "rpc/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const char *text)
{
	return text ? text : "";
}

static void print_text(FILE *out, const char *text)
{
	for (text = text_of(text); *text; text++)
		(void)fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
}

/* Comments above a thing, a line each. */
static void print_doc(FILE *out, const char *indent, const char *doc)
{
	doc = text_of(doc);
	while (*doc) {
		size_t length = strcspn(doc, "\n");
		(void)fprintf(out, "%s// ", indent);
		for (size_t i = 0; i < length; i++)
			(void)fputc((unsigned char)doc[i] < ' ' || doc[i] == 127 ? '?' : doc[i], out);
		(void)fputc('\n', out);
		doc += length + (doc[length] == '\n');
	}
}

/* The comment behind a line, or above it when it has several lines: returns true when it is still to be printed. */
static bool print_doc_above(FILE *out, const char *indent, const char *doc)
{
	doc = text_of(doc);
	if (!strchr(doc, '\n')) return *doc != 0;
	print_doc(out, indent, doc);
	return false;
}

static void end_line(FILE *out, bool behind, const char *doc)
{
	(void)fputs(behind ? ";  // " : ";", out);
	if (behind) print_text(out, doc);
	(void)fputc('\n', out);
}

static void print_method(FILE *out, const Fts__Rpc__V1__MethodSchema *method)
{
	static const char *const routes[] = {"ROUTE_LEADER", "ROUTE_REPLICA", "ROUTE_ANY"};

	print_doc(out, "  ", method->doc);
	(void)fputs("  rpc ", out);
	print_text(out, method->name);
	(void)fputc('(', out);
	print_text(out, method->request);
	(void)fputs(") returns (", out);
	print_text(out, method->response);
	(void)fputs(") {\n", out);
	if (method->mutates) (void)fputs("    option (fts.rpc.v1.mutates) = true;\n", out);
	if (method->route && method->route < sizeof routes / sizeof *routes)
		(void)fprintf(out, "    option (fts.rpc.v1.route) = %s;\n", routes[method->route]);
	(void)fprintf(out, "    option (fts.rpc.v1.timeout_ms) = %u;\n", method->timeout_ms);
	if (*text_of(method->role)) {
		(void)fputs("    option (fts.rpc.v1.role) = \"", out);
		print_text(out, method->role);
		(void)fputs("\";\n", out);
	}
	(void)fputs("  }\n", out);
}

static void print_service(FILE *out, const Fts__Rpc__V1__ServiceSchema *service)
{
	print_doc(out, "", service->doc);
	(void)fputs("service ", out);
	print_text(out, service->name);
	(void)fputs(" {\n", out);
	for (size_t i = 0; i < service->n_methods; i++)
		print_method(out, service->methods[i]);
	(void)fputs("}\n\n", out);
}

static void print_type(FILE *out, const Fts__Rpc__V1__FieldSchema *field)
{
	static const char *const names[] = {
	    [PROTOBUF_C_TYPE_INT32] = "int32",       [PROTOBUF_C_TYPE_SINT32] = "sint32",
	    [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32", [PROTOBUF_C_TYPE_INT64] = "int64",
	    [PROTOBUF_C_TYPE_SINT64] = "sint64",     [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
	    [PROTOBUF_C_TYPE_UINT32] = "uint32",     [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
	    [PROTOBUF_C_TYPE_UINT64] = "uint64",     [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
	    [PROTOBUF_C_TYPE_FLOAT] = "float",       [PROTOBUF_C_TYPE_DOUBLE] = "double",
	    [PROTOBUF_C_TYPE_BOOL] = "bool",         [PROTOBUF_C_TYPE_STRING] = "string",
	    [PROTOBUF_C_TYPE_BYTES] = "bytes",
	};

	if (field->type < sizeof names / sizeof *names && names[field->type])
		(void)fputs(names[field->type], out);
	else
		print_text(out, field->type_name);
}

static void print_field(FILE *out, const char *indent, const Fts__Rpc__V1__FieldSchema *field)
{
	static const char *const labels[] = {
	    [PROTOBUF_C_LABEL_REQUIRED] = "required ",
	    [PROTOBUF_C_LABEL_OPTIONAL] = "optional ",
	    [PROTOBUF_C_LABEL_REPEATED] = "repeated ",
	    [PROTOBUF_C_LABEL_NONE] = "",
	};
	bool behind = print_doc_above(out, indent, field->doc);
	bool label = field->label < sizeof labels / sizeof *labels && !field->oneof &&
		     !(field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type == PROTOBUF_C_TYPE_MESSAGE);

	(void)fprintf(out, "%s%s", indent, label ? labels[field->label] : "");
	print_type(out, field);
	(void)fputc(' ', out);
	print_text(out, field->name);
	(void)fprintf(out, " = %u", field->number);
	end_line(out, behind, field->doc);
}

static void print_oneof(FILE *out, const Fts__Rpc__V1__MessageSchema *message, size_t place)
{
	(void)fputs("  oneof ", out);
	print_text(out, message->oneofs[place]);
	(void)fputs(" {\n", out);
	for (size_t i = 0; i < message->n_fields; i++)
		if (message->fields[i]->oneof == place + 1) print_field(out, "    ", message->fields[i]);
	(void)fputs("  }\n", out);
}

static void print_message(FILE *out, const Fts__Rpc__V1__MessageSchema *message)
{
	print_doc(out, "", message->doc);
	(void)fputs("message ", out);
	print_text(out, message->name);
	(void)fputs(" {\n", out);
	if (*text_of(message->topic)) {
		(void)fputs("  option (fts.rpc.v1.topic) = \"", out);
		print_text(out, message->topic);
		(void)fputs("\";\n", out);
	}
	for (size_t i = 0; i < message->n_fields; i++)
		if (!message->fields[i]->oneof) print_field(out, "  ", message->fields[i]);
	for (size_t i = 0; i < message->n_oneofs && i < message->n_fields; i++)
		print_oneof(out, message, i);
	(void)fputs("}\n\n", out);
}

static void print_enum(FILE *out, const Fts__Rpc__V1__EnumSchema *type)
{
	print_doc(out, "", type->doc);
	(void)fputs("enum ", out);
	print_text(out, type->name);
	(void)fputs(" {\n", out);
	for (size_t i = 0; i < type->n_values; i++) {
		bool behind = print_doc_above(out, "  ", type->values[i]->doc);
		(void)fputs("  ", out);
		print_text(out, type->values[i]->name);
		(void)fprintf(out, " = %d", type->values[i]->number);
		end_line(out, behind, type->values[i]->doc);
	}
	(void)fputs("}\n\n", out);
}

enum fts_status fts_schema_print(const Fts__Rpc__V1__DescribeResponse *description, char **out_text,
				 struct fts_error *out_error)
{
	char *text = NULL;
	size_t size_bytes = 0;
	FILE *out = open_memstream(&text, &size_bytes);

	if (!out) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory to print a schema");
	for (size_t i = 0; i < description->n_services; i++)
		print_service(out, description->services[i]);
	for (size_t i = 0; i < description->n_messages; i++)
		print_message(out, description->messages[i]);
	for (size_t i = 0; i < description->n_enums; i++)
		print_enum(out, description->enums[i]);
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory to print a schema");
	}
	*out_text = text;
	return FTS_OK;
}
