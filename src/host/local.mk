# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-host.la
libhbr_host_la_CFLAGS = $(ROOM_CFLAGS) $(LIBVIRT_CFLAGS) $(LIBXML2_CFLAGS)
libhbr_host_la_SOURCES =
