/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/failure.h"
#include "shell/interactive.h"
#include "shell/language.h"
#include "shell/local-file.h"
#include "shell/option.h"
#include "shell/request.h"
#include "shell/self-test.h"
#include "shell/table.h"
#include "shell/units.h"

#include <check.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND G_GINT64_CONSTANT(1000000)
#define NOW (G_GINT64_CONSTANT(1795215000) * SECOND) /* 2026-11-20T22:50:00Z */

/* Units */

static const struct {
    const char *text;
    gint64 ms; /* -1: refused */
} durations[] = {
    {"500ms", 500},        {"30s", 30000},    {"30", 30000}, {"1m30s", 90000}, {"2h", 7200000},
    {"1.5s", 1500},        {"7d", 604800000}, {"0", 0},      {"1min", 60000},  {"1h1m1s1ms", 3661001},
    {"366d", 31622400000}, {"", -1},          {"s", -1},     {"-3s", -1},      {"3x", -1},
    {"3 s", -1},           {"1s30", -1},      {"367d", -1},  {"1..5s", -1},    {"0x10", -1},
    {"1e3", -1},           {"inf", -1},       {"nan", -1},   {"1S", -1},       {"99999999999999999999d", -1},
};

START_TEST(durations_are_parsed_or_refused)
{
    g_autoptr(GError) error = NULL;
    gint64 ms = -7;
    gboolean parsed = units_parse_duration(durations[_i].text, &ms, &error);
    ck_assert_msg(parsed == (durations[_i].ms >= 0), "\"%s\"", durations[_i].text);
    if (parsed)
        ck_assert_msg(ms == durations[_i].ms, "\"%s\": %" G_GINT64_FORMAT, durations[_i].text, ms);
    else
        ck_assert(g_error_matches(error, SHELL_ERROR, SHELL_ERROR_USAGE) && ms == -7);
}
END_TEST

static const struct {
    const char *text;
    gint64 bytes;
} sizes[] = {
    {"0", 0},           {"4096", 4096},
    {"64K", 65536},     {"64k", 65536},
    {"64KiB", 65536},   {"64KB", 64000},
    {"10MB", 10000000}, {"1.5G", 1610612736},
    {"1 MiB", 1048576}, {"2T", 2199023255552},
    {"1B", 1},          {"", -1},
    {"K", -1},          {"3X", -1},
    {"-1", -1},         {"1KK", -1},
    {"9999999T", -1},   {"1.2.3", -1},
};

START_TEST(sizes_are_parsed_or_refused)
{
    g_autoptr(GError) error = NULL;
    gint64 bytes = -7;
    gboolean parsed = units_parse_size(sizes[_i].text, &bytes, &error);
    ck_assert_msg(parsed == (sizes[_i].bytes >= 0), "\"%s\"", sizes[_i].text);
    if (parsed)
        ck_assert_msg(bytes == sizes[_i].bytes, "\"%s\": %" G_GINT64_FORMAT, sizes[_i].text, bytes);
    else
        ck_assert(g_error_matches(error, SHELL_ERROR, SHELL_ERROR_USAGE) && bytes == -7);
}
END_TEST

static const struct {
    const char *text;
    const char *rfc3339; /* NULL: refused */
} times[] = {
    {"+90s", "2026-11-20T22:51:30.000000Z"},
    {"-7d", "2026-11-13T22:50:00.000000Z"},
    {"22:55", "2026-11-20T22:55:00.000000Z"},
    {"22:45", "2026-11-21T22:45:00.000000Z"}, /* has passed: tomorrow's */
    {"23:01:02", "2026-11-20T23:01:02.000000Z"},
    {"2026-12-24", "2026-12-24T00:00:00.000000Z"},
    {"2026-12-24 18:00", "2026-12-24T18:00:00.000000Z"},
    {"2026-12-24 18:00:30", "2026-12-24T18:00:30.000000Z"},
    {"2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00.000000Z"},
    {"2026-12-24T18:00:00.25Z", "2026-12-24T18:00:00.250000Z"},
    {"25:00", NULL},
    {"+", NULL},
    {"+3x", NULL},
    {"-", NULL},
    {"--3s", NULL},
    {"tomorrow", NULL},
    {"", NULL},
    {"2026-13-01 10:00", NULL},
};

