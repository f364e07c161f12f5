# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-model tests/unit/test-course tests/unit/test-accuracy
