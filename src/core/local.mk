# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-core.la
libhbr_core_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_core_la_SOURCES = \
	src/core/adjust.c \
	src/core/command.c src/core/command.h \
	src/core/core.c src/core/core.h \
	src/core/event.c src/core/event.h \
	src/core/execution.c \
	src/core/feed.c \
	src/core/host.c \
	src/core/instance.c \
	src/core/intake.c \
	src/core/ladder.c \
	src/core/learn.c \
	src/core/metrics.c \
	src/core/migrate.c \
	src/core/persist.c \
	src/core/pool.c \
	src/core/private.h \
	src/core/query.c \
	src/core/rebuild.c \
	src/core/relief.c \
	src/core/reply.c \
	src/core/reservation.c \
	src/core/scale.c \
	src/core/stage.c \
	src/core/state.c src/core/state.h
