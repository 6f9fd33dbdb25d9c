# The libraries fts builds on, each as one imported target fts_dep::NAME. Their Debian packages are named in
# packaging/debian-packages.txt, and only there.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(fts_dependency_pkg name module)
  pkg_check_modules(DEP_${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(fts_dep::${name} ALIAS PkgConfig::DEP_${name})
endfunction()

function(fts_dependency_library name library header)
  find_library(DEP_${name}_LIBRARY ${library} REQUIRED)
  find_path(DEP_${name}_INCLUDE ${header} REQUIRED)
  add_library(fts_dep::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(fts_dep::${name} PROPERTIES
    IMPORTED_LOCATION ${DEP_${name}_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DEP_${name}_INCLUDE})
endfunction()

fts_dependency_library(nng nng nng/nng.h)
fts_dependency_library(nanopb protobuf-nanopb pb_decode.h)
fts_dependency_library(rocksdb rocksdb rocksdb/c.h)
fts_dependency_library(edit edit histedit.h)
# Debian's mbedTLS has no pkg-config files; fts uses what its crypto and x509 libraries have.
fts_dependency_library(mbedcrypto mbedcrypto mbedtls/sha256.h)
fts_dependency_library(mbedx509 mbedx509 mbedtls/x509_crt.h)
add_library(fts_dep_mbedtls INTERFACE)
target_link_libraries(fts_dep_mbedtls INTERFACE fts_dep::mbedx509 fts_dep::mbedcrypto)
add_library(fts_dep::mbedtls ALIAS fts_dep_mbedtls)
fts_dependency_pkg(protobuf_c libprotobuf-c)
fts_dependency_pkg(raft raft)
fts_dependency_pkg(uv libuv)
fts_dependency_pkg(sodium libsodium)
fts_dependency_pkg(xxhash libxxhash)
fts_dependency_pkg(jansson jansson)
fts_dependency_pkg(microhttpd libmicrohttpd)
fts_dependency_pkg(gnutls gnutls)
fts_dependency_library(cmocka cmocka cmocka.h)
