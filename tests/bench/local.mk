# SPDX-License-Identifier: LGPL-2.1-or-later
# Benchmarks: a program or script tests/bench/bench-NAME each; `make bench` runs all, `make bench BENCH=NAME` one.
bench_targets = tests/bench/bench-store
bench_targets += tests/bench/bench-intake
tests_bench_bench_intake_SOURCES = tests/bench/bench-intake.c tests/bench/intake-load.c tests/bench/intake-load.h
EXTRA_PROGRAMS += $(bench_targets)
EXTRA_DIST += tests/bench/run
CLEANFILES += $(bench_targets)

bench: all $(bench_targets)
	@HBR_SOURCE_DIR='$(abs_top_srcdir)' HBR_BUILD_DIR='$(abs_top_builddir)' HBR_TESTS_DIR='$(abs_top_srcdir)/tests' \
		$(srcdir)/tests/bench/run $(BENCH)
.PHONY: bench
