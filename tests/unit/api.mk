# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-api-parts tests/unit/test-api tests/unit/test-api-stream
tests_unit_test_api_SOURCES = tests/unit/test-api.c tests/unit/api-harness.c tests/unit/api-harness.h
tests_unit_test_api_stream_SOURCES = tests/unit/test-api-stream.c tests/unit/api-harness.c tests/unit/api-harness.h
tsan_tests += tests/unit/test-api tests/unit/test-api-stream
check_PROGRAMS += tests/unit/test-api-pools tests/unit/test-code-store tests/unit/test-code-cache
tests_unit_test_api_pools_SOURCES = tests/unit/test-api-pools.c tests/unit/api-harness.c tests/unit/api-harness.h
tests_unit_test_code_store_SOURCES = tests/unit/test-code-store.c tests/unit/api-harness.c tests/unit/api-harness.h
tests_unit_test_code_cache_SOURCES = tests/unit/test-code-cache.c tests/unit/code-server.c tests/unit/code-server.h \
	tests/unit/api-harness.c tests/unit/api-harness.h
tsan_tests += tests/unit/test-code-cache
check_PROGRAMS += tests/unit/test-api-traits
tests_unit_test_api_traits_SOURCES = tests/unit/test-api-traits.c tests/unit/api-harness.c tests/unit/api-harness.h
tsan_tests += tests/unit/test-api-traits
check_PROGRAMS += tests/unit/test-api-models
tests_unit_test_api_models_SOURCES = tests/unit/test-api-models.c tests/unit/api-harness.c tests/unit/api-harness.h
