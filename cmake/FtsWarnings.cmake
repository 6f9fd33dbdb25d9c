# Warnings are errors, with gcc and clang alike; generated code by protoc-c and nanopb is exempt.
function(fts_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
    -Wpointer-arith -Wwrite-strings -fno-strict-aliasing -fstack-protector-strong)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
endfunction()

if(FTS_SANITIZE)
  add_compile_options(-fsanitize=${FTS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FTS_SANITIZE})
endif()
if(FTS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# fts_module(NAME sources...): the static library of one folder. Sources include each other and lower levels
# as "folder/file.h", public headers as <fts/x.h>.
function(fts_module name)
  add_library(${name} STATIC ${ARGN})
  fts_warnings(${name})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${FTS_GENERATED_DIR})
  set_property(GLOBAL APPEND PROPERTY FTS_MODULES ${name}) # tests/include_graph looks at their symbols
endfunction()
