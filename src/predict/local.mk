# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-predict.la
libhbr_predict_la_CFLAGS = $(ROOM_CFLAGS) $(GSL_CFLAGS)
libhbr_predict_la_SOURCES = \
	src/predict/blend.c src/predict/blend.h \
	src/predict/booster.c src/predict/booster.h \
	src/predict/calibration.c src/predict/calibration.h \
	src/predict/correction.c src/predict/correction.h \
	src/predict/courses.c src/predict/courses.h \
	src/predict/shifts.c src/predict/shifts.h \
	src/predict/history.c src/predict/history.h \
	src/predict/effects.c src/predict/effects.h \
	src/predict/model.c src/predict/model.h src/predict/model-private.h \
	src/predict/model-file.c src/predict/model-train.c \
	src/predict/kin.c src/predict/kin.h \
	src/predict/library.c src/predict/library.h \
	src/predict/lexer.c src/predict/lexer.h \
	src/predict/lexer-scope.c src/predict/lexer-scope.h \
	src/predict/lexer-table.c src/predict/lexer-table.h \
	src/predict/lexer-text.c src/predict/lexer-text.h \
	src/predict/predictor.c src/predict/predictor.h \
	src/predict/rules.c src/predict/rules.h \
	src/predict/sample.c src/predict/sample.h \
	src/predict/score.c src/predict/score.h
