# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-plan.la
libhbr_plan_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_plan_la_SOURCES =
