# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests with real guests, tests/integration/{session,system}/test-NAME: executables, scripts in the source tree or programs
# (integration_targets += tests/integration/session/test-x). They are not part of `make check`: `make check-session` and
# `make check-system` (as root) run them, each beside a libvirt of its own; tests/integration/run says what they may rely on.
integration_targets = tests/integration/agent-client
tests_integration_agent_client_SOURCES = tests/integration/agent-client.c tests/integration/agent-hold.c \
	tests/integration/agent-hold.h tests/integration/agent-pressure.c tests/integration/agent-pressure.h \
	tests/integration/guest-machine.c \
	tests/integration/guest-machine.h tests/unit/guest-peer.c tests/unit/guest-peer.h
tests_integration_agent_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/unit
EXTRA_PROGRAMS += $(integration_targets)
CLEANFILES += $(integration_targets)
EXTRA_DIST += tests/integration

check-session check-system: all $(integration_targets)
	@HBR_SOURCE_DIR='$(abs_top_srcdir)' HBR_BUILD_DIR='$(abs_top_builddir)' $(srcdir)/tests/integration/run $(@:check-%=%)
.PHONY: check-session check-system

# The hypervisor interface, driven as the core drives it.
EXTRA_PROGRAMS += tests/integration/hbr-drive
tests_integration_hbr_drive_SOURCES = tests/integration/hbr-drive.c tests/integration/drive.c tests/integration/drive.h
integration_targets += tests/integration/session/test-hypervisor
tests_integration_session_test_hypervisor_SOURCES = tests/integration/session/test-hypervisor.c \
	tests/integration/drive.c tests/integration/drive.h
integration_targets += tests/integration/session/test-warm
tests_integration_session_test_warm_SOURCES = tests/integration/session/test-warm.c \
	tests/integration/drive.c tests/integration/drive.h
integration_targets += tests/integration/session/test-migrate
tests_integration_session_test_migrate_SOURCES = tests/integration/session/test-migrate.c \
	tests/integration/drive.c tests/integration/drive.h
integration_targets += tests/integration/system/test-migrate
tests_integration_system_test_migrate_SOURCES = $(tests_integration_session_test_migrate_SOURCES)
integration_targets += tests/integration/system/test-limits
tests_integration_system_test_limits_SOURCES = tests/integration/system/test-limits.c \
	tests/integration/drive.c tests/integration/drive.h
integration_targets += tests/integration/qga-check
tests_integration_qga_check_SOURCES = tests/integration/qga-check.c tests/integration/drive.c tests/integration/drive.h
