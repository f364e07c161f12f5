# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-policy.la
libhbr_policy_la_CFLAGS = $(ROOM_CFLAGS) $(YAML_CFLAGS)
libhbr_policy_la_SOURCES =
