# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-api-parts tests/unit/test-api tests/unit/test-api-stream
tests_unit_test_api_SOURCES = tests/unit/test-api.c tests/unit/api-harness.c tests/unit/api-harness.h
tests_unit_test_api_stream_SOURCES = tests/unit/test-api-stream.c tests/unit/api-harness.c tests/unit/api-harness.h
tsan_tests += tests/unit/test-api tests/unit/test-api-stream
