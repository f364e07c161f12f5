# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with real guests are not part of `make check`; contrib/run-tests runs tests/integration/{session,system}/test-*.
EXTRA_DIST += tests/integration
