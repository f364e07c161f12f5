# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-predict.la
libhbr_predict_la_CFLAGS = $(ROOM_CFLAGS) $(GSL_CFLAGS) $(XGBOOST_CFLAGS)
libhbr_predict_la_SOURCES = \
	src/predict/courses.c src/predict/courses.h \
	src/predict/history.c src/predict/history.h \
	src/predict/lexer.c src/predict/lexer.h \
	src/predict/lexer-scope.c src/predict/lexer-scope.h \
	src/predict/lexer-table.c src/predict/lexer-table.h \
	src/predict/lexer-text.c src/predict/lexer-text.h \
	src/predict/predictor.c src/predict/predictor.h \
	src/predict/rules.c src/predict/rules.h \
	src/predict/score.c src/predict/score.h
