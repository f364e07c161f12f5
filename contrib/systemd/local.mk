# SPDX-License-Identifier: LGPL-2.1-or-later
systemd_sources = contrib/systemd/harbingerd.service.in contrib/systemd/harbinger.sysusers.in \
	contrib/systemd/harbinger.tmpfiles.in
systemd_outputs = contrib/systemd/harbingerd.service contrib/systemd/sysusers/harbinger.conf \
	contrib/systemd/tmpfiles/harbinger.conf
EXTRA_DIST += $(systemd_sources)
CLEANFILES += $(systemd_outputs)

if HAVE_SYSTEMD
systemdsystemunit_DATA = contrib/systemd/harbingerd.service
endif
if HAVE_SYSUSERS
sysusers_DATA = contrib/systemd/sysusers/harbinger.conf
endif
if HAVE_TMPFILES
tmpfiles_DATA = contrib/systemd/tmpfiles/harbinger.conf
endif

systemd_places = sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@statedir[@]|$(localstatedir)/lib/harbinger|g' \
	-e 's|@rundir[@]|$(runstatedir)/harbinger|g'

contrib/systemd/harbingerd.service: contrib/systemd/harbingerd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(systemd_places) $(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
contrib/systemd/sysusers/harbinger.conf: contrib/systemd/harbinger.sysusers.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(systemd_places) $(srcdir)/contrib/systemd/harbinger.sysusers.in >$@.tmp && mv $@.tmp $@
contrib/systemd/tmpfiles/harbinger.conf: contrib/systemd/harbinger.tmpfiles.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(systemd_places) $(srcdir)/contrib/systemd/harbinger.tmpfiles.in >$@.tmp && mv $@.tmp $@

# distcheck installs into a directory of its own, units included.
AM_DISTCHECK_CONFIGURE_FLAGS = --enable-werror \
	--with-systemdsystemunitdir='$$dc_install_base/lib/systemd/system' \
	--with-sysusersdir='$$dc_install_base/lib/sysusers.d' --with-tmpfilesdir='$$dc_install_base/lib/tmpfiles.d'
