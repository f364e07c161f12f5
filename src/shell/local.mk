# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-shell.la
libhbr_shell_la_CFLAGS = $(ROOM_CFLAGS) $(EDIT_CFLAGS)
libhbr_shell_la_SOURCES = \
	src/shell/accuracy.c \
	src/shell/cmd-daemon.c \
	src/shell/cmd-event.c \
	src/shell/cmd-exec.c \
	src/shell/cmd-explain.c \
	src/shell/cmd-host.c \
	src/shell/cmd-model.c \
	src/shell/cmd-notify.c \
	src/shell/cmd-object.c \
	src/shell/cmd-policy.c \
	src/shell/cmd-pool.c \
	src/shell/cmd-shell.c \
	src/shell/command.c src/shell/command.h \
	src/shell/complete.c src/shell/complete.h \
	src/shell/editor.c src/shell/editor.h \
	src/shell/failure.c src/shell/failure.h \
	src/shell/global.c src/shell/global.h \
	src/shell/help.c src/shell/help.h \
	src/shell/history.c \
	src/shell/interactive.c src/shell/interactive.h \
	src/shell/interrupt.c src/shell/interrupt.h \
	src/shell/language.c src/shell/language.h \
	src/shell/local-file.c src/shell/local-file.h \
	src/shell/metadata.c src/shell/metadata.h \
	src/shell/notification.c src/shell/notification.h \
	src/shell/option.c src/shell/option.h \
	src/shell/output.c src/shell/output.h \
	src/shell/output-json.c \
	src/shell/output-text.c \
	src/shell/render.c src/shell/render.h \
	src/shell/report.h \
	src/shell/request.c src/shell/request.h \
	src/shell/scatter.c src/shell/scatter.h \
	src/shell/self-test.c src/shell/self-test.h \
	src/shell/session.c src/shell/session.h \
	src/shell/svg.c src/shell/svg.h \
	src/shell/table.c src/shell/table.h \
	src/shell/timeline.c \
	src/shell/units.c src/shell/units.h \
	src/shell/views-pool.c \
	src/shell/views.c src/shell/views.h

bin_PROGRAMS += harbinger
harbinger_SOURCES = src/shell/main.c
harbinger_CFLAGS = $(ROOM_CFLAGS)
harbinger_LDADD = libhbr-shell.la libharbinger.la $(SHELL_LIBS)
