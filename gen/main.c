/* Why this file exists: protoc-gen-fts as protoc runs it: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on
 * stdout. Refusals travel in the response, as protoc wants it; a request that can't be read is told on stderr, exit 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/check.h"
#include "gen/emit.h"
#include "gen/names.h"
#include "gen/refusal.h"
#include "gen/request.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File ResponseFile;

static const char usage[] =
    "protoc-gen-fts is run by protoc, which finds it in PATH or by --plugin=protoc-gen-fts=PATH:\n"
    "  protoc -I DIR --c_out=OUT --fts_out=OUT x.proto\n"
    "makes OUT/x.fts.h and OUT/x.fts.c: typed calls, server tables and topics of the services in x.proto.\n"
    "Options for services and methods: fts/rpc/v1/options.proto.\n";

static void add_file(struct ftsi_arena *arena, Response *response, const struct ftsi_file *file, const char *suffix,
		     const char *content)
{
	ResponseFile *out = ftsi_arena_alloc(arena, 1, sizeof(*out));

	google__protobuf__compiler__code_generator_response__file__init(out);
	out->name = ftsi_arena_format(arena, "%s%s", ftsi_name_stem(arena, file->name), suffix);
	out->content = ftsi_arena_copy(arena, content, strlen(content));
	response->file[response->n_file++] = out;
}

/* Fill response (its parts borrowed from the arena) with the files, or with what is refused. */
static void generate(struct ftsi_arena *arena, const Request *request, Response *response)
{
	struct ftsi_model model;
	struct ftsi_refusals refusals = {.text = ftsi_text_init(arena)};

	/* Not that optional is supported, but that we refuse it ourselves, with a place. */
	response->has_supported_features = 1;
	response->supported_features =
	    GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
	if (request->parameter != NULL && *request->parameter != '\0') {
		response->error =
		    ftsi_arena_format(arena, "protoc-gen-fts takes no parameters, got \"%s\"", request->parameter);
		return;
	}
	ftsi_model_build(&model, arena, request, &refusals);
	if (refusals.count == 0) ftsi_check(&model, &refusals);
	if (refusals.count > 0) {
		response->error = refusals.text.data;
		return;
	}
	response->file = ftsi_arena_alloc(arena, 2 * model.file_count + 1, sizeof(ResponseFile *));
	for (size_t i = 0; i < model.file_count; i++) {
		if (!model.files[i].is_wanted) continue;
		add_file(arena, response, &model.files[i], ".fts.h", ftsi_emit_header(&model, &model.files[i]));
		add_file(arena, response, &model.files[i], ".fts.c", ftsi_emit_source(&model, &model.files[i]));
	}
}

static bool write_response(struct ftsi_arena *arena, const Response *response)
{
	size_t size_bytes = google__protobuf__compiler__code_generator_response__get_packed_size(response);
	uint8_t *packed = ftsi_arena_alloc(arena, size_bytes, 1);

	google__protobuf__compiler__code_generator_response__pack(response, packed);
	return fwrite(packed, 1, size_bytes, stdout) == size_bytes && fflush(stdout) == 0;
}

static int run(struct ftsi_arena *arena)
{
	Response response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
	const char *why = "";
	Request *request = ftsi_request_read(arena, stdin, &why);

	if (request == NULL) {
		fprintf(stderr, "protoc-gen-fts: %s\n", why);
		return 1;
	}
	generate(arena, request, &response);
	bool written = write_response(arena, &response);
	google__protobuf__compiler__code_generator_request__free_unpacked(request, NULL);
	if (!written) {
		fputs("protoc-gen-fts: stdout can't be written\n", stderr);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;

		fputs(usage, help ? stdout : stderr);
		return help ? 0 : 2;
	}
	struct ftsi_arena *arena = ftsi_arena_create();
	int exit_code = run(arena);
	ftsi_arena_destroy(arena);
	return exit_code;
}
