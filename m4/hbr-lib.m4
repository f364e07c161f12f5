dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl
dnl HBR_NEED(PREFIX, MODULES, DEBIAN-PACKAGE): a required pkg-config library, whose absence is told with the package to install.
AC_DEFUN([HBR_NEED], [
  PKG_CHECK_MODULES([$1], [$2], [],
    [AC_MSG_ERROR([$2 is needed: install $3 (contrib/install-deps installs everything)])])
])

dnl HBR_SUMMARY(LABEL, VALUE): one line of the table at the end of configure.
AC_DEFUN([HBR_SUMMARY], [printf '  %-22s %s\n' "$1" "$2"])
