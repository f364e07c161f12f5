# SPDX-License-Identifier: LGPL-2.1-or-later
# Helper scripts that are part of the source distribution: EXTRA_DIST += contrib/x (a directory is taken whole).
EXTRA_DIST += contrib/install-deps contrib/run-tests .ci/run
include contrib/guest-image/local.mk

# bash-completion loads it under this name, too.
completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = contrib/completion/harbinger.bash
