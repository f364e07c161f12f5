# SPDX-License-Identifier: LGPL-2.1-or-later
# libc alone. guest_sources is everything but main.c; unit tests get it through libhbr-guest.la, with sanitizers. The program
# compiles it again without them, because it is static and runs in a guest that has no run-time libraries.
noinst_LTLIBRARIES += libhbr-guest.la
libhbr_guest_la_CFLAGS = $(BARE_CFLAGS)
libhbr_guest_la_SOURCES = $(guest_sources)
guest_sources = src/guest/agent.c src/guest/agent.h src/guest/alarm.c src/guest/alarm.h src/guest/boot.c src/guest/boot.h src/guest/boot-root.c \
	src/guest/boot-root.h src/guest/cgroup.c src/guest/cgroup.h src/guest/channel.c src/guest/channel.h src/guest/exec.c \
	src/guest/exec.h src/guest/exec-child.c src/guest/exec-child.h src/guest/exec-private.h src/guest/exec-setup.c \
	src/guest/exec-stream.c src/guest/helper.c src/guest/helper.h src/guest/hold.c src/guest/hold.h src/guest/identity.c src/guest/identity.h \
	src/guest/loop.c src/guest/loop.h src/guest/network.c src/guest/network.h src/guest/path.c src/guest/path.h \
	src/guest/session.c src/guest/session.h src/guest/shape.c src/guest/shape.h src/guest/shrink.c src/guest/shrink.h src/guest/system.c src/guest/system.h \
	src/guest/transfer.c src/guest/transfer.h src/guest/usage.c src/guest/usage.h

agent_PROGRAMS += harbinger-guest
harbinger_guest_SOURCES = src/guest/main.c $(guest_sources) $(wire_sources)
harbinger_guest_CFLAGS = $(HBR_CFLAGS)
harbinger_guest_LDFLAGS = -all-static $(HBR_LDFLAGS)
harbinger_guest_LDADD =
