# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-api.la
libhbr_api_la_CFLAGS = $(ROOM_CFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS)
libhbr_api_la_SOURCES = \
	src/api/api.c src/api/api.h \
	src/api/code.c \
	src/api/code-cache.c src/api/code-cache.h \
	src/api/code-fetch.c src/api/code-fetch.h \
	src/api/code-store.c src/api/code-store.h \
	src/api/frame.c src/api/frame.h \
	src/api/handlers.c src/api/handlers.h \
	src/api/instances.c \
	src/api/listener.c src/api/listener.h \
	src/api/models.c \
	src/api/pools.c \
	src/api/problem.c src/api/problem.h \
	src/api/program-check.c src/api/program-check.h \
	src/api/reads.c \
	src/api/request.c src/api/request.h \
	src/api/route.c src/api/route.h \
	src/api/stream.c src/api/stream.h \
	src/api/target.c src/api/target.h \
	src/api/traits.c src/api/traits.h \
	src/api/traits-cache.c src/api/traits-cache.h \
	src/api/watch.c src/api/watch.h
