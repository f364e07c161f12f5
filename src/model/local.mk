# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-model.la
libhbr_model_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_model_la_SOURCES =
