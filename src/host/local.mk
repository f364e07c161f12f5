# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-host.la
libhbr_host_la_CFLAGS = $(ROOM_CFLAGS) $(LIBVIRT_CFLAGS) $(LIBXML2_CFLAGS)
libhbr_host_la_SOURCES =

# The simulated kind.
libhbr_host_la_SOURCES += \
	src/host/sim-course.c src/host/sim-course.h \
	src/host/sim-guest.c src/host/sim-instance.c \
	src/host/sim-model.c src/host/sim-model.h \
	src/host/sim-private.h \
	src/host/sim-run.c src/host/sim-run.h \
	src/host/sim.c src/host/sim.h
