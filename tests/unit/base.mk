# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-base
tsan_tests += tests/unit/test-base
