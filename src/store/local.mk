# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-store.la
libhbr_store_la_CFLAGS = $(ROOM_CFLAGS) $(SQLITE_CFLAGS)
libhbr_store_la_SOURCES = \
	src/store/accuracy.c \
	src/store/database.c src/store/database.h \
	src/store/file.c src/store/file.h \
	src/store/load.c \
	src/store/prune.c src/store/prune.h \
	src/store/read.c \
	src/store/schema.c src/store/schema.h \
	src/store/store.c src/store/store.h src/store/store-private.h \
	src/store/table.c src/store/table.h \
	src/store/write.c src/store/write.h
