# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-client
tests_unit_test_client_SOURCES = tests/unit/test-client.c tests/unit/api-harness.c tests/unit/api-harness.h
tsan_tests += tests/unit/test-client
