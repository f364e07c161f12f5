# SPDX-License-Identifier: LGPL-2.1-or-later
# Benchmarks: a program or script tests/bench/bench-NAME each; `make bench` runs all, `make bench BENCH=NAME` one.
bench_targets = tests/bench/bench-store
bench_targets += tests/bench/bench-intake
tests_bench_bench_intake_SOURCES = tests/bench/bench-intake.c tests/bench/intake-load.c tests/bench/intake-load.h

# With real guests, on a private session libvirt.
bench_targets += tests/bench/bench-exec-vs-boot tests/bench/bench-exec-vs-direct tests/bench/bench-growth
tests_bench_bench_exec_vs_boot_SOURCES = tests/bench/bench-exec-vs-boot.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_growth_SOURCES = tests/bench/bench-growth.c tests/bench/world.c tests/bench/world.h
direct_sources = tests/bench/direct.c tests/bench/direct.h tests/bench/world.c tests/bench/world.h \
	tests/integration/drive.c tests/integration/drive.h tests/unit/guest-peer.c tests/unit/guest-peer.h
direct_cppflags = $(AM_CPPFLAGS) -I$(srcdir)/tests/unit -I$(srcdir)/tests/integration
tests_bench_bench_exec_vs_direct_SOURCES = tests/bench/bench-exec-vs-direct.c $(direct_sources)
tests_bench_bench_exec_vs_direct_CPPFLAGS = $(direct_cppflags)

# Warm pools and the ladder. One program measures all paths in one run, or the one that it is asked for by the name of the bench.
bench_targets += tests/bench/bench-paths tests/bench/bench-claim-under-refill tests/bench/bench-burst \
	tests/bench/bench-code tests/bench/bench-instance-memory
tests_bench_bench_code_SOURCES = tests/bench/bench-code.c $(direct_sources)
tests_bench_bench_code_CPPFLAGS = $(direct_cppflags)
tests_bench_bench_instance_memory_SOURCES = tests/bench/bench-instance-memory.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_paths_SOURCES = tests/bench/bench-paths.c $(direct_sources)
tests_bench_bench_paths_CPPFLAGS = $(direct_cppflags)
tests_bench_bench_claim_under_refill_SOURCES = tests/bench/bench-claim-under-refill.c tests/bench/world.c tests/bench/world.h
tests_bench_bench_burst_SOURCES = tests/bench/bench-burst.c tests/bench/world.c tests/bench/world.h

# Scaling of running code. `touch` runs in the guests, which have no run-time libraries.
grower_sources = tests/bench/grower.c tests/bench/grower.h tests/bench/world.c tests/bench/world.h
bench_targets += tests/bench/bench-survival tests/bench/bench-relief
tests_bench_bench_survival_SOURCES = tests/bench/bench-survival.c $(grower_sources)
tests_bench_bench_relief_SOURCES = tests/bench/bench-relief.c $(grower_sources)
bench_helpers = tests/bench/touch
tests_bench_touch_CFLAGS = $(HBR_CFLAGS)
tests_bench_touch_LDFLAGS = -all-static $(HBR_LDFLAGS)
tests_bench_touch_LDADD =
# `player` as well: a sample of real usage courses.
bench_targets += tests/bench/bench-courses
trace_sources = tests/bench/trace.c tests/bench/trace.h tests/bench/data.c tests/bench/data.h tests/bench/numbers.c \
	tests/bench/numbers.h
tests_bench_bench_courses_SOURCES = tests/bench/bench-courses.c $(trace_sources) tests/bench/world.c tests/bench/world.h
bench_helpers += tests/bench/player
tests_bench_player_CFLAGS = $(HBR_CFLAGS)
tests_bench_player_LDFLAGS = -all-static $(HBR_LDFLAGS)
tests_bench_player_LDADD =
bench_targets += tests/bench/bench-sampling-cost
tests_bench_bench_sampling_cost_SOURCES = tests/bench/bench-sampling-cost.c tests/bench/world.c tests/bench/world.h
# Scaling: replays of real usage courses (../shared/data, or HBR_DATA_DIR), in simulated time.
bench_targets += tests/bench/bench-slack-shortage tests/bench/bench-stability
tests_bench_bench_slack_shortage_SOURCES = tests/bench/bench-slack-shortage.c tests/bench/scaler-baselines.c \
	tests/bench/scaler-baselines.h tests/bench/core-replay.c tests/bench/core-replay.h tests/bench/picture.c \
	tests/bench/picture.h tests/bench/vpa.c tests/bench/vpa.h $(trace_sources)
tests_bench_bench_stability_SOURCES = tests/bench/bench-stability.c tests/bench/picture.c tests/bench/picture.h
# The learned model, on recorded runs; `make bench-predict` runs it alone.
bench_targets += tests/bench/bench-predict
tests_bench_bench_predict_SOURCES = tests/bench/bench-predict.c tests/bench/predict-parts.h tests/bench/predict-unseen.c \
	tests/bench/predict-online.c tests/bench/predict-drift.c tests/bench/predict-speed.c \
	tests/bench/intake-load.c tests/bench/intake-load.h tests/bench/world.c tests/bench/world.h \
	tests/bench/traffic.c tests/bench/traffic.h tests/bench/vpa.c tests/bench/vpa.h \
	tests/bench/predict-baselines.c tests/bench/predict-baselines.h tests/bench/rows.c tests/bench/rows.h \
	tests/bench/data.c tests/bench/data.h tests/bench/numbers.c tests/bench/numbers.h

EXTRA_PROGRAMS += $(bench_targets) $(bench_helpers)
EXTRA_DIST += tests/bench/run tests/bench/bench-shape-storm
CLEANFILES += $(bench_targets) $(bench_helpers)

run_bench = HBR_SOURCE_DIR='$(abs_top_srcdir)' HBR_BUILD_DIR='$(abs_top_builddir)' HBR_TESTS_DIR='$(abs_top_srcdir)/tests' \
	$(srcdir)/tests/bench/run
bench: all $(bench_targets) $(bench_helpers)
	@$(run_bench) $(BENCH)
bench-predict: all tests/bench/bench-predict
	@$(run_bench) predict
.PHONY: bench bench-predict
