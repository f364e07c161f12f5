# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-sampler
check_PROGRAMS += tests/unit/test-registry
tests_unit_test_registry_SOURCES = tests/unit/test-registry.c tests/unit/learn-support.c tests/unit/learn-support.h \
	tests/unit/model-stand-in.c tests/unit/model-stand-in.h
check_PROGRAMS += tests/unit/test-learner
tests_unit_test_learner_SOURCES = tests/unit/test-learner.c tests/unit/learn-support.c tests/unit/learn-support.h \
	tests/unit/model-stand-in.c tests/unit/model-stand-in.h
tsan_tests += tests/unit/test-learner
