# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-predict
tests_unit_test_predict_SOURCES = tests/unit/test-predict.c tests/unit/policy-fixture.h
check_PROGRAMS += tests/unit/test-courses tests/unit/test-learning
check_PROGRAMS += tests/unit/test-lexer
tests_unit_test_lexer_SOURCES = tests/unit/test-lexer.c tests/unit/golden.h
check_PROGRAMS += tests/unit/test-bench-numbers
tests_unit_test_bench_numbers_SOURCES = tests/unit/test-bench-numbers.c tests/bench/numbers.c tests/bench/numbers.h \
	tests/bench/predict-baselines.c tests/bench/predict-baselines.h tests/bench/rows.c tests/bench/rows.h \
	tests/bench/data.c tests/bench/data.h tests/bench/vpa.c tests/bench/vpa.h
tests_unit_test_bench_numbers_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/bench
