# SPDX-License-Identifier: LGPL-2.1-or-later
# Lints: executable scripts that exit 0 (clean), 1 (findings, printed as file:line: what) or 77 (their tool is missing).
