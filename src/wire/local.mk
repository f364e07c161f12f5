# SPDX-License-Identifier: LGPL-2.1-or-later
# libc alone. The sources are listed in a variable because the static guest agent compiles them once more for itself.
noinst_LTLIBRARIES += libhbr-wire.la
libhbr_wire_la_CFLAGS = $(BARE_CFLAGS)
libhbr_wire_la_SOURCES = $(wire_sources)
wire_sources = src/wire/buffer.c src/wire/buffer.h src/wire/bytes.h src/wire/credit.h src/wire/frame.c src/wire/frame.h \
	src/wire/message.c src/wire/message.h src/wire/record.c src/wire/record.h