START_TEST(times_are_parsed_or_refused)
{
    gint64 at = 0;
    g_autoptr(GError) error = NULL;
    gboolean parsed = units_parse_time(times[_i].text, NOW, &at, &error);
    ck_assert_msg(parsed == (times[_i].rfc3339 != NULL), "\"%s\"", times[_i].text);
    if (!parsed)
        return;
    g_autofree char *text = units_format_rfc3339(at);
    ck_assert_str_eq(text, times[_i].rfc3339);
    gint64 again = 0;
    ck_assert(units_parse_rfc3339(text, &again) && again == at);
}
END_TEST

static const struct {
    gint64 us;
    const char *text;
} shown_durations[] = {
    {0, "0 s"},
    {830, "830 us"},
    {999, "999 us"},
    {12345, "12.3 ms"},
    {999499, "999 ms"},
    {999999, "1 s"},
    {1240000, "1.24 s"},
    {59949999, "59.9 s"},
    {59999999, "1 min"},
    {125 * SECOND, "2 min 5 s"},
    {3600 * SECOND, "1 h"},
    {12000 * SECOND, "3 h 20 min"},
    {187200 * SECOND, "2 d 4 h"},
    {-1500000, "-1.5 s"},
};

START_TEST(durations_are_shown_with_three_digits)
{
    g_autofree char *text = units_format_duration(shown_durations[_i].us);
    ck_assert_str_eq(text, shown_durations[_i].text);
}
END_TEST

static void check_text(char *text, const char *expected)
{
    ck_assert_str_eq(text, expected);
    g_free(text);
}

START_TEST(amounts_are_shown_with_units)
{
    check_text(units_format_bytes(0), "0 B");
    check_text(units_format_bytes(1023), "1023 B");
    check_text(units_format_bytes(1024), "1 KiB");
    check_text(units_format_bytes(1536), "1.5 KiB");
    check_text(units_format_bytes(1048575), "1 MiB");
    check_text(units_format_bytes(G_MAXINT64), "8192 PiB");
    check_text(units_format_mib(512), "512 MiB");
    check_text(units_format_mib(1536), "1.5 GiB");
    check_text(units_format_real(2.50, 2), "2.5");
    check_text(units_format_real(-0.001, 2), "0");
    check_text(units_format_real(100, 0), "100");
    check_text(units_format_relative(NOW, NOW), "now");
    check_text(units_format_relative(NOW + 119 * SECOND, NOW), "in 119 s");
    check_text(units_format_relative(NOW - 120 * SECOND, NOW), "2 min ago");
    check_text(units_format_relative(NOW - 12000 * SECOND, NOW), "3 h ago");
    check_text(units_format_relative(NOW - 10 * 86400 * SECOND, NOW), "10 d ago");
    check_text(units_format_clock(NOW + 1234), "22:50:00.001");
    check_text(units_format_date(NOW), "2026-11-20 22:50:00");
}
END_TEST

/* Options */

static const struct command_option options[] = {
    {"name", 'f', OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "NAME", "a name", 0, 0, NULL},
    {"rest", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REPEATED, "WORD", "the rest", 0, 0, NULL},
    {"count", 'n', OPTION_INT, 0, "COUNT", "a number", 1, 10, NULL},
    {"factor", 0, OPTION_REAL, 0, "FACTOR", "a factor", 0, 4, NULL},
    {"wait", 'w', OPTION_DURATION, 0, "DURATION", "a duration", 1, 60000, NULL},
    {"size", 0, OPTION_SIZE, 0, "SIZE", "a size", 0, 0, NULL},
    {"at", 0, OPTION_TIME, 0, "TIME", "a time", 0, 0, NULL},
    {"label", 'l', OPTION_STRING, OPTION_REPEATED, "LABEL", "a label", 0, 0, NULL},
    {"gpu", 'g', OPTION_BOOL, 0, NULL, "a switch", 0, 0, NULL},
};

static struct arguments *parse(const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    if (*line == '\0')
        g_clear_pointer(&words[0], g_free);
    return arguments_parse(options, G_N_ELEMENTS(options), (const char *const *)words, NOW, error);
}

START_TEST(options_are_parsed_by_name_letter_and_place)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(arguments_auto) arguments =
        parse("one --count=3 -l a -lb --label c --factor 2.5 -w 1s --size 1K --at +1s -g two -- --three -q", &error);
    ck_assert_ptr_null(error);
    ck_assert_str_eq(arguments_string(arguments, "name"), "one");
    ck_assert_int_eq(arguments_number(arguments, "count"), 3);
    ck_assert_int_eq(arguments_number(arguments, "wait"), 1000);
    ck_assert_int_eq(arguments_number(arguments, "size"), 1024);
    ck_assert(arguments_number(arguments, "at") == NOW + SECOND);
    ck_assert_double_eq(arguments_real(arguments, "factor"), 2.5);
    ck_assert(arguments_has(arguments, "gpu") && !arguments_has(arguments, "quiet"));
    g_autofree char *labels = g_strjoinv(",", (char **)arguments_strings(arguments, "label"));
    ck_assert_str_eq(labels, "a,b,c");
    g_autofree char *rest = g_strjoinv(",", (char **)arguments_strings(arguments, "rest"));
    ck_assert_str_eq(rest, "two,--three,-q");
}
END_TEST

