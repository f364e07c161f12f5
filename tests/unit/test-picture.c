/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures of what was predicted and used: the same runs as text and as SVG. */
#include "shell/scatter.h"

#include <check.h>
#include <libxml/parser.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct scatter scatter;

static char *format_number(double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    return g_strdup(g_ascii_formatd(text, sizeof text, "%g", value));
}

static void setup(void)
{
    scatter_init(&scatter, "memory", "MiB", format_number, FALSE);
}

static void teardown(void)
{
    scatter_clear(&scatter);
}

static void add(double predicted, double used, gboolean is_cut_short)
{
    scatter_add(&scatter, (struct scatter_point){predicted, used, is_cut_short});
}

static char *draw(guint width, guint height, gboolean is_unicode, gboolean colour)
{
    g_autoptr(GPtrArray) lines = scatter_draw_text(&scatter, width, height, is_unicode, colour);
    g_ptr_array_add(lines, NULL);
    return g_strjoinv("\n", (char **)lines->pdata);
}

/* Rule: used is upwards, predicted to the right, both on the same scale; lines stand behind the runs. */
START_TEST(runs_stand_where_they_belong)
{
    add(1, 100, FALSE);
    add(100, 1, TRUE);
    for (guint i = 0; i < 5; i++)
        add(10, 10, FALSE);
    add(3, 0, FALSE); /* at the lower end */
    add(3, 1, FALSE);
    g_autofree char *text = draw(33, 5, FALSE, FALSE);
    ck_assert_str_eq(text, "            memory (9 runs)      \n"
                           "       100 |o              .. ///\n"
                           "           |          .../////...\n"
                           "           |     ...//@//...     \n"
                           "           |.../////...          \n"
                           "         1 |/// .O              x\n"
                           "           +---------------------\n"
                           "            1                 100");
}
END_TEST

/* Rule: in braille each character is two by four dots, and nothing is a blank. */
START_TEST(braille_has_eight_dots_for_each_character)
{
    add(1, 10, FALSE);
    add(10, 1, FALSE);
    g_autofree char *text = draw(24, 4, TRUE, FALSE);
    static const char *const parts[] = {"10 \u2502\u2801", "1 \u2502", "\u2880\n", "\u2514\u2500"};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "%s is not in\n%s", parts[i], text);
    ck_assert_ptr_null(strstr(text, "\u2800"));
}
END_TEST

/* Rule: in colour the runs that used more than predicted stand out, and those cut short. */
START_TEST(colours_tell_what_was_above)
{
    add(1, 50, FALSE);
    add(50, 1, FALSE);
    add(100, 100, TRUE);
    g_autofree char *text = draw(40, 6, FALSE, TRUE);
    static const char *const parts[] = {"\033[33mo\033[0m", "\033[32mo\033[0m", "\033[31mx\033[0m", "\033[2m/\033[0m"};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "%s is not in\n%s", parts[i], text);
}
END_TEST

static const struct {
    double least, most;
    gboolean is_binary;
    const char *from, *to; /* of the scale */
} scales[] = {
    {0.13, 4.9, FALSE, "0.1", "5"},        {1, 10, FALSE, "1", "10"},   {3, 3, FALSE, "1", "10"},
    {100, 700, TRUE, "64", "1024"},        {64, 64, TRUE, "16", "256"}, {0.0011, 0.0012, FALSE, "0.0005", "0.005"},
    {1e11, 9e11, FALSE, "1e+11", "1e+12"}, {0, 0, FALSE, "1", "10"},
};

/* Rule: a scale ends at round numbers, a factor of eight apart at least. */
START_TEST(scales_end_at_round_numbers)
{
    scatter.is_binary = scales[_i].is_binary;
    add(scales[_i].least, scales[_i].most, FALSE);
    g_autoptr(GPtrArray) lines = scatter_draw_text(&scatter, 40, 4, FALSE, FALSE);
    g_auto(GStrv) words = g_strsplit(g_strstrip((char *)lines->pdata[lines->len - 1]), " ", 2);
    ck_assert_str_eq(words[0], scales[_i].from);
    ck_assert_str_eq(g_strstrip(words[1]), scales[_i].to);
}
END_TEST

static char *draw_svg(const char *title)
{
    g_autoptr(svg_auto) svg = svg_new(title, 1, 1);
    scatter_draw_svg(&scatter, svg);
    scatter_explain_svg(svg);
    ck_assert_ptr_eq(svg_text(svg), svg_text(svg));
    return g_strdup(svg_text(svg));
}

/* Rule: an SVG is XML with points in its numbers, whatever is in its texts and the user's locale. */
START_TEST(svg_is_sound)
{
    scatter.title = "<b> & \"c\"";
    add(1, 100, FALSE);
    add(10, 10.5, FALSE);
    add(100, 1, TRUE);
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    g_autofree char *first = draw_svg("a < b");
    for (guint i = 0; i < G_N_ELEMENTS(locales); i++) {
        if (setlocale(LC_ALL, locales[i]) == NULL)
            continue;
        g_autofree char *text = draw_svg("a < b");
        ck_assert_str_eq(text, first);
    }
    setlocale(LC_ALL, "C");
    xmlDoc *document = xmlReadMemory(first, (int)strlen(first), NULL, NULL, XML_PARSE_NONET);
    ck_assert_ptr_nonnull(document);
    ck_assert_str_eq((const char *)xmlDocGetRootElement(document)->name, "svg");
    xmlFreeDoc(document);
    static const char *const parts[] = {"&lt;b&gt; &amp;",
                                        "predicted p90 (MiB)",
                                        "used (MiB)",
                                        "stroke-dasharray",
                                        "d=\"M64.0 74.0h0M254.0 190.5h0\"",
                                        "d=\"M444.0 312.0h0\""};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        ck_assert_msg(strstr(first, parts[i]) != NULL, "%s is not in\n%s", parts[i], first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("picture");
    TCase *cases = tcase_create("picture");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, runs_stand_where_they_belong);
    tcase_add_test(cases, braille_has_eight_dots_for_each_character);
    tcase_add_test(cases, colours_tell_what_was_above);
    tcase_add_loop_test(cases, scales_end_at_round_numbers, 0, G_N_ELEMENTS(scales));
    tcase_add_test(cases, svg_is_sound);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
