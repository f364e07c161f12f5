# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-plan tests/unit/test-drift tests/unit/test-governor tests/unit/test-scaler \
	tests/unit/test-sizing
