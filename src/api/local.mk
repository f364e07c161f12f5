# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-api.la
libhbr_api_la_CFLAGS = $(ROOM_CFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS)
libhbr_api_la_SOURCES =
