# SPDX-License-Identifier: LGPL-2.1-or-later
# Benchmarks: a program or script tests/bench/bench-NAME each; `make bench` runs all, `make bench BENCH=NAME` one.
bench_targets = tests/bench/bench-store
bench_targets += tests/bench/bench-intake
tests_bench_bench_intake_SOURCES = tests/bench/bench-intake.c tests/bench/intake-load.c tests/bench/intake-load.h

# With real guests, on a private session libvirt.
bench_targets += tests/bench/bench-exec-vs-boot tests/bench/bench-exec-vs-direct tests/bench/bench-growth
tests_bench_bench_exec_vs_boot_SOURCES = tests/bench/bench-exec-vs-boot.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_growth_SOURCES = tests/bench/bench-growth.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_exec_vs_direct_SOURCES = tests/bench/bench-exec-vs-direct.c tests/bench/world.c tests/bench/world.h \
	tests/integration/drive.c tests/integration/drive.h tests/unit/guest-peer.c tests/unit/guest-peer.h
tests_bench_bench_exec_vs_direct_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/unit -I$(srcdir)/tests/integration

EXTRA_PROGRAMS += $(bench_targets)
EXTRA_DIST += tests/bench/run
CLEANFILES += $(bench_targets)

bench: all $(bench_targets)
	@HBR_SOURCE_DIR='$(abs_top_srcdir)' HBR_BUILD_DIR='$(abs_top_builddir)' HBR_TESTS_DIR='$(abs_top_srcdir)/tests' \
		$(srcdir)/tests/bench/run $(BENCH)
.PHONY: bench
