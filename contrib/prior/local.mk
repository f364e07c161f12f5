# SPDX-License-Identifier: LGPL-2.1-or-later
# The model that Harbinger is shipped with: see contrib/prior/README.
noinst_PROGRAMS += contrib/prior/make-prior
contrib_prior_make_prior_SOURCES = contrib/prior/make-prior.c
contrib_prior_make_prior_LDADD = libhbr-predict.la libhbr-policy.la libhbr-model.la libhbr-base.la \
	$(YAML_LIBS) $(GSL_LIBS) $(XGBOOST_LIBS) $(BASE_LIBS)

pkgdata_DATA = contrib/prior/prior.model
contrib/prior/prior.model: contrib/prior/make-prior$(EXEEXT) contrib/prior/i5-3330_ndata.csv.gz
	$(AM_V_GEN)contrib/prior/make-prior$(EXEEXT) $(srcdir)/contrib/prior/i5-3330_ndata.csv.gz $@

CLEANFILES += contrib/prior/prior.model
EXTRA_DIST += contrib/prior/README contrib/prior/LICENSE.benchmarksgame.md contrib/prior/i5-3330_ndata.csv.gz
