# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-config
check_PROGRAMS += tests/unit/test-hosts
tsan_tests += tests/unit/test-hosts
check_PROGRAMS += tests/unit/test-daemon
tests_unit_test_daemon_SOURCES = tests/unit/test-daemon.c tests/unit/daemon-bed.c tests/unit/daemon-bed.h
EXTRA_tests_unit_test_daemon_DEPENDENCIES = harbingerd$(EXEEXT)
tsan_tests += tests/unit/test-daemon
check_PROGRAMS += tests/unit/test-daemon-models
tests_unit_test_daemon_models_SOURCES = tests/unit/test-daemon-models.c tests/unit/daemon-bed.c tests/unit/daemon-bed.h
EXTRA_tests_unit_test_daemon_models_DEPENDENCIES = harbingerd$(EXEEXT)