START_TEST(a_positional_option_given_by_name_leaves_its_place)
{
    g_autoptr(arguments_auto) arguments = parse("--name one two", NULL);
    ck_assert_str_eq(arguments_string(arguments, "name"), "one");
    ck_assert_str_eq(arguments_strings(arguments, "rest")[0], "two");
    g_autoptr(arguments_auto) nothing = parse("one", NULL);
    ck_assert_ptr_null(arguments_strings(nothing, "rest")[0]);
    ck_assert_ptr_null(arguments_string(nothing, "at"));
}
END_TEST

static const struct {
    const char *line, *message;
} refused[] = {
    {"", "NAME is missing: a name"},
    {"a --count 0", "--count: \"0\" is out of bounds, it must be from 1 to 10"},
    {"a --count 99999999999999999999", "--count: \"99999999999999999999\" is not a whole number"},
    {"a --factor 4.1", "--factor: \"4.1\" is out of bounds, it must be from 0 to 4"},
    {"a --factor nan", "--factor: \"nan\" is not a number"},
    {"a --wait 2h", "--wait: \"2h\" is out of bounds, it must be from 1 ms to 1 min"},
    {"a --cuont 1", "there is no option --cuont, did you mean --count?"},
    {"a --qqqqqqq", "there is no option --qqqqqqq, see --help"},
    {"a -x", "there is no option -x, see --help"},
    {"a --gpu=1", "--gpu takes no value"},
    {"a --count", "--count needs a value: --count COUNT"},
    {"a --count 1 --count 2", "--count is given twice"},
    {"a --name b", "--name is given twice"},
};

START_TEST(a_wrong_command_line_is_told_what_would_be_right)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(parse(refused[_i].line, &error));
    ck_assert(g_error_matches(error, SHELL_ERROR, SHELL_ERROR_USAGE));
    ck_assert_str_eq(error->message, refused[_i].message);
}
END_TEST

START_TEST(whoever_asks_for_help_need_not_know_what_is_required)
{
    g_autoptr(arguments_auto) arguments = parse("--help", NULL);
    ck_assert_ptr_nonnull(arguments);
}
END_TEST

START_TEST(guesses_are_near)
{
    static const char *const names[] = {"reservation-list", "execution-list", "notify", "exec", NULL};
    ck_assert_str_eq(option_guess("notfiy", names), "notify");
    ck_assert_str_eq(option_guess("reservaton-list", names), "reservation-list");
    ck_assert_str_eq(option_guess("reser", names), "reservation-list");
    ck_assert_ptr_null(option_guess("frobnicate", names));
    ck_assert_ptr_null(option_guess("", names));
}
END_TEST

/* Tables */

START_TEST(tables_are_aligned_by_width_and_clean)
{
    g_autoptr(table_auto) table = table_new();
    table_add_column(table, "NAME", TABLE_LEFT);
    table_add_column(table, "EMPTY", TABLE_LEFT);
    table_add_column(table, "N", TABLE_RIGHT);
    table_add_column(table, "NOTE", TABLE_LEFT);
    table_begin_row(table);
    table_add_cell(table, g_strdup("日本"), TONE_PLAIN);
    table_add_cell(table, NULL, TONE_PLAIN);
    table_add_cell(table, g_strdup("7"), TONE_PLAIN);
    table_add_cell(table, g_strdup("a\033[2Jb\nc\xff"), TONE_BAD);
    table_begin_row(table);
    table_add_cell(table, g_strdup("a"), TONE_PLAIN);
    table_add_cell(table, NULL, TONE_PLAIN);
    table_add_cell(table, g_strdup("1234"), TONE_PLAIN);
    g_autofree char *squeezed = table_render(table, 2, TRUE, FALSE);
    ck_assert_str_eq(squeezed, "  NAME     N  NOTE\n"
                               "  日本     7  a?[2Jb c\xef\xbf\xbd\n"
                               "  a     1234\n");
    g_autofree char *whole = table_render(table, 0, FALSE, TRUE);
    ck_assert_ptr_nonnull(strstr(whole, "\033[1mEMPTY\033[0m"));
    ck_assert_ptr_nonnull(strstr(whole, "\033[31ma?[2Jb c"));
}
END_TEST

