# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-base.la
libhbr_base_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_base_la_SOURCES = \
	src/base/clock.c src/base/clock.h \
	src/base/error.c src/base/error.h \
	src/base/id.c src/base/id.h \
	src/base/log.c src/base/log.h \
	src/base/mailbox.c src/base/mailbox.h
