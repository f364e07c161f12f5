# SPDX-License-Identifier: LGPL-2.1-or-later
# Lints: executable scripts that exit 0 (clean), 1 (findings, printed as file:line: what) or 77 (their tool is missing).
# lint-test proves that each of them can fail.
dist_check_SCRIPTS += tests/lint/layers tests/lint/words tests/lint/shape tests/lint/scripts tests/lint/format \
	tests/lint/listed tests/lint/manual tests/lint/lint-test
