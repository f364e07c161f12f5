# SPDX-License-Identifier: LGPL-2.1-or-later
# Fuzz targets. Normally each is linked with replay-main.c and `make check` replays its corpus; with --enable-fuzzing it is
# linked with libFuzzer, and `make fuzz [FUZZ_SECONDS=60]` looks for new inputs.
fuzz_targets =

fuzz_targets += tests/fuzz/wire
fuzz_targets += tests/fuzz/api
tests_fuzz_api_LDADD = $(FUZZ_LIBS)
tests_fuzz_wire_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/execution-request tests/fuzz/notification tests/fuzz/policy
tests_fuzz_execution_request_SOURCES = tests/fuzz/execution-request.c tests/fuzz/json.h
tests_fuzz_execution_request_LDADD = $(FUZZ_LIBS)
tests_fuzz_notification_SOURCES = tests/fuzz/notification.c tests/fuzz/json.h
tests_fuzz_notification_LDADD = $(FUZZ_LIBS)
tests_fuzz_policy_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/session
tests_fuzz_session_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/domain tests/fuzz/qga-json tests/fuzz/save-image tests/fuzz/template
tests_fuzz_domain_LDADD = $(FUZZ_LIBS)
tests_fuzz_qga_json_LDADD = $(FUZZ_LIBS)
tests_fuzz_save_image_LDADD = $(FUZZ_LIBS)
tests_fuzz_template_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/client tests/fuzz/config tests/fuzz/host-spec tests/fuzz/stored
tests_fuzz_client_LDADD = $(FUZZ_LIBS)
tests_fuzz_config_LDADD = $(FUZZ_LIBS)
tests_fuzz_host_spec_SOURCES = tests/fuzz/host-spec.c tests/fuzz/json.h
tests_fuzz_host_spec_LDADD = $(FUZZ_LIBS)
tests_fuzz_stored_SOURCES = tests/fuzz/stored.c tests/fuzz/json.h
tests_fuzz_stored_LDADD = $(FUZZ_LIBS)

fuzz_targets += tests/fuzz/lexer
tests_fuzz_lexer_LDADD = $(FUZZ_LIBS)

check_LTLIBRARIES = libhbr-replay.la
libhbr_replay_la_CFLAGS = $(BARE_CFLAGS)
libhbr_replay_la_SOURCES = tests/fuzz/replay-main.c

if ENABLE_FUZZING
noinst_PROGRAMS += $(fuzz_targets)
FUZZ_LIBS = $(LDADD) $(LIB_FUZZING_ENGINE)
else
check_PROGRAMS += $(fuzz_targets)
FUZZ_LIBS = libhbr-replay.la $(LDADD)
endif

EXTRA_DIST += tests/fuzz/corpus
FUZZ_SECONDS = 60
fuzz-targets: $(fuzz_targets)
fuzz: $(fuzz_targets)
	@for target in $(fuzz_targets); do \
		name=$$(basename $$target); mkdir -p found/$$name; \
		$$target -max_total_time=$(FUZZ_SECONDS) found/$$name $(srcdir)/tests/fuzz/corpus/$$name || exit 1; \
	done
.PHONY: fuzz fuzz-targets
