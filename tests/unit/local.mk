# SPDX-License-Identifier: LGPL-2.1-or-later
# Unit tests: one fragment for each room, see the head of Makefile.am.
tsan_tests =

if HAVE_CHECK
include tests/unit/base.mk
include tests/unit/model.mk
include tests/unit/wire.mk
include tests/unit/policy.mk
include tests/unit/predict.mk
include tests/unit/plan.mk
include tests/unit/core.mk
include tests/unit/host.mk
include tests/unit/store.mk
include tests/unit/learn.mk
include tests/unit/api.mk
include tests/unit/daemon.mk
include tests/unit/client.mk
include tests/unit/shell.mk
include tests/unit/guest.mk
endif

EXTRA_DIST += tests/golden tests/unit/golden.h
