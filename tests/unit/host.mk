# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-domain-xml tests/unit/test-kvm-proof
check_PROGRAMS += tests/unit/test-qga tests/unit/test-session tests/unit/test-workers tests/unit/test-vm-shape
tsan_tests += tests/unit/test-workers
