# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-shell tests/unit/test-picture
dist_check_SCRIPTS += tests/unit/test-shell-golden tests/unit/test-shell-live
EXTRA_DIST += tests/unit/shell_fake.py
