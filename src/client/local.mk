# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-client.la
libhbr_client_la_CFLAGS = $(ROOM_CFLAGS) $(CURL_CFLAGS)
libhbr_client_la_SOURCES = \
	src/client/calls.c \
	src/client/client.c \
	src/client/execute.c \
	src/client/lines.c src/client/lines.h \
	src/client/problem.c src/client/problem.h \
	src/client/transfer.c src/client/transfer.h \
	src/client/watch.c

pkginclude_HEADERS += include/harbinger/harbinger.h

# What is installed. Only the functions of the public header are exported: src/client/libharbinger.sym names them, a unit test compares the two.
# -version-info CURRENT:REVISION:AGE, by libtool's rules: with each release REVISION + 1; functions added: CURRENT + 1, REVISION 0, AGE + 1; functions
# changed or removed: CURRENT + 1, REVISION 0, AGE 0.
lib_LTLIBRARIES += libharbinger.la
libharbinger_la_SOURCES =
libharbinger_la_LIBADD = libhbr-client.la libhbr-base.la $(CURL_LIBS) $(BASE_LIBS)
libharbinger_la_DEPENDENCIES = libhbr-client.la libhbr-base.la $(srcdir)/src/client/libharbinger.sym
libharbinger_la_LDFLAGS = -version-info 0:0:0 -no-undefined -export-symbols $(srcdir)/src/client/libharbinger.sym \
	$(HBR_LDFLAGS) $(SANITIZER_LDFLAGS)
EXTRA_DIST += src/client/libharbinger.sym

# How the library is used; built with everything else, so that it stays right.
noinst_PROGRAMS += contrib/examples/announce-and-run
contrib_examples_announce_and_run_CFLAGS = $(BARE_CFLAGS)
contrib_examples_announce_and_run_LDADD = libharbinger.la
