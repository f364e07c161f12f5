# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-shell.la
libhbr_shell_la_CFLAGS = $(ROOM_CFLAGS) $(EDIT_CFLAGS)
libhbr_shell_la_SOURCES =

# When src/shell/main.c and libharbinger.la are there, take the # from these lines:
#bin_PROGRAMS += harbinger
#harbinger_SOURCES = src/shell/main.c
#harbinger_CFLAGS = $(ROOM_CFLAGS)
#harbinger_LDADD = libhbr-shell.la libharbinger.la $(SHELL_LIBS)
