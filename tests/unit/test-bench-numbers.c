/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arithmetic of the prediction benches, against figures that were worked out by hand: a bench that counts wrong praises what is bad. */
#include "numbers.h"
#include "predict-baselines.h"
#include "vpa.h"

#include <check.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_quantile)
{
    static const double values[] = {4, 1, 3, 2};
    ck_assert_double_eq(quantile_of(values, 4, 0), 1);
    ck_assert_double_eq(quantile_of(values, 4, 0.5), 2.5);
    ck_assert_double_eq_tol(quantile_of(values, 4, 0.9), 3.7, 1e-12);
    ck_assert_double_eq(quantile_of(values, 4, 1), 4);
    ck_assert_double_eq(quantile_of(values, 1, 0.99), 4);
}
END_TEST

/* Rule: twice and half are within a factor of 2, and a prediction that is missing is no error. */
START_TEST(test_score)
{
    static const double actual[] = {1, 2, 8, 5}, predicted[] = {2, 1, 1, NAN};
    const struct score score = score_of(actual, predicted, 4);
    ck_assert_uint_eq(score.count, 3);
    ck_assert_double_eq_tol(score.within2, 2.0 / 3, 1e-12);
    ck_assert_double_eq_tol(score.male, 5 * G_LN2 / 3, 1e-12);
    ck_assert_double_eq_tol(score.mdape, 0.875, 1e-12);
}
END_TEST

START_TEST(test_pinball)
{
    ck_assert_double_eq_tol(pinball_loss(3, 1, 0.9), 1.8, 1e-12);
    ck_assert_double_eq_tol(pinball_loss(1, 3, 0.9), 0.2, 1e-12);
    ck_assert_double_eq(pinball_loss(1, 1, 0.5), 0);
}
END_TEST

/* y = 1 + 2 x on x = -1, 0, 1: without penalty exactly; with one of 2 the slope is 4 / (2 + 2), and the intercept stays. */
START_TEST(test_ridge)
{
    static const double x[] = {1, -1, 1, 0, 1, 1}, y[] = {-1, 1, 3};
    g_autofree double *plain = ridge_fit(x, y, 3, 2, 0), *shrunk = ridge_fit(x, y, 3, 2, 2);
    ck_assert_double_eq_tol(plain[0], 1, 1e-12);
    ck_assert_double_eq_tol(plain[1], 2, 1e-12);
    ck_assert_double_eq_tol(shrunk[0], 1, 1e-12);
    ck_assert_double_eq_tol(shrunk[1], 1, 1e-12);
}
END_TEST

/* Against zlib. */
START_TEST(test_crc32)
{
    ck_assert_uint_eq(crc32_of("123456789"), 0xcbf43926);
    ck_assert_uint_eq(crc32_of(""), 0);
}
END_TEST

/* Buckets of 10, 10.5, 11.025 ...: 25 is in the third, which ends at 31.525. */
START_TEST(test_vpa)
{
    struct vpa_histogram histogram = {.first = 10};
    vpa_weigh(&histogram, 5, 1);
    vpa_weigh(&histogram, 25, 3);
    ck_assert_double_eq_tol(vpa_quantile(&histogram, 0.2), 10, 1e-9);
    ck_assert_double_eq_tol(vpa_quantile(&histogram, 0.9), 31.525, 1e-9);
}
END_TEST

/* --- Rows and baselines, on a table of their own --- */

static const char heading[] = "name,lang,id,n,size(B),cpu(s),mem(KB),status,load,elapsed(s),busy(s)\n";

static void write_packed(const char *path, const char *text)
{
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileOutputStream) stream = g_file_replace(file, NULL, FALSE, G_FILE_CREATE_NONE, NULL, NULL);
    g_autoptr(GZlibCompressor) compressor = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, -1);
    g_autoptr(GOutputStream) packed = g_converter_output_stream_new(G_OUTPUT_STREAM(stream), G_CONVERTER(compressor));
    ck_assert(g_output_stream_write_all(packed, text, strlen(text), NULL, NULL, NULL));
    ck_assert(g_output_stream_close(packed, NULL, NULL));
}

static GPtrArray *rows_of(const char *text, GError **error)
{
    g_autofree char *directory = g_dir_make_tmp("hbr-rows-XXXXXX", NULL);
    g_autofree char *folder = g_build_filename(directory, "benchmarksgame", NULL);
    g_autofree char *path = g_build_filename(folder, "i5-3330_ndata.csv.gz", NULL);
    g_autofree char *table = g_strconcat(heading, text, NULL);
    ck_assert_int_eq(g_mkdir(folder, 0700), 0);
    write_packed(path, table);
    g_setenv("HBR_DATA_DIR", directory, TRUE);
    GPtrArray *rows = rows_benchmarksgame(TRUE, error);
    g_unlink(path);
    g_rmdir(folder);
    g_rmdir(directory);
    return rows;
}

