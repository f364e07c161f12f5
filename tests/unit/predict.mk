# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-predict
tests_unit_test_predict_SOURCES = tests/unit/test-predict.c tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-courses tests/unit/test-learning
check_PROGRAMS += tests/unit/test-lexer
tests_unit_test_lexer_SOURCES = tests/unit/test-lexer.c tests/unit/golden.h
