# The user's door. Everything is done by CMake underneath; see docs/architecture.md.
#   make          build into build/            make test     the whole test suite
#   make run      the tour: a node, a lottery  make bench    benchmarks beside their peers
#   make install  under PREFIX (/usr/local)    make format · make lint · make fuzz SECONDS=600
#   make chaos SECONDS=600 SEED=7              faults of all kinds on real nodes, every answer judged (root)
#   make chaos-kv SECONDS=600 SEED=7           the same upon the key-value store
#   make chaos-worker SECONDS=600 SEED=7       workers, callers and leaders killed and stalled: nothing runs twice
#   make chaos-elect SECONDS=600 SEED=7        members of an election cut off, stopped, killed: no two masters (root)
#   make chaos-watchdog SECONDS=3600 SEED=7    nodes under fts-watchdog hurt in all ways: all is found, no false kill
PREFIX ?= /usr/local
SECONDS ?= 600
JOBS ?= $(shell nproc)

.PHONY: all run test package test-packages screenshot asan tsan bench install format lint fuzz chaos chaos-kv chaos-elect chaos-watchdog clean dependencies
all: build/.configured
	@cmake --build build -j $(JOBS)

dependencies:
	@packaging/scripts/install-dependencies build

build/.configured: CMakePresets.json packaging/debian-packages.txt
	@$(MAKE) -s dependencies
	@mkdir -p build && cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@touch $@

run: all
	@packaging/scripts/tour

test: all
	@tests/run

asan tsan: export LSAN_OPTIONS = suppressions=$(CURDIR)/tests/leaks.supp:print_suppressions=0
asan tsan: dependencies
	@cmake --preset $@ > /dev/null && cmake --build --preset $@ -j $(JOBS) && ctest --test-dir build-$@ -j $(JOBS) --output-on-failure

bench:
	@packaging/scripts/install-dependencies build bench
	@cmake --preset bench > /dev/null && cmake --build --preset bench -j $(JOBS) && bench/run

install: all
	@cmake --install build --prefix $(DESTDIR)$(PREFIX)

format:
	@packaging/scripts/install-dependencies lint
	@git ls-files '*.c' '*.h' | grep -v golden | xargs clang-format -i

# build-package/*.deb: see packaging/cpack/FtsPackage.cmake
package: dependencies
	@cmake --preset release -B build-package -DCMAKE_INSTALL_PREFIX=/usr -DFTS_PACKAGE=ON > /dev/null && cmake --build build-package -j $(JOBS) --target package

# The packages in systems of their own, with systemd: lintian, install, use, remove, and all of docs/install.md (root).
test-packages: package
	@packaging/scripts/install-dependencies package
	@tests/package/run build-package .

# docs/page.png, as the test of the page sees it in Chromium.
screenshot: all
	@packaging/scripts/install-dependencies doors
	@mkdir -p build/screenshots && FTS_SCREENSHOT_DIR=$(CURDIR)/build/screenshots build/bin/page_test && cp build/screenshots/page-desktop.png docs/page.png

lint: all
	@packaging/scripts/install-dependencies lint
	@packaging/scripts/lint

fuzz:
	@packaging/scripts/install-dependencies build
	@cmake --preset fuzz > /dev/null && cmake --build --preset fuzz -j $(JOBS) && tests/fuzz/run.sh $(SECONDS)

chaos: all
	@build/bin/fts-chaos $(SECONDS) $(SEED)

chaos-kv: all
	@build/bin/fts-chaos-kv $(SECONDS) $(SEED)

chaos-watchdog: all
	@build/bin/fts-chaos-watchdog $(SECONDS) $(SEED)

.PHONY: chaos-worker
chaos-worker: all
	@build/bin/worker_mix $(SECONDS) $(SEED)

chaos-elect: all
	@build/bin/elect_partition $(SECONDS) $(SEED)

clean:
	@rm -rf build build-asan build-tsan build-fuzz build-clang build-bench build-package
