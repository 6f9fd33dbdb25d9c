# What is made from .proto files, always in the build tree:
#   protoc-c         x.proto -> x.pb-c.[ch]   messages
#   protoc-gen-fts   x.proto -> x.fts.[ch]    typed calls, server tables, topics, reflection
#   nanopb           x.proto -> x.pb.[ch]     frame headers
set(FTS_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
find_program(FTS_PROTOC protoc REQUIRED)
find_program(FTS_PROTOC_GEN_C protoc-gen-c REQUIRED)
find_program(FTS_PROTOC_GEN_NANOPB protoc-gen-nanopb REQUIRED)
find_path(FTS_PROTOBUF_INCLUDE google/protobuf/descriptor.proto REQUIRED)
find_path(FTS_PROTOBUF_C_INCLUDE protobuf-c/protobuf-c.proto REQUIRED)
