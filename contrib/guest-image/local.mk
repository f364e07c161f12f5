# SPDX-License-Identifier: LGPL-2.1-or-later
# `make images` builds the guest images into ./images; nothing happens when they are up to date. See contrib/guest-image/build.
EXTRA_DIST += contrib/guest-image/build contrib/guest-image/small-kernel.config contrib/guest-image/udhcpc.script
images: harbinger-guest
	$(srcdir)/contrib/guest-image/build --output=images --agent=./harbinger-guest
.PHONY: images
