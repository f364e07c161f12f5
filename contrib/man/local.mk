# SPDX-License-Identifier: LGPL-2.1-or-later
# For each manual: MAN_SOURCES += contrib/man/x.1.rst
MAN_SOURCES = contrib/man/harbinger.1.rst contrib/man/harbinger-policy.5.rst contrib/man/harbinger-api.7.rst \
	contrib/man/harbinger-guest-protocol.7.rst contrib/man/harbingerd.8.rst
EXTRA_DIST += $(MAN_SOURCES)
CLEANFILES += $(MAN_SOURCES:.rst=)

if HAVE_RST2MAN
man_MANS += $(MAN_SOURCES:.rst=)
endif

contrib/man/%: contrib/man/%.rst
	$(AM_V_GEN)$(MKDIR_P) contrib/man && $(RST2MAN) --strict $< $@
