/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/state.h"

#include <check.h>
#include <stdlib.h>

/* Every state with every step. A row is a state, a column a step in the order of its enum; "." is refused. */

#define STEPS_MAX 16

struct row {
    const char *state;
    const char *next[STEPS_MAX];
};

static void check_table(const struct codec_words *states, const struct codec_words *steps, const struct row *rows,
                        guint row_count, int (*next)(int state, int step))
{
    ck_assert_uint_eq(row_count, states->count);
    for (guint state = 0; state < states->count; state++) {
        ck_assert_str_eq(rows[state].state, states->words[state]);
        for (guint step = 0; step < steps->count; step++) {
            const int got = next((int)state, (int)step);
            const char *word = got == STATE_REFUSED ? "." : codec_word(states, (guint)got);
            ck_assert_msg(g_str_equal(word, rows[state].next[step]), "%s by %s: %s, expected %s", rows[state].state,
                          codec_word(steps, step), word, rows[state].next[step]);
        }
    }
}

static int next_reservation(int state, int step)
{
    return reservation_next((enum reservation_state)state, (enum reservation_step)step);
}

static int next_instance(int state, int step)
{
    return instance_next((enum instance_state)state, (enum instance_step)step);
}

static int next_execution(int state, int step)
{
    return execution_next((enum execution_state)state, (enum execution_step)step);
}

/* Rule: a reservation moves only along these edges. */
START_TEST(test_reservation_table)
{
    static const struct row rows[] = {
        /* place, no-room, ready, setback, give-up, claim, complete, expire, cancel */
        {"scheduled", {"starting", "waiting", ".", ".", "failed", ".", ".", "expired", "cancelled"}},
        {"waiting", {"starting", ".", ".", ".", "failed", ".", ".", "expired", "cancelled"}},
        {"starting", {".", ".", "ready", "waiting", "failed", ".", ".", "expired", "cancelled"}},
        {"ready", {".", ".", ".", "waiting", "failed", "claimed", ".", "expired", "cancelled"}},
        {"claimed", {".", ".", ".", ".", ".", ".", "done", ".", "."}},
        {"done", {".", ".", ".", ".", ".", ".", ".", ".", "."}},
        {"expired", {".", ".", ".", ".", ".", ".", ".", ".", "."}},
        {"cancelled", {".", ".", ".", ".", ".", ".", ".", ".", "."}},
        {"failed", {".", ".", ".", ".", ".", ".", ".", ".", "."}},
    };
    check_table(&reservation_state_words, &reservation_step_words, rows, G_N_ELEMENTS(rows), next_reservation);
}
END_TEST

/* Rule: an instance that is being destroyed, or that code was sent to, is never handed out as a fresh one. */
START_TEST(test_instance_table)
{
    static const struct row rows[] = {
        /* ready, warm, pause, take, claim, destroy, gone */
        {"starting", {"ready", "warm", ".", ".", ".", "stopping", "gone"}},
        {"warm", {".", ".", "paused", "claiming", ".", "stopping", "gone"}},
        {"paused", {".", ".", ".", "claiming", ".", "stopping", "gone"}},
        {"claiming", {"ready", ".", ".", ".", ".", "stopping", "gone"}},
        {"ready", {".", ".", ".", ".", "busy", "stopping", "gone"}},
        {"busy", {".", "warm", ".", ".", ".", "stopping", "gone"}},
        {"stopping", {".", ".", ".", ".", ".", ".", "gone"}},
        {"gone", {".", ".", ".", ".", ".", ".", "."}},
    };
    check_table(&instance_state_words, &instance_step_words, rows, G_N_ELEMENTS(rows), next_instance);
}
END_TEST

/* Rule: what has ended stays as it ended. */
START_TEST(test_execution_table)
{
    static const struct row rows[] = {
        /* send, start, exit, retry, fail, cancel, interrupt */
        {"queued", {"starting", ".", ".", ".", "failed", "cancelled", "interrupted"}},
        {"starting", {".", "running", "finished", ".", "failed", "cancelled", "interrupted"}},
        {"running", {".", ".", "finished", "queued", "failed", "cancelled", "interrupted"}},
        {"finished", {".", ".", ".", ".", ".", ".", "."}},
        {"failed", {".", ".", ".", ".", ".", ".", "."}},
        {"cancelled", {".", ".", ".", ".", ".", ".", "."}},
        {"interrupted", {".", ".", ".", ".", ".", ".", "."}},
    };
    check_table(&execution_state_words, &execution_step_words, rows, G_N_ELEMENTS(rows), next_execution);
}
END_TEST

/* Rule: a state is final exactly when no step leads out of it. */
START_TEST(test_final_states_have_no_way_out)
{
    for (int state = 0; state < RESERVATION_STATE_COUNT; state++) {
        gboolean has_way = FALSE;
        for (int step = 0; step < RESERVATION_STEP_COUNT; step++)
            has_way |= next_reservation(state, step) != STATE_REFUSED;
        ck_assert_int_eq(has_way, !reservation_state_is_terminal((enum reservation_state)state));
    }
    for (int state = 0; state < EXECUTION_STATE_COUNT; state++) {
        gboolean has_way = FALSE;
        for (int step = 0; step < EXECUTION_STEP_COUNT; step++)
            has_way |= next_execution(state, step) != STATE_REFUSED;
        ck_assert_int_eq(has_way, !execution_state_is_terminal((enum execution_state)state));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tables = tcase_create("tables");
    tcase_add_test(tables, test_reservation_table);
    tcase_add_test(tables, test_instance_table);
    tcase_add_test(tables, test_execution_table);
    tcase_add_test(tables, test_final_states_have_no_way_out);
    suite_add_tcase(suite, tables);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
