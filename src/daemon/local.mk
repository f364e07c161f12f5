# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-daemon.la
libhbr_daemon_la_CFLAGS = $(ROOM_CFLAGS)
libhbr_daemon_la_SOURCES = \
	src/daemon/config.c src/daemon/config.h \
	src/daemon/daemon.c src/daemon/daemon.h \
	src/daemon/hosts.c src/daemon/hosts.h \
	src/daemon/notify.c src/daemon/notify.h \
	src/daemon/policies.c src/daemon/policies.h

sbin_PROGRAMS += harbingerd
harbingerd_SOURCES = src/daemon/main.c
harbingerd_CFLAGS = $(ROOM_CFLAGS)
harbingerd_LDADD = $(DAEMON_ROOMS) $(TCMALLOC_LIBS) $(DAEMON_LIBS)
