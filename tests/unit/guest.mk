# SPDX-License-Identifier: LGPL-2.1-or-later
check_PROGRAMS += tests/unit/test-guest-agent tests/unit/test-guest-hold tests/unit/test-guest-pressure
guest_bed = tests/unit/guest-bed.c tests/unit/guest-bed.h tests/unit/guest-peer.c tests/unit/guest-peer.h
tests_unit_test_guest_agent_SOURCES = tests/unit/test-guest-agent.c $(guest_bed)
tests_unit_test_guest_hold_SOURCES = tests/unit/test-guest-hold.c $(guest_bed)
tests_unit_test_guest_pressure_SOURCES = tests/unit/test-guest-pressure.c $(guest_bed)
