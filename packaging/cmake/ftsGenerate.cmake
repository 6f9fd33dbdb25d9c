# fts_generate(TARGET protos... [IMPORT_DIRS dirs...])
#   Makes x.pb-c.[ch] (messages) and x.fts.[ch] (calls, handlers, topics) of each x.proto, adds them to TARGET, lets
#   TARGET and whoever links it include them by the path the .proto is imported by, and links TARGET with fts.
#   protos:      relative to the current source directory, or absolute.
#   IMPORT_DIRS: where imports are looked for, first to last; a .proto's own name begins below the first of them that
#                holds it. Default: the current source directory. fts's options.proto is always found.
# A .proto that others import must be given too (here or for a library that TARGET links): it is not made unasked.
function(fts_generate target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "IMPORT_DIRS")
  if(NOT TARGET ${target})
    message(FATAL_ERROR "fts_generate: there is no target ${target} yet: call add_executable or add_library first")
  endif()
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fts_generate(${target}): name at least one .proto")
  endif()
  if(NOT arg_IMPORT_DIRS)
    set(arg_IMPORT_DIRS ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  set(import_dirs)
  foreach(dir IN LISTS arg_IMPORT_DIRS)
    get_filename_component(dir "${dir}" ABSOLUTE)
    list(APPEND import_dirs "${dir}")
  endforeach()
  set(import_flags ${import_dirs} ${fts_PROTO_DIR} ${fts_PROTOBUF_C_INCLUDE_DIR})
  list(TRANSFORM import_flags PREPEND -I)

  set(out_dir ${CMAKE_CURRENT_BINARY_DIR}/${target}.fts)
  file(MAKE_DIRECTORY ${out_dir})
  foreach(proto IN LISTS arg_UNPARSED_ARGUMENTS)
    get_filename_component(path "${proto}" ABSOLUTE)
    fts_import_name(name "${path}" ${import_dirs})
    string(REGEX REPLACE "\\.proto$" "" stem "${name}")
    set(made ${out_dir}/${stem}.pb-c.c ${out_dir}/${stem}.fts.c)
    set(headers ${out_dir}/${stem}.pb-c.h ${out_dir}/${stem}.fts.h)
    add_custom_command(
      OUTPUT ${made} ${headers}
      COMMAND ${fts_PROTOC} ${import_flags} --plugin=protoc-gen-c=${fts_PROTOC_GEN_C}
              --plugin=protoc-gen-fts=$<TARGET_FILE:fts::protoc-gen-fts> --c_out=${out_dir} --fts_out=${out_dir}
              --dependency_out=${out_dir}/${stem}.d ${name}
      DEPENDS ${path} fts::protoc-gen-fts
      DEPFILE ${out_dir}/${stem}.d # what it imports
      COMMENT "Making messages and calls of ${name}"
      VERBATIM)
    target_sources(${target} PRIVATE ${made} ${headers})
  endforeach()
  target_include_directories(${target} PUBLIC ${out_dir})
  target_link_libraries(${target} PUBLIC fts::fts)
endfunction()

# The name that protoc knows `path` by: below the first of the import dirs that holds it.
function(fts_import_name out_name path)
  foreach(dir IN LISTS ARGN)
    file(RELATIVE_PATH name "${dir}" "${path}")
    if(NOT name MATCHES "^\\.\\./" AND NOT IS_ABSOLUTE "${name}")
      set(${out_name} "${name}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "fts_generate: ${path} is below none of its IMPORT_DIRS: ${ARGN}")
endfunction()
