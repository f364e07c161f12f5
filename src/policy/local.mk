# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += libhbr-policy.la
libhbr_policy_la_CFLAGS = $(ROOM_CFLAGS) $(YAML_CFLAGS)
libhbr_policy_la_SOURCES = \
	src/policy/check.c \
	src/policy/match.c \
	src/policy/parse.c src/policy/parse.h \
	src/policy/policy.c src/policy/policy.h \
	src/policy/pools.c src/policy/pools.h \
	src/policy/quantity.c src/policy/quantity.h \
	src/policy/sections.c src/policy/sections.h \
	src/policy/sources.c \
	src/policy/table.c src/policy/table.h \
	src/policy/yaml.c src/policy/yaml.h
