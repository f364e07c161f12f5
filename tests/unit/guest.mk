# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-guest-agent
tests_unit_test_guest_agent_SOURCES = tests/unit/test-guest-agent.c tests/unit/guest-peer.c tests/unit/guest-peer.h
