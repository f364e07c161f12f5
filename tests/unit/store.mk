# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-store
tests_unit_test_store_SOURCES = tests/unit/test-store.c tests/unit/store-support.c tests/unit/store-support.h
tsan_tests += tests/unit/test-store
check_PROGRAMS += tests/unit/test-sim
tests_unit_test_sim_SOURCES = tests/unit/test-sim.c tests/unit/sim-support.c tests/unit/sim-support.h
check_PROGRAMS += tests/unit/test-store-faults tests/unit/test-store-crash
tests_unit_test_store_faults_SOURCES = tests/unit/test-store-faults.c tests/unit/store-support.c tests/unit/store-support.h
tests_unit_test_store_crash_SOURCES = tests/unit/test-store-crash.c tests/unit/store-support.c tests/unit/store-support.h
tsan_tests += tests/unit/test-store-faults
check_PROGRAMS += tests/unit/test-store-accuracy
tests_unit_test_store_accuracy_SOURCES = tests/unit/test-store-accuracy.c tests/unit/store-support.c tests/unit/store-support.h
