# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-learn.la
libhbr_learn_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_learn_la_SOURCES = \
	src/learn/contest.c src/learn/contest.h \
	src/learn/learner.c src/learn/learner.h \
	src/learn/model-dir.c src/learn/model-dir.h \
	src/learn/record.c src/learn/record.h \
	src/learn/registry.c src/learn/registry.h \
	src/learn/sampler.c src/learn/sampler.h \
	src/learn/training.c src/learn/training.h \
	src/learn/trial.c src/learn/trial.h
