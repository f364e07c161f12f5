# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-base.la
libhbr_base_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_base_la_SOURCES =
