# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-model.la
libhbr_model_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_model_la_SOURCES = \
	src/model/amount.c src/model/amount.h \
	src/model/accuracy.c src/model/accuracy.h \
	src/model/codec-write.c \
	src/model/codec.c src/model/codec.h \
	src/model/course.c src/model/course.h \
	src/model/demand.c src/model/demand.h \
	src/model/execution.c src/model/execution.h \
	src/model/host.c src/model/host.h \
	src/model/instance.c src/model/instance.h \
	src/model/limits.h \
	src/model/normal.c src/model/normal.h \
	src/model/notification.c src/model/notification.h \
	src/model/path.c src/model/path.h \
	src/model/pool.c src/model/pool.h \
	src/model/program.c src/model/program.h \
	src/model/reservation.c src/model/reservation.h \
	src/model/shape.c src/model/shape.h \
	src/model/usage.c src/model/usage.h
