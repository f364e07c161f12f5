# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-domain-xml tests/unit/test-kvm-proof
check_PROGRAMS += tests/unit/test-qga tests/unit/test-session tests/unit/test-workers tests/unit/test-vm-shape
check_PROGRAMS += tests/unit/test-process tests/unit/test-sim-warm tests/unit/test-vm-sample
tests_unit_test_sim_warm_SOURCES = tests/unit/test-sim-warm.c tests/unit/sim-support.c tests/unit/sim-support.h
check_PROGRAMS += tests/unit/test-save-image tests/unit/test-saved-store tests/unit/test-vm-pause
tsan_tests += tests/unit/test-workers
