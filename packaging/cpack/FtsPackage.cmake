# .deb packages: `make package` configures with PREFIX /usr, builds, and calls CPack.
#   fts         the programs, systemd units, man pages, completion, /etc/fts and a system user
#   libfts1     libfts.so.1
#   libfts-dev  headers, protos, the plugin, pkg-config and CMake files
option(FTS_PACKAGE "Install what belongs to a Debian system: systemd units and /etc/fts" OFF)
set(packaging ${CMAKE_SOURCE_DIR}/packaging)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME Unspecified) # of the programs, as where they are made

# Manual and completion come out of the programs themselves, so that both say what --help says.
find_program(FTS_GZIP gzip)
set(manual ${CMAKE_BINARY_DIR}/manual)
set(pages)
foreach(page ftsd.8 fts-watchdog.8 ftsd.json.5 fts-cli.1 fts-verify.1 fts-bench.1 protoc-gen-fts.1)
  list(APPEND pages ${manual}/${page}.gz)
endforeach()
set(programs ftsd fts-cli fts-verify protoc-gen-fts)
foreach(program fts-watchdog fts-bench)
  if(TARGET ${program})
    list(APPEND programs ${program})
  endif()
endforeach()
add_custom_command(
  OUTPUT ${pages}
  COMMAND ${packaging}/man/make_pages ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${manual} ${PROJECT_VERSION}
          ${CMAKE_SOURCE_DIR}
  DEPENDS ${programs} ${packaging}/man/make_pages ${CMAKE_SOURCE_DIR}/proto/fts/config/v1/config.proto
  VERBATIM)
add_custom_target(manual DEPENDS ${pages})
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/changelog.gz
  COMMAND ${FTS_GZIP} -9nc ${packaging}/debian/changelog > ${CMAKE_BINARY_DIR}/changelog.gz
  DEPENDS ${packaging}/debian/changelog)
add_custom_target(changelog DEPENDS ${CMAKE_BINARY_DIR}/changelog.gz)
set(completion ${CMAKE_BINARY_DIR}/completion)
add_custom_command(
  OUTPUT ${completion}/fts-cli ${completion}/_fts-cli
  COMMAND ${CMAKE_COMMAND} -E make_directory ${completion}
  COMMAND ${packaging}/completion/make_scripts $<TARGET_FILE:fts-cli> ${packaging}/completion ${completion}
  DEPENDS fts-cli ${packaging}/completion/make_scripts ${packaging}/completion/fts-cli.bash
          ${packaging}/completion/fts-cli.zsh
  VERBATIM)
add_custom_target(completion DEPENDS ${completion}/fts-cli ${completion}/_fts-cli)

if(FTS_PACKAGE)
  add_custom_target(package_parts ALL DEPENDS manual completion changelog)
  install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "fts-*.1.gz")
  install(FILES ${manual}/protoc-gen-fts.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT development)
  install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 FILES_MATCHING PATTERN "*.5.gz")
  install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 FILES_MATCHING PATTERN "*.8.gz")
  install(FILES ${completion}/fts-cli DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${completion}/_fts-cli DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
  install(FILES ${packaging}/systemd/ftsd.service ${packaging}/systemd/fts-watchdog.service DESTINATION lib/systemd/system)
  install(FILES ${packaging}/debian/ftsd.json DESTINATION /etc/fts) # postinst makes it 0640
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/fts FILES_MATCHING PATTERN "*.md" PATTERN "*.png")
  foreach(package_component "fts Unspecified" "libfts1 library" "libfts-dev development")
    separate_arguments(package_component)
    list(GET package_component 0 package)
    list(GET package_component 1 component)
    install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} RENAME copyright COMPONENT ${component})
    install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
    if(EXISTS ${packaging}/debian/overrides/${package})
      install(FILES ${packaging}/debian/overrides/${package} DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides COMPONENT ${component})
    endif()
  endforeach()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fts)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "fts maintainers <maintainers@fts.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "fault-tolerant services: replicated lottery, games, kv, elections, dispatch")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL Unspecified library development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_NAME fts)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SECTION net)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SUGGESTS "bash-completion, prometheus")
set(CPACK_DEBIAN_UNSPECIFIED_DESCRIPTION "fault-tolerant services: the node, its tool and its watchdog
 One small daemon, ftsd, on one machine or several, over one replicated log: a
 lottery draw, turn-based games, a key-value store, leader election and a
 dispatcher of workers; with fts-cli, fts-watchdog and fts-verify.")
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_CONTROL_EXTRA
  "${packaging}/debian/postinst;${packaging}/debian/prerm;${packaging}/debian/postrm;${packaging}/debian/conffiles")
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libfts1)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON) # CPack knows it for all packages only
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${packaging}/debian/library/triggers)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "fault-tolerant services: the client library
 Calls to the services of ftsd that find the leader, outlive the death of nodes
 and are executed once; and the runtime of services of one's own.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libfts-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libfts1 (= ${PROJECT_VERSION}), libprotobuf-c-dev, protobuf-c-compiler, protobuf-compiler, libprotobuf-dev") # the last: descriptor.proto
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "fault-tolerant services: headers, protos and the generator
 What a program needs to call fts, and what a service of one's own needs:
 protoc-gen-fts, the protos, pkg-config and CMake files.")
include(CPack)
