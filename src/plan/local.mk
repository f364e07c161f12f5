# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-plan.la
libhbr_plan_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_plan_la_SOURCES = \
	src/plan/drift.c src/plan/drift.h \
	src/plan/governor.c src/plan/governor.h \
	src/plan/latency.c src/plan/latency.h \
	src/plan/levels.c src/plan/levels.h \
	src/plan/path.c src/plan/path.h \
	src/plan/placing.c src/plan/placing.h \
	src/plan/scaler.c src/plan/scaler.h \
	src/plan/schedule.c src/plan/schedule.h \
	src/plan/sizing.c src/plan/sizing.h \
	src/plan/stocking.c src/plan/stocking.h
