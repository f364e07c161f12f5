# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-store.la
libhbr_store_la_CFLAGS = $(ROOM_CFLAGS) $(SQLITE_CFLAGS)
libhbr_store_la_SOURCES =