/* Rule: programs that failed are left out, and so is what was not measured of the others. */
START_TEST(test_rows)
{
    g_autoptr(GPtrArray) rows = rows_of("binarytrees,rust,2,7,721,0.5,2048,0,40% 57%,0.25,0.085\n"
                                        "binarytrees,rust,2,14,721,0.5,2048,-1,40% 57%,0.25,0.085\n"
                                        "binarytrees,gcc,1,7,700,0.004,0,0,40% 57%,0.079,0.085\n",
                                        NULL);
    ck_assert_uint_eq(rows->len, 2);
    const struct row *row = row_at(rows, 0);
    ck_assert_str_eq(row->observation.code.function, "binarytrees/rust/2");
    ck_assert_uint_eq(row->fold, 0); /* zlib.crc32(b"binarytrees|rust|2") % 5 */
    ck_assert_double_eq_tol(row_amount(row, TARGET_CPU), 0.5, 1e-6);
    ck_assert_double_eq_tol(row_amount(row, TARGET_VCPUS), 2, 1e-6);
    ck_assert_double_eq_tol(row_amount(row, TARGET_MEMORY), 2, 1e-6);
    ck_assert_double_eq_tol(row_amount(row, TARGET_DURATION), 250, 1e-4);
    ck_assert(isnan(row->sample.targets[TARGET_NETWORK]));
    g_autoptr(GPtrArray) with_memory = rows_with(rows, TARGET_MEMORY), test = rows_of_fold(rows, 0, TRUE);
    ck_assert_uint_eq(with_memory->len, 1);
    ck_assert(row_at(test, 0) == row);
}
END_TEST

START_TEST(test_rows_damaged)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rows_of("binarytrees,rust,2\n", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "i5-3330_ndata.csv.gz"));
    ck_assert_ptr_nonnull(strstr(error->message, "binarytrees,rust,2"));
}
END_TEST

/* Rule: a group without training rows falls back to the next wider, then to all. */
START_TEST(test_medians)
{
    g_autoptr(GPtrArray) rows = rows_of("sort,c,1,7,100,1,1024,0,-,1,1\n"
                                        "sort,c,2,7,100,3,1024,0,-,1,1\n"
                                        "sort,d,1,7,100,9,1024,0,-,1,1\n"
                                        "sort,e,1,7,100,1,1024,0,-,1,1\n"
                                        "walk,c,1,5,100,27,1024,0,-,1,1\n"
                                        "other,c,1,5,100,1,1024,0,-,1,1\n",
                                        NULL);
    g_autoptr(GPtrArray) training = g_ptr_array_new();
    static const guint known[] = {0, 1, 2, 4};
    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        g_ptr_array_add(training, rows->pdata[known[i]]);
    struct baseline_set set;
    baseline_set_benchmarksgame(&set, training, TARGET_CPU);
    const struct baseline *all = set.baselines[0], *groups = set.baselines[1];
    ck_assert_double_eq_tol(baseline_point(groups, row_at(rows, 0)), log(3) / 2, 1e-6);
    ck_assert_double_eq_tol(baseline_quantile(groups, row_at(rows, 0), 0.9), 0.9 * log(3), 1e-6);
    ck_assert_double_eq_tol(baseline_point(groups, row_at(rows, 3)), log(3), 1e-6);
    ck_assert_double_eq_tol(baseline_point(groups, row_at(rows, 5)), 1.5 * log(3), 1e-6);
    ck_assert_double_eq_tol(baseline_point(all, row_at(rows, 0)), 1.5 * log(3), 1e-6);
    baseline_set_clear(&set);
}
END_TEST

/* Rule: two words that multiply are found by ridge on logarithms, as nearly as the penalty leaves them; what is left over gives its quantiles. */
START_TEST(test_ridge_terms)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < 400; i++)
        g_string_append_printf(text, "%s,%s,%u,7,100,%u,1024,0,-,1,1\n", i % 2 ? "sort" : "walk", i % 4 / 2 ? "c" : "d",
                               i, (i % 2 ? 1 : 4) * (i % 4 / 2 ? 1 : 10));
    g_autoptr(GPtrArray) rows = rows_of(text->str, NULL);
    struct baseline_set set;
    baseline_set_benchmarksgame(&set, rows, TARGET_CPU);
    for (guint i = 0; i < 4; i++) {
        const struct row *row = row_at(rows, i);
        ck_assert_double_eq_tol(baseline_point(set.baselines[2], row), row->sample.targets[TARGET_CPU], 0.02);
        ck_assert_double_eq_tol(baseline_quantile(set.baselines[2], row, 0.9), row->sample.targets[TARGET_CPU], 0.04);
    }
    baseline_set_clear(&set);
    g_string_free(text, TRUE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench-numbers");
    TCase *cases = tcase_create("bench-numbers");
    tcase_add_test(cases, test_quantile);
    tcase_add_test(cases, test_score);
    tcase_add_test(cases, test_pinball);
    tcase_add_test(cases, test_ridge);
    tcase_add_test(cases, test_crc32);
    tcase_add_test(cases, test_vpa);
    tcase_add_test(cases, test_rows);
    tcase_add_test(cases, test_rows_damaged);
    tcase_add_test(cases, test_medians);
    tcase_add_test(cases, test_ridge_terms);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
