# What `make install` puts where, for people who run fts and for strangers who build on it:
#   bin                 ftsd, fts-cli, fts-verify, fts-bench and protoc-gen-fts
#   lib                 libfts.so; lib/cmake/fts for find_package(fts); lib/pkgconfig for pkg-config
#   include/fts         the headers written by hand, and beside them those made of fts's own protos
#   share/fts/proto     the protos: options.proto for a stranger's own services, the others to call fts's
# Nothing in the prefix names where it stands, so it may be moved.
include(CMakePackageConfigHelpers)

set(FTS_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/fts)
set(FTS_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(FTS_INSTALL_PROTO_DIR ${CMAKE_INSTALL_DATADIR}/fts/proto)

# server/ installs ftsd itself.
foreach(program fts-cli fts-verify fts-bench)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

# What a stranger builds on, apart, so that it can be installed alone: cmake --install DIR --component library, and
# --component development
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
install(TARGETS fts LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development)
install(TARGETS protoc-gen-fts RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/fts DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
foreach(stem fts/rpc/v1/status ${FTS_PROTOS})
  get_filename_component(folder ${stem} DIRECTORY)
  install(FILES ${FTS_GENERATED_DIR}/${stem}.fts.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder})
  if(NOT stem STREQUAL fts/rpc/v1/status) # which holds no messages
    install(FILES ${FTS_GENERATED_DIR}/${stem}.pb-c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder})
  endif()
endforeach()
install(DIRECTORY ${FTS_PROTO_DIR}/fts DESTINATION ${FTS_INSTALL_PROTO_DIR} FILES_MATCHING PATTERN "*.proto"
  PATTERN "*.options")

configure_package_config_file(packaging/cmake/ftsConfig.cmake.in ${CMAKE_BINARY_DIR}/packaging/ftsConfig.cmake
  INSTALL_DESTINATION ${FTS_PACKAGE_DIR}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_BINDIR FTS_INSTALL_PROTO_DIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/packaging/ftsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/packaging/ftsConfig.cmake ${CMAKE_BINARY_DIR}/packaging/ftsConfigVersion.cmake
  packaging/cmake/ftsGenerate.cmake DESTINATION ${FTS_PACKAGE_DIR})

file(RELATIVE_PATH FTS_PKGCONFIG_TO_PREFIX /prefix/${FTS_PKGCONFIG_DIR} /prefix)
string(REGEX REPLACE "/$" "" FTS_PKGCONFIG_TO_PREFIX "${FTS_PKGCONFIG_TO_PREFIX}")
configure_file(packaging/pkgconfig/fts.pc.in ${CMAKE_BINARY_DIR}/packaging/fts.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/fts.pc DESTINATION ${FTS_PKGCONFIG_DIR})