START_TEST(a_table_without_titles_has_no_title_line)
{
    g_autoptr(table_auto) table = table_new();
    table_add_column(table, "", TABLE_LEFT);
    g_autofree char *empty = table_render(table, 0, TRUE, FALSE);
    ck_assert_str_eq(empty, "");
    table_begin_row(table);
    table_add_cell(table, g_strdup("x"), TONE_PLAIN);
    g_autofree char *text = table_render(table, 0, TRUE, FALSE);
    ck_assert_str_eq(text, "x\n");
}
END_TEST

/* Errors */

START_TEST(errors_map_to_exit_status)
{
    g_autoptr(GError) usage = g_error_new(SHELL_ERROR, SHELL_ERROR_USAGE, "x");
    g_autoptr(GError) file = g_error_new(SHELL_ERROR, SHELL_ERROR_FILE, "x");
    g_autoptr(GError) other = g_error_new(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
    g_autoptr(GError) remote = NULL;
    struct hbr_error error = {g_strdup("not-found"), g_strdup("there is no\nline\033[0m"), NULL, 404, 4};
    ck_assert(!failure_take(&error, &remote));
    ck_assert_ptr_null(error.message);
    ck_assert_int_eq(failure_exit_status(usage), 2);
    ck_assert_int_eq(failure_exit_status(file), 1);
    ck_assert_int_eq(failure_exit_status(other), 1);
    ck_assert_int_eq(failure_exit_status(remote), 4);
    check_text(failure_text("exec", remote), "harbinger: exec: there is no\n  line?[0m");
    check_text(failure_text(NULL, usage), "harbinger: x");
}
END_TEST

/* The tables of commands */

START_TEST(every_table_of_commands_is_sound)
{
    g_autoptr(GPtrArray) findings = self_test_run();
    for (guint i = 0; i < findings->len; i++)
        fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(findings, i));
    ck_assert_int_eq(findings->len, 0);
}
END_TEST

/* Languages, names and lines */

START_TEST(interpreters_are_found_in_the_first_line)
{
    static const struct {
        const char *source, *interpreter, *language;
    } rows[] = {
        {"#!/usr/bin/python3\n", "python3", "python"},
        {"#! /usr/bin/env -S perl -w\nx", "perl", "perl"},
        {"#!/bin/sh", "sh", "shell"},
        {"#!/usr/bin/env lua5.4\n", "lua5.4", "lua"},
        {"#!/usr/bin/shellfish\n", "shellfish", NULL},
        {"#!\npython3", NULL, NULL},
        {"print(1)\n", NULL, NULL},
        {"#", NULL, NULL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *interpreter = language_shebang(rows[i].source, strlen(rows[i].source));
        ck_assert_pstr_eq(interpreter, rows[i].interpreter);
        if (interpreter != NULL)
            ck_assert_pstr_eq(language_of_interpreter(interpreter), rows[i].language);
    }
    ck_assert_pstr_eq(language_of_file("a.b/x.py"), "python");
    ck_assert_pstr_eq(language_of_file("a.py/x"), NULL);
    ck_assert_pstr_eq(language_of_file("x.rs"), "rust");
    ck_assert_pstr_eq(language_interpreter("javascript"), "node");
    ck_assert_pstr_eq(language_interpreter("rust"), NULL);
    ck_assert_str_eq(language_program("tcl"), "tcl");
    ck_assert_str_eq(language_canonical("PYTHON"), "python");
    ck_assert_str_eq(language_canonical("Tcl"), "Tcl");
}
END_TEST

START_TEST(a_script_names_its_function)
{
    check_text(request_function_name("/a/b/thumb.nail.py"), "thumb.nail");
    check_text(request_function_name("my script.py"), "my-script");
    check_text(request_function_name("--x"), "x");
    check_text(request_function_name(".hidden"), "hidden");
    check_text(request_function_name("日本"), "script");
}
END_TEST

START_TEST(lines_are_split_as_in_sh)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = interactive_split("  exec -c 'a # b' \"c\\\"d\" x#y # a comment", &error);
    g_autofree char *text = g_strjoinv("|", words);
    ck_assert_str_eq(text, "exec|-c|a # b|c\"d|x#y");
    g_auto(GStrv) comment = interactive_split("# nothing", &error);
    ck_assert_ptr_null(comment[0]);
    g_auto(GStrv) empty = interactive_split("   ", &error);
    ck_assert_ptr_null(empty[0]);
    ck_assert_ptr_null(interactive_split("it's", &error));
    ck_assert(g_error_matches(error, SHELL_ERROR, SHELL_ERROR_USAGE));
}
END_TEST

