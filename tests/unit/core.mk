# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-state
check_PROGRAMS += tests/unit/test-core
tests_unit_test_core_SOURCES = tests/unit/test-core.c tests/unit/core-fixture.c tests/unit/core-fixture.h
check_PROGRAMS += tests/unit/test-simulation
check_PROGRAMS += tests/unit/test-warm
tests_unit_test_warm_SOURCES = tests/unit/test-warm.c tests/unit/core-fixture.c tests/unit/core-fixture.h
check_PROGRAMS += tests/unit/test-scale
tests_unit_test_scale_SOURCES = tests/unit/test-scale.c tests/unit/core-fixture.c tests/unit/core-fixture.h \
	tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-migrate
tests_unit_test_migrate_SOURCES = tests/unit/test-migrate.c tests/unit/core-fixture.c tests/unit/core-fixture.h \
	tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-retry
tests_unit_test_retry_SOURCES = tests/unit/test-retry.c tests/unit/core-fixture.c tests/unit/core-fixture.h \
	tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-feed
tests_unit_test_feed_SOURCES = tests/unit/test-feed.c tests/unit/core-fixture.c tests/unit/core-fixture.h
check_PROGRAMS += tests/unit/test-hand
tests_unit_test_hand_SOURCES = tests/unit/test-hand.c tests/unit/core-fixture.c tests/unit/core-fixture.h \
	tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-scale-sim
tests_unit_test_scale_sim_SOURCES = tests/unit/test-scale-sim.c tests/unit/policy-fixture.h
