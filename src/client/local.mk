# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-client.la
libhbr_client_la_CFLAGS = $(ROOM_CFLAGS) $(CURL_CFLAGS)
libhbr_client_la_SOURCES =

pkginclude_HEADERS += include/harbinger/harbinger.h

# When the first source is there, take the # from these lines. Only symbols hbr_* are exported.
#lib_LTLIBRARIES += libharbinger.la
#libharbinger_la_SOURCES =
#libharbinger_la_LIBADD = libhbr-client.la $(CURL_LIBS) $(BASE_LIBS)
#libharbinger_la_LDFLAGS = -version-info 0:0:0 -no-undefined -export-symbols-regex '^hbr_' $(HBR_LDFLAGS) $(SANITIZER_LDFLAGS)