/* Files */

static void expect_file(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) content = local_file_read(path, strlen(text), &error);
    ck_assert_msg(content != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_mem_eq(g_bytes_get_data(content, NULL), text, strlen(text));
}

/* Rule: a full disk leaves what was there, and nothing beside it. */
START_TEST(a_file_is_replaced_whole_or_not)
{
    g_autofree char *directory = g_dir_make_tmp("shell-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "x", NULL), *link = g_build_filename(directory, "l", NULL);
    const struct rlimit full = {1000, RLIM_INFINITY}, roomy = {RLIM_INFINITY, RLIM_INFINITY};
    g_autoptr(GError) error = NULL;
    static const char large[2000];
    ck_assert(local_file_write(path, "one", 3, NULL));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    const gboolean is_written = local_file_write(path, large, sizeof large, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &roomy), 0);
    ck_assert(!is_written && g_error_matches(error, SHELL_ERROR, SHELL_ERROR_FILE));
    ck_assert(g_str_has_prefix(error->message, path));
    expect_file(path, "one");
    ck_assert_int_eq(symlink("x", link), 0);
    ck_assert(local_file_write(link, "three", 5, NULL));
    ck_assert(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    expect_file(path, "three");
    ck_assert_int_eq(g_unlink(link), 0);
    ck_assert_int_eq(g_unlink(path), 0);
    ck_assert_int_eq(g_rmdir(directory), 0); /* it is empty */
}
END_TEST

/* Rule: what is no regular file is written to, and of one without an end not more is read than shows that. */
START_TEST(devices_stay_devices)
{
    g_autoptr(GError) error = NULL;
    int ends[2];
    char byte = 0;
    ck_assert_int_eq(pipe(ends), 0);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", ends[1]);
    ck_assert(local_file_write(path, "x", 1, NULL));
    ck_assert(read(ends[0], &byte, 1) == 1 && byte == 'x');
    close(ends[0]);
    close(ends[1]);
    ck_assert_ptr_null(local_file_read("/dev/zero", 100000, &error));
    ck_assert(g_error_matches(error, SHELL_ERROR, SHELL_ERROR_TOO_LARGE));
    ck_assert_int_eq(failure_exit_status(error), FAILURE_STATUS_TOO_LARGE);
}
END_TEST

static Suite *shell_suite(void)
{
    Suite *suite = suite_create("shell");
    TCase *test = tcase_create("shell");
    tcase_add_loop_test(test, durations_are_parsed_or_refused, 0, G_N_ELEMENTS(durations));
    tcase_add_loop_test(test, sizes_are_parsed_or_refused, 0, G_N_ELEMENTS(sizes));
    tcase_add_loop_test(test, times_are_parsed_or_refused, 0, G_N_ELEMENTS(times));
    tcase_add_loop_test(test, durations_are_shown_with_three_digits, 0, G_N_ELEMENTS(shown_durations));
    tcase_add_test(test, amounts_are_shown_with_units);
    tcase_add_test(test, options_are_parsed_by_name_letter_and_place);
    tcase_add_test(test, a_positional_option_given_by_name_leaves_its_place);
    tcase_add_loop_test(test, a_wrong_command_line_is_told_what_would_be_right, 0, G_N_ELEMENTS(refused));
    tcase_add_test(test, whoever_asks_for_help_need_not_know_what_is_required);
    tcase_add_test(test, guesses_are_near);
    tcase_add_test(test, tables_are_aligned_by_width_and_clean);
    tcase_add_test(test, a_table_without_titles_has_no_title_line);
    tcase_add_test(test, errors_map_to_exit_status);
    tcase_add_test(test, every_table_of_commands_is_sound);
    tcase_add_test(test, interpreters_are_found_in_the_first_line);
    tcase_add_test(test, a_script_names_its_function);
    tcase_add_test(test, lines_are_split_as_in_sh);
    tcase_add_test(test, a_file_is_replaced_whole_or_not);
    tcase_add_test(test, devices_stay_devices);
    suite_add_tcase(suite, test);
    return suite;
}

int main(void)
{
    g_setenv("TZ", "UTC", TRUE);
    SRunner *runner = srunner_create(shell_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
