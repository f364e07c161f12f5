# SPDX-License-Identifier: LGPL-2.1-or-later
# libc alone. guest_sources is everything but main.c; unit tests get it through libhbr-guest.la, with sanitizers. The program
# compiles it again without them, because it is static and runs in a guest that has no run-time libraries.
noinst_LTLIBRARIES += libhbr-guest.la
libhbr_guest_la_CFLAGS = $(BARE_CFLAGS)
libhbr_guest_la_SOURCES = $(guest_sources)
guest_sources =

# When src/guest/main.c is there, take the # from these lines:
#agent_PROGRAMS += harbinger-guest
#harbinger_guest_SOURCES = src/guest/main.c $(guest_sources) $(wire_sources)
#harbinger_guest_CFLAGS = $(HBR_CFLAGS)
#harbinger_guest_LDFLAGS = -all-static $(HBR_LDFLAGS)
#harbinger_guest_LDADD =
