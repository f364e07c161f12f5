# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-core.la
libhbr_core_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_core_la_SOURCES =
