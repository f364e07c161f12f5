/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of the JSON form: whatever a client sends is bounded and refused with the exact place, and what we write we can read. */
#include "base/error.h"
#include "model/accuracy.h"
#include "model/amount.h"
#include "model/execution.h"
#include "model/host.h"
#include "model/instance.h"
#include "model/limits.h"
#include "model/normal.h"
#include "model/pool.h"
#include "model/reservation.h"
#include "policy/policy.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct codec *const codecs[] = {
    &code_metadata_codec,  &notification_codec,  &reservation_codec,  &placement_codec,     &program_file_codec,
    &program_codec,        &run_limits_codec,    &execution_codec,    &demand_codec,        &execution_request_codec,
    &observation_codec,    &instance_codec,      &host_codec,         &host_spec_codec,     &demand_reason_codec,
    &quantiles_codec,      &run_result_codec,    &usage_sample_codec, &vm_shape_codec,      &adjustment_codec,
    &timeline_entry_codec, &policy_source_codec, &path_choice_codec,  &pool_codec,          &pool_miss_codec,
    &pool_ledger_codec,    &pool_stock_codec,    &saved_state_codec,  &amount_choice_codec, &accuracy_codec,
    &accuracy_point_codec, &code_traits_codec,
};

/* Every field is set to something that is not its default. `salt` tells items of a list apart. */

static gpointer filled_new(const struct codec *codec, guint salt);

static GPtrArray *filled_list(const struct codec *codec)
{
    GPtrArray *list = g_ptr_array_new();
    g_ptr_array_add(list, filled_new(codec, 1));
    g_ptr_array_add(list, filled_new(codec, 2));
    return list;
}

static gint64 filled_integer(const struct codec_field *field, guint salt)
{
    return CLAMP((gint64)(40 + salt), field->min, field->max);
}

static void fill(const struct codec *codec, gpointer object, guint salt);

static void fill_field(const struct codec_field *field, gpointer slot, guint salt)
{
    static const char *const words[] = {"a", "", "gr\xc3\xb6\xc3\x9f \"quoted\"\n", NULL};
    static const char *const env[] = {"EMPTY=", "PATH=/bin:/usr/bin", "_x=a=b", NULL};
    switch (field->kind) {
    case CODEC_STRING:
        *(char **)slot = g_strdup_printf("text of %s\t%u, \xe2\x82\xac", field->name, salt);
        break;
    case CODEC_NAME:
        *(char **)slot = g_strdup_printf("name-%u", salt);
        break;
    case CODEC_UINT:
        *(guint *)slot = (guint)filled_integer(field, salt);
        break;
    case CODEC_INT64:
        *(gint64 *)slot = filled_integer(field, salt);
        break;
    case CODEC_DOUBLE:
        *(double *)slot = MIN(1.5 + salt, (double)field->max);
        break;
    case CODEC_BOOL:
        *(gboolean *)slot = TRUE;
        break;
    case CODEC_TIME:
        *(gint64 *)slot = G_GINT64_CONSTANT(1795214881123456) + salt;
        break;
    case CODEC_ENUM:
        *(guint *)slot = field->words->count - 1;
        break;
    case CODEC_STRV:
        *(char ***)slot = g_strdupv((char **)words);
        break;
    case CODEC_ENV:
        *(char ***)slot = g_strdupv((char **)env);
        break;
    case CODEC_BYTES:
        *(GBytes **)slot = g_bytes_new("\0\xff\n binary", 10);
        break;
    case CODEC_STRUCT:
        fill(field->nested, slot, salt);
        break;
    case CODEC_OBJECT:
        *(gpointer *)slot = filled_new(field->nested, salt);
        break;
    case CODEC_LIST:
        *(GPtrArray **)slot = filled_list(field->nested);
        break;
    }
}

static void fill(const struct codec *codec, gpointer object, guint salt)
{
    for (guint i = 0; i < codec->field_count; i++)
        fill_field(&codec->fields[i], (char *)object + codec->fields[i].offset, salt);
}

static gpointer filled_new(const struct codec *codec, guint salt)
{
    gpointer object = g_malloc0(codec->size);
    fill(codec, object, salt);
    return object;
}

START_TEST(a_full_struct_survives_the_store)
{
    const struct codec *codec = codecs[_i];
    g_autoptr(GError) error = NULL;
    gpointer object = filled_new(codec, 3);
    char *text = codec_encode_text(codec, object, CODEC_STORE);
    json_t *json = codec_encode(codec, object, CODEC_STORE);
    ck_assert_msg(json_object_size(json) == codec->field_count, "%s leaves out a field: %s", codec->what, text);
    gpointer again = codec_decode_text(codec, text, strlen(text), MODEL_DOCUMENT_MAX, CODEC_STORE, &error);
    ck_assert_msg(again != NULL, "%s: %s", codec->what, error != NULL ? error->message : "");
    json_t *json_again = codec_encode(codec, again, CODEC_STORE);
    ck_assert_msg(json_equal(json, json_again), "%s: %s", codec->what, text);
    json_decref(json);
    json_decref(json_again);
    codec_free(codec, object);
    codec_free(codec, again);
    free(text);
}
END_TEST

START_TEST(a_copy_is_equal_and_shares_nothing_that_can_change)
{
    const struct codec *codec = codecs[_i];
    gpointer object = filled_new(codec, 4);
    gpointer copy = codec_copy(codec, object);
    char *text = codec_encode_text(codec, object, CODEC_STORE);
    codec_free(codec, object);
    char *text_of_copy = codec_encode_text(codec, copy, CODEC_STORE);
    ck_assert_str_eq(text, text_of_copy);
    codec_clear(codec, copy);
    codec_clear(codec, copy); /* leaves a struct that may be cleared again */
    codec_free(codec, copy);
    free(text);
    free(text_of_copy);
    ck_assert_ptr_null(codec_copy(codec, NULL));
    codec_free(codec, NULL);
}
END_TEST

/* Rule: what is sealed is one object however often it is copied, is written as it was, and goes with its last copy. */
START_TEST(a_sealed_object_is_its_own_copy)
{
    struct demand *demand = filled_new(&demand_codec, 5);
    g_autofree char *text = codec_encode_text(&demand_codec, demand, CODEC_CLIENT);
    struct demand *unsealed = demand_copy(demand);
    ck_assert_ptr_ne(unsealed, demand);
    ck_assert_ptr_null(codec_get_seal(&demand_codec, unsealed));
    codec_seal(&demand_codec, demand);
    struct demand *copy = demand_copy(demand);
    ck_assert_ptr_eq(copy, demand);
    demand_free(demand);
    g_autofree char *text_of_copy = codec_encode_text(&demand_codec, copy, CODEC_CLIENT);
    ck_assert_str_eq(text_of_copy, text);
    for (guint i = 0; i < demand_codec.field_count; i++)
        ck_assert((demand_codec.fields[i].flags & CODEC_PRIVATE) == 0);
    demand_free(copy);
    demand_free(unsealed);
}
END_TEST

static const struct {
    double value;
    const char *text;
} numbers[] = {
    {0, "0.0"},
    {0.1, "0.1"},
    {0.25, "0.25"},
    {166.4, "166.4"},
    {1996.8, "1996.8"},
    {99999.999, "99999.999"},
    {7, "7.0"},
    {-7, "-7.0"},
    {-0.5, "-0.5"},
    {0.0005, "0.0005"},
    {123456.789, "123456.789"},
    {1e-9, "1e-09"},
    {1.0 / 3, "0.333333333"},
    {1e20, "1e+20"},
    {0.999, "0.999"},
    {0.9999, "0.9999"},
};

START_TEST(a_number_is_written_with_nine_digits_at_most)
{
    const struct quantiles quantiles = {.p50 = numbers[_i].value};
    g_autofree char *text = codec_encode_text(&quantiles_codec, &quantiles, CODEC_STORE);
    g_autofree char *wanted = g_strdup_printf("{\"p50\":%s,\"p90\":0.0,\"p99\":0.0}", numbers[_i].text);
    ck_assert_str_eq(text, wanted);
}
END_TEST

START_TEST(a_struct_of_zeros_is_encoded_and_copied)
{
    const struct codec *codec = codecs[_i];
    gpointer object = g_malloc0(codec->size);
    gpointer copy = codec_copy(codec, object);
    char *text = codec_encode_text(codec, copy, CODEC_CLIENT);
    ck_assert_ptr_nonnull(text);
    free(text);
    codec_free(codec, object);
    codec_free(codec, copy);
}
END_TEST

/* Every table is sound: names are unique, bounds in order, what a kind needs is there. */
START_TEST(the_tables_are_sound)
{
    const struct codec *codec = codecs[_i];
    for (guint i = 0; i < codec->field_count; i++) {
        const struct codec_field *field = &codec->fields[i];
        const gboolean is_nested =
            field->kind == CODEC_STRUCT || field->kind == CODEC_OBJECT || field->kind == CODEC_LIST;
        ck_assert_msg(is_nested == (field->nested != NULL), "%s.%s", codec->what, field->name);
        ck_assert_msg((field->kind == CODEC_ENUM) == (field->words != NULL), "%s.%s", codec->what, field->name);
        ck_assert_msg(field->min <= field->max, "%s.%s", codec->what, field->name);
        ck_assert_msg(field->offset < codec->size, "%s.%s", codec->what, field->name);
        const gboolean is_bounded = field->kind != CODEC_TIME && field->kind != CODEC_BOOL &&
                                    field->kind != CODEC_ENUM && field->kind != CODEC_STRUCT &&
                                    field->kind != CODEC_OBJECT;
        ck_assert_msg(!is_bounded || field->max > 0, "%s.%s has no bound", codec->what, field->name);
        if (field->kind == CODEC_UINT)
            ck_assert_msg(field->min >= 0 && field->max <= G_MAXUINT, "%s.%s", codec->what, field->name);
        for (guint j = 0; j < i; j++)
            ck_assert_str_ne(field->name, codec->fields[j].name);
    }
}
END_TEST

/* One row: what a client sends, and how it is refused. */
static const struct refusal {
    const struct codec *codec;
    const char *json;
    int code;
    const char *message;
} refusals[] = {
#define NOTIFICATION &notification_codec
#define REQUEST &execution_request_codec
#define INVALID HBR_ERROR_INVALID
    /* the document */
    {NOTIFICATION, "", INVALID, "/: not valid JSON at line 1, column 0: '[' or '{' expected near end of file"},
    {NOTIFICATION, "{\"code\":\n{]", INVALID, "/: not valid JSON at line 2, column 2: string or '}' expected near ']'"},
    {NOTIFICATION, "{} x", INVALID, "/: not valid JSON at line 1, column 4: end of file expected near 'x'"},
    {NOTIFICATION, "\"text\"", INVALID, "/: not valid JSON at line 1, column 6: '[' or '{' expected near '\"text\"'"},
    {NOTIFICATION, "[]", INVALID, "/: is an array, right would be an object"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"code\":1}", INVALID,
     "/: not valid JSON at line 1, column 31: duplicate object key near '\"code\"'"},
    {NOTIFICATION, "{\"code\":{\"function\":\"\xff\"}}", INVALID,
     "/: not valid JSON at line 1, column 21: unable to decode byte 0xff near '\"'"},
    {NOTIFICATION, "{\"code\":{\"function\":\"a\\u0000b\"}}", INVALID,
     "/: not valid JSON at line 1, column 30: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"a\\u0000b\"'"},
    {NOTIFICATION, "{\"arrival_in_ms\":99999999999999999999}", INVALID,
     "/: not valid JSON at line 1, column 37: too big integer near '99999999999999999999'"},

    /* members */
    {NOTIFICATION, "{}", INVALID, "/code: is missing, notification requires it"},
    {NOTIFICATION, "{\"code\":null}", INVALID, "/code: is null, a value is required"},
    {NOTIFICATION, "{\"code\":{}}", INVALID, "/code/function: is missing, code_metadata requires it"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"kode\":1}", INVALID, "/kode: is not a member of notification"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"a/b~c\":1}}", INVALID,
     "/code/a~1b~0c: is not a member of code_metadata"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"id\":\"n\"}", INVALID,
     "/id: is set by Harbinger; right would be to leave it out"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"received_at\":null}", INVALID,
     "/received_at: is set by Harbinger; right would be to leave it out"},

    /* kinds */
    {NOTIFICATION, "{\"code\":[]}", INVALID, "/code: is an array, right would be an object"},
    {NOTIFICATION, "{\"code\":{\"function\":7}}", INVALID, "/code/function: is an integer, right would be a string"},
    {NOTIFICATION, "{\"code\":{\"function\":\"\"}}", INVALID,
     "/code/function: is not a name; right would be letters, digits and ._:/@+- with a letter or digit first, without \"..\""},
    {NOTIFICATION, "{\"code\":{\"function\":\"a b\"}}", INVALID,
     "/code/function: is not a name; right would be letters, digits and ._:/@+- with a letter or digit first, without \"..\""},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"libraries\":\"numpy\"}}", INVALID,
     "/code/libraries: is a string, right would be an array of strings"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"libraries\":[\"a\",\"b\",3]}}", INVALID,
     "/code/libraries/2: is an integer, right would be a string"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"code_bytes\":-1}}", INVALID,
     "/code/code_bytes: is -1, right would be 0 to 9223372036854775807"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"code_bytes\":1.5}}", INVALID,
     "/code/code_bytes: is a number, right would be an integer"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"code_bytes\":\"1\"}}", INVALID,
     "/code/code_bytes: is a string, right would be an integer"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"parallelism\":1025}}", INVALID,
     "/code/parallelism: is 1025, right would be 0 to 1024"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\",\"gpu\":1}}", INVALID,
     "/code/gpu: is an integer, right would be true or false"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"arrival_at\":12}", INVALID,
     "/arrival_at: is an integer, right would be a time in RFC 3339 form"},
    {NOTIFICATION, "{\"code\":{\"function\":\"f\"},\"arrival_at\":\"soon\"}", INVALID,
     "/arrival_at: \"soon\" is not a time; right would be RFC 3339 with a zone, such as 2026-11-20T22:48:01Z"},
    {&run_result_codec, "{\"reason\":\"bored\"}", INVALID,
     "/reason: is not one of: exited, signalled, wall-clock-limit, out-of-memory, output-limit, cancelled, lost, refused"},
    {&run_result_codec, "{\"reason\":7}", INVALID, "/reason: is an integer, right would be a string"},
    {&quantiles_codec, "{\"p50\":\"1\"}", INVALID, "/p50: is a string, right would be a number"},
    {&quantiles_codec, "{\"p50\":-0.5}", INVALID, "/p50: is -0.5, right would be 0 to 1000000000000"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"env\":[]}}", INVALID,
     "/program/env: is an array, right would be an object of strings"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"env\":{\"A\":1}}}", INVALID,
     "/program/env/A: is an integer, right would be a string"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"env\":{\"1A\":\"x\"}}}", INVALID,
     "/program/env/1A: is not the name of an environment variable; right would be [A-Za-z_][A-Za-z0-9_]*"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"env\":{\"\":\"x\"}}}", INVALID,
     "/program/env/: is not the name of an environment variable; right would be [A-Za-z_][A-Za-z0-9_]*"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"env\":{\"A=B\":\"x\"}}}", INVALID,
     "/program/env/A=B: is not the name of an environment variable; right would be [A-Za-z_][A-Za-z0-9_]*"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"stdin_base64\":\"AAA\"}}", INVALID,
     "/program/stdin_base64: is not base64 (RFC 4648 section 4, padded)"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"stdin_base64\":\"A===\"}}", INVALID,
     "/program/stdin_base64: is not base64 (RFC 4648 section 4, padded)"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"stdin_base64\":\"AA==AAAA\"}}", INVALID,
     "/program/stdin_base64: is not base64 (RFC 4648 section 4, padded)"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"stdin_base64\":\"AA-_\"}}", INVALID,
     "/program/stdin_base64: is not base64 (RFC 4648 section 4, padded)"},
    {REQUEST,
     "{\"code\":{\"function\":\"f\"},\"program\":{\"files\":[{\"path\":\"a\",\"content_base64\":\"\"},{\"path\":\"b\"}]}}",
     INVALID, "/program/files/1/content_base64: is missing, program_file requires it"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{\"files\":[null]}}", INVALID,
     "/program/files/0: is null, right would be an object"},
    {REQUEST, "{\"code\":{\"function\":\"f\"},\"program\":{},\"limits\":{\"wall_ms\":-5}}", INVALID,
     "/limits/wall_ms: is -5, right would be 0 to 31622400000"},
};

START_TEST(a_wrong_document_is_refused_with_the_place)
{
    const struct refusal *row = &refusals[_i];
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(
        codec_decode_text(row->codec, row->json, strlen(row->json), MODEL_NOTIFICATION_MAX, CODEC_CLIENT, &error));
    ck_assert_str_eq(error->message, row->message);
    ck_assert(g_error_matches(error, HBR_ERROR, row->code));
}
END_TEST

static gpointer decode(const struct codec *codec, const char *text, GError **error)
{
    return codec_decode_text(codec, text, strlen(text), MODEL_DOCUMENT_MAX, CODEC_CLIENT, error);
}

static void assert_refused(const struct codec *codec, const char *text, int code, const char *begin)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(decode(codec, text, &error));
    ck_assert_msg(g_str_has_prefix(error->message, begin), "%s", error->message);
    ck_assert(g_error_matches(error, HBR_ERROR, code));
    ck_assert(strlen(error->message) < 1024 && g_utf8_validate(error->message, -1, NULL));
}

static char *with_function(const char *function)
{
    return g_strdup_printf("{\"code\":{\"function\":\"%s\"}}", function);
}

START_TEST(a_size_over_its_bound_is_too_large)
{
    g_autofree char *name = g_strnfill(MODEL_NAME_MAX + 1, 'a'), *long_name = with_function(name);
    assert_refused(NOTIFICATION, long_name, HBR_ERROR_TOO_LARGE,
                   "/code/function: has 129 bytes, at most 128 are accepted");
    name[MODEL_NAME_MAX] = '\0';
    g_autofree char *longest = with_function(name);
    g_autoptr(GError) error = NULL;
    struct notification *notification = decode(NOTIFICATION, longest, &error);
    ck_assert_ptr_nonnull(notification);
    notification_free(notification);

    ck_assert_ptr_null(codec_decode_text(NOTIFICATION, longest, strlen(longest), 20, CODEC_CLIENT, &error));
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_TOO_LARGE));
}
END_TEST

START_TEST(too_many_items_are_too_large)
{
    g_autoptr(GString) text = g_string_new("{\"code\":{\"function\":\"f\",\"libraries\":[\"a\"");
    for (guint i = 0; i < MODEL_LIBRARIES_MAX; i++)
        g_string_append(text, ",\"a\"");
    g_string_append(text, "]}}");
    assert_refused(NOTIFICATION, text->str, HBR_ERROR_TOO_LARGE,
                   "/code/libraries: has 257 items, at most 256 are accepted");
}
END_TEST

START_TEST(bytes_are_counted_when_decoded)
{
    g_autofree guchar *zeros = g_malloc0(MODEL_FILE_MAX + 1);
    for (gsize over = 0; over <= 1; over++) {
        g_autofree char *base64 = g_base64_encode(zeros, MODEL_FILE_MAX + over);
        g_autofree char *text = g_strdup_printf("{\"path\":\"a\",\"content_base64\":\"%s\"}", base64);
        g_autoptr(GError) error = NULL;
        struct program_file *file = decode(&program_file_codec, text, &error);
        ck_assert_int_eq(file != NULL, over == 0);
        ck_assert(over == 0 || g_error_matches(error, HBR_ERROR, HBR_ERROR_TOO_LARGE));
        program_file_free(file);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused_before_it_is_built)
{
    g_autofree char *deep = g_strnfill(1000000, '[');
    assert_refused(NOTIFICATION, deep, HBR_ERROR_TOO_LARGE, "/: the document has 1000001 values in 1000000 levels");
    g_autoptr(GString) objects = g_string_new(NULL);
    for (guint i = 0; i < 65; i++)
        g_string_append(objects, "{\"code\":");
    assert_refused(NOTIFICATION, objects->str, HBR_ERROR_TOO_LARGE, "/: the document has 66 values in 65 levels");
}
END_TEST

START_TEST(many_small_values_are_refused_before_they_are_built)
{
    g_autoptr(GString) text = g_string_new("[{}");
    for (guint i = 0; i < CODEC_VALUES_MAX; i++)
        g_string_append(text, ",{}");
    g_string_append_c(text, ']');
    assert_refused(NOTIFICATION, text->str, HBR_ERROR_TOO_LARGE, "/: the document has 524291 values in 2 levels");
}
END_TEST

START_TEST(brackets_in_text_are_text)
{
    g_autofree char *brackets = g_strnfill(1000, '['), *commas = g_strnfill(300000, ',');
    g_autofree char *text = g_strdup_printf(
        "{\"code\":{\"function\":\"f\"},\"program\":{\"source\":\"\\\"%s\\\\\",\"argv\":[\"%.9000s\"]}}", brackets,
        commas);
    g_autoptr(GError) error = NULL;
    struct execution_request *request = decode(REQUEST, text, &error);
    ck_assert_msg(request != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_uint_eq(strlen(request->program.source), 1002);
    execution_request_free(request);
}
END_TEST

START_TEST(a_message_shows_only_the_start_of_what_a_client_sent)
{
    g_autofree char *name = g_strnfill(100000, 'k');
    g_autofree char *member = g_strdup_printf("{\"%s\":1}", name);
    assert_refused(NOTIFICATION, member, HBR_ERROR_INVALID, "/kkkkkkkk");
    g_autoptr(GString) euros = g_string_new("x");
    for (guint i = 0; i < 1000; i++)
        g_string_append(euros, "\xe2\x82\xac");
    g_autofree char *wide = g_strdup_printf("{\"%s\":1}", euros->str);
    assert_refused(NOTIFICATION, wide, HBR_ERROR_INVALID, "/x\xe2\x82\xac");
    g_autofree char *time = g_strdup_printf("{\"code\":{\"function\":\"f\"},\"arrival_at\":\"%s\"}", name);
    assert_refused(NOTIFICATION, time, HBR_ERROR_INVALID, "/arrival_at: is not a time");
}
END_TEST

START_TEST(null_means_absent)
{
    static const char text[] =
        "{\"code\":{\"function\":\"f\",\"tenant\":null,\"libraries\":null,\"code_bytes\":null},\"deadline_at\":null}";
    g_autoptr(notification_auto) notification = decode(NOTIFICATION, text, NULL);
    ck_assert_ptr_nonnull(notification);
    ck_assert_ptr_null(notification->code.tenant);
    ck_assert_ptr_null(notification->code.libraries);
    ck_assert_int_eq(notification->deadline_at, 0);
}
END_TEST

START_TEST(the_case_of_a_language_does_not_matter)
{
    static const char text[] = "{\"code\":{\"function\":\"F\",\"language\":\"Python\"}}";
    g_autoptr(notification_auto) notification = decode(NOTIFICATION, text, NULL);
    ck_assert_ptr_nonnull(notification);
    ck_assert_str_eq(notification->code.language, "python");
    ck_assert_str_eq(notification->code.function, "F");
}
END_TEST

START_TEST(the_store_skips_what_a_later_version_wrote)
{
    static const char text[] = "{\"code\":{\"function\":\"f\",\"later\":{\"a\":[1]}},\"id\":\"not-1\",\"new\":1}";
    g_autoptr(GError) error = NULL;
    g_autoptr(notification_auto) notification =
        codec_decode_text(NOTIFICATION, text, strlen(text), MODEL_DOCUMENT_MAX, CODEC_STORE, &error);
    ck_assert_msg(notification != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_str_eq(notification->id, "not-1");
}
END_TEST

START_TEST(an_execution_request_is_read_whole)
{
    static const char text[] =
        "{\"idempotency_key\":\"k\",\"reservation_id\":\"res-1\",\"code\":{\"function\":\"f\"},"
        "\"program\":{\"interpreter\":\"python3\",\"source\":\"print('x')\\r\\n\",\"argv\":[\"-v\",\"\"],"
        "\"files\":[{\"path\":\"a/b\",\"mode\":493,\"content_base64\":\"AP8=\"}],\"env\":{\"A\":\"b=c\"},\"stdin_base64\":\"aGk=\"},"
        "\"limits\":{\"wall_ms\":1000,\"memory_mib\":64},\"deadline_at\":\"2026-11-20T22:48:01Z\",\"detach\":true}";
    g_autoptr(GError) error = NULL;
    g_autoptr(execution_request_auto) request = decode(REQUEST, text, &error);
    ck_assert_msg(request != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_str_eq(request->program.interpreter, "python3");
    ck_assert_str_eq(request->program.source, "print('x')\r\n");
    ck_assert_str_eq(request->program.argv[0], "-v");
    ck_assert_str_eq(request->program.argv[1], "");
    ck_assert_ptr_null(request->program.argv[2]);
    ck_assert_str_eq(request->program.env[0], "A=b=c");
    const struct program_file *file = g_ptr_array_index(request->program.files, 0);
    ck_assert_uint_eq(file->mode, 0755);
    gsize length = 0;
    ck_assert_mem_eq(g_bytes_get_data(file->content, &length), "\0\xff", 2);
    ck_assert_uint_eq(length, 2);
    ck_assert_uint_eq(g_bytes_get_size(request->program.stdin_bytes), 2);
    ck_assert_int_eq(request->limits.wall_ms, 1000);
    ck_assert_int_eq(request->deadline_at, G_GINT64_CONSTANT(1795214881000000));
    ck_assert(request->detach && !request->program.stdin_open);
}
END_TEST

/* Private fields are for the store alone. */
static const struct codec_field secret_fields[] = {
    {"shown", CODEC_UINT, 0, 0, 0, 10, NULL, NULL},
    {"secret", CODEC_UINT, sizeof(guint), CODEC_PRIVATE, 0, 10, NULL, NULL},
};
static const struct codec secret_codec = {"secret", 2 * sizeof(guint), secret_fields, 2};

START_TEST(private_fields_are_neither_shown_to_a_client_nor_taken_from_one)
{
    const guint object[2] = {1, 2};
    char *shown = codec_encode_text(&secret_codec, object, CODEC_CLIENT);
    char *stored = codec_encode_text(&secret_codec, object, CODEC_STORE);
    ck_assert_str_eq(shown, "{\"shown\":1}");
    ck_assert_str_eq(stored, "{\"shown\":1,\"secret\":2}");
    assert_refused(&secret_codec, stored, HBR_ERROR_INVALID, "/secret: is not a member of secret");
    free(shown);
    free(stored);
}
END_TEST

START_TEST(what_is_not_json_is_still_encoded)
{
    struct usage_sample sample = {.cpu_used = NAN, .runnable = INFINITY, .network_rx_mbps = 1};
    json_t *json = codec_encode(&usage_sample_codec, &sample, CODEC_CLIENT);
    ck_assert_ptr_null(json_object_get(json, "cpu_used"));
    ck_assert_ptr_null(json_object_get(json, "runnable"));
    ck_assert_double_eq(json_number_value(json_object_get(json, "network_rx_mbps")), 1);
    json_decref(json);
    struct timeline_entry entry = {.at = 1,
                                   .what = (char *)"a\xff"
                                                   "b"};
    json = codec_encode(&timeline_entry_codec, &entry, CODEC_CLIENT);
    ck_assert_str_eq(json_string_value(json_object_get(json, "what")), "a\xef\xbf\xbd"
                                                                       "b");
    json_decref(json);
}
END_TEST

START_TEST(the_pointer_begins_where_the_document_stands)
{
    json_t *json = json_pack("{s:i}", "vcpus", -1);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(codec_decode(&vm_shape_codec, json, "/profiles/3", CODEC_CLIENT, &error));
    ck_assert_str_eq(error->message, "/profiles/3/vcpus: is -1, right would be 0 to 1024");
    json_decref(json);
}
END_TEST

START_TEST(words_and_values_belong_together)
{
    static const struct codec_words *const all[] = {
        &demand_source_words, &execution_state_words,   &execution_match_words, &exit_reason_words,
        &resource_words,      &reservation_state_words, &instance_state_words,  &host_state_words,
        &acceleration_words,  &policy_sizing_words};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        for (guint value = 0; value < all[i]->count; value++)
            ck_assert_int_eq(codec_value(all[i], codec_word(all[i], value)), (int)value);
    ck_assert_str_eq(codec_word(&resource_words, RESOURCE_ALL), "?");
    ck_assert_int_eq(codec_value(&resource_words, "tape"), -1);
    ck_assert_int_eq(codec_value(&resource_words, NULL), -1);
    ck_assert_uint_eq(resource_words.count, RESOURCE_ALL);
    ck_assert_uint_eq(execution_state_words.count, EXECUTION_STATE_COUNT);
    ck_assert_uint_eq(reservation_state_words.count, RESERVATION_STATE_COUNT);
    ck_assert_uint_eq(instance_state_words.count, INSTANCE_STATE_COUNT);
    ck_assert_uint_eq(host_state_words.count, HOST_STATE_COUNT);
}
END_TEST

static const struct {
    struct quantiles quantiles;
    double quantile, amount;
} amounts[] = {
    {{10, 20, 100}, 0.5, 10},        {{10, 20, 100}, 0.9, 20},
    {{10, 20, 100}, 0.99, 100},      {{10, 20, 100}, 0.7, 13.279}, /* 10 x 2^(0.5244 / 1.2816) */
    {{10, 20, 100}, 0.95, 35.001},                                 /* 20 x 5^((1.6449 - 1.2816) / (2.3263 - 1.2816)) */
    {{10, 20, 100}, 0.999, 324.369}, /* goes on as from p90 to p99: 100 x 5^((3.0902 - 2.3263) / 1.0448) */
    {{10, 20, 100}, 1, 324.369},     /* and no further */
    {{10, 20, 100}, 0.1, 5},         /* as far below the median as p90 is above it */
    {{10, 20, 100}, 0, 1.880},       /* 10 / 2^(3.0902 / 1.2816) */
    {{10, 10, 10}, 0.97, 10},        /* to the last digit */
    {{0, 20, 40}, 0.7, 8.184},       /* from nothing, linear: 20 x 0.5244 / 1.2816 */
    {{0, 20, 40}, 0.2, 0},           /* no less than nothing */
    {{0, 0, 40}, 0.999, 69.245},     /* 40 x (3.0902 - 1.2816) / 1.0448 */
    {{0, 0, 0}, 0.999, 0},           {{20, 10, 5}, 0.97, 20}, /* one that falls counts as flat */
};

START_TEST(a_rule_may_be_called_model)
{
    g_autoptr(demand_auto) demand = g_new0(struct demand, 1);
    demand->source = DEMAND_RULES;
    demand_add_reason(demand, g_strdup("model"), g_strdup("score +3"));
    ck_assert(!demand_has_model(demand));
    demand->source = DEMAND_MODEL;
    ck_assert(demand_has_model(demand));
}
END_TEST

START_TEST(an_amount_is_lognormal_between_and_beyond_the_quantiles)
{
    const double amount = quantiles_at(&amounts[_i].quantiles, amounts[_i].quantile);
    ck_assert_double_eq_tol(amount, amounts[_i].amount, 1e-3);
    const struct quantiles *known = &amounts[_i].quantiles;
    if (known->p50 == known->p99 || amounts[_i].quantile == 0.9)
        ck_assert(amount == known->p90);
}
END_TEST

/* Rule: whatever the quantiles are, the amount is finite and does not fall as the quantile rises. */
START_TEST(an_amount_never_falls_as_the_quantile_rises)
{
    static const double levels[] = {0, 1e-300, 1e-6, 1.1e-6, 0.3, 1, 512, 1e12};
    const guint count = G_N_ELEMENTS(levels);
    for (guint i = 0; i < count * count * count; i++) {
        const struct quantiles quantiles = {levels[i / count / count], levels[i / count % count], levels[i % count]};
        double before = 0;
        for (guint step = 0; step <= 1100; step++) {
            const double amount = quantiles_at(&quantiles, step / 1100.0);
            ck_assert(isfinite(amount) && amount >= before * (1 - 1e-12));
            before = amount;
        }
    }
}
END_TEST

START_TEST(the_normal_quantile_is_the_inverse_of_its_probability)
{
    static const double scores[][2] = {{0.5, 0},          {0.9, 1.2815516},   {0.97, 1.8807936},
                                       {0.99, 2.3263479}, {0.999, 3.0902323}, {1, 3.0902323}};
    for (guint i = 0; i < G_N_ELEMENTS(scores); i++) {
        ck_assert_double_eq_tol(normal_quantile(scores[i][0]), scores[i][1], 1e-6);
        ck_assert_double_eq_tol(normal_quantile(1 - scores[i][0]), -scores[i][1], 1e-6);
    }
    for (guint step = 1; step < 1000; step++)
        ck_assert_double_eq_tol(normal_probability(normal_quantile(step / 1000.0)), step / 1000.0, 1e-6);
}
END_TEST

static const struct {
    struct vm_shape a, b;
    gboolean covers;
} shapes[] = {
    {{2, 512, 0, 0, 0}, {2, 512, 0, 0, 0}, TRUE},     {{2, 512, 0, 0, 0}, {3, 512, 0, 0, 0}, FALSE},
    {{2, 512, 0, 0, 0}, {2, 513, 0, 0, 0}, FALSE},    {{2, 512, 0, 1, 0}, {2, 512, 0, 2, 0}, FALSE},
    {{2, 512, 0, 0, 0}, {2, 512, 100, 0, 0}, TRUE},   {{2, 512, 100, 0, 0}, {2, 512, 0, 0, 0}, FALSE},
    {{2, 512, 100, 0, 0}, {2, 512, 100, 0, 0}, TRUE}, {{2, 512, 100, 0, 0}, {2, 512, 101, 0, 0}, FALSE},
    {{2, 512, 0, 0, 150}, {2, 512, 0, 0, 100}, TRUE}, {{2, 512, 0, 0, 150}, {2, 512, 0, 0, 0}, FALSE},
};

START_TEST(a_shape_covers_another_with_at_least_as_much_of_each)
{
    ck_assert_int_eq(vm_shape_covers(&shapes[_i].a, &shapes[_i].b), shapes[_i].covers);
    ck_assert(vm_shape_equal(&shapes[_i].a, &shapes[_i].a));
    ck_assert_int_eq(vm_shape_equal(&shapes[_i].a, &shapes[_i].b),
                     memcmp(&shapes[_i].a, &shapes[_i].b, sizeof shapes[_i].a) == 0);
}
END_TEST

START_TEST(a_shape_is_told_in_words)
{
    static const struct vm_shape all = {2, 512, 10, 1, 150}, few = {1, 256, 0, 0, 0};
    g_autofree char *long_text = vm_shape_to_string(&all), *short_text = vm_shape_to_string(&few);
    ck_assert_str_eq(long_text, "2 vCPU, 512 MiB, 10 Mbit/s, 1 GPU, capped at 150 % CPU");
    ck_assert_str_eq(short_text, "1 vCPU, 256 MiB");
}
END_TEST

START_TEST(a_timeline_is_bounded)
{
    struct instance *instance = g_new0(struct instance, 1);
    for (guint i = 0; i < MODEL_TIMELINE_MAX + 10; i++)
        timeline_add(&instance->timeline, i + 1, "thing", i % 2 != 0 ? g_strdup("detail") : NULL);
    ck_assert_uint_eq(instance->timeline->len, MODEL_TIMELINE_MAX);
    instance_free(instance);
}
END_TEST

START_TEST(final_states_are_final)
{
    ck_assert(!execution_state_is_terminal(EXECUTION_QUEUED) && !execution_state_is_terminal(EXECUTION_STARTING) &&
              !execution_state_is_terminal(EXECUTION_RUNNING));
    ck_assert(execution_state_is_terminal(EXECUTION_FINISHED) && execution_state_is_terminal(EXECUTION_FAILED) &&
              execution_state_is_terminal(EXECUTION_CANCELLED) && execution_state_is_terminal(EXECUTION_INTERRUPTED));
    ck_assert(!reservation_state_is_terminal(RESERVATION_CLAIMED) &&
              !reservation_state_is_terminal(RESERVATION_SCHEDULED));
    ck_assert(reservation_state_is_terminal(RESERVATION_DONE) && reservation_state_is_terminal(RESERVATION_EXPIRED) &&
              reservation_state_is_terminal(RESERVATION_CANCELLED) &&
              reservation_state_is_terminal(RESERVATION_FAILED));
}
END_TEST

static void add_codec_tests(Suite *suite)
{
    TCase *tables = tcase_create("every codec");
    tcase_add_loop_test(tables, the_tables_are_sound, 0, G_N_ELEMENTS(codecs));
    tcase_add_loop_test(tables, a_full_struct_survives_the_store, 0, G_N_ELEMENTS(codecs));
    tcase_add_loop_test(tables, a_copy_is_equal_and_shares_nothing_that_can_change, 0, G_N_ELEMENTS(codecs));
    tcase_add_test(tables, a_sealed_object_is_its_own_copy);
    tcase_add_loop_test(tables, a_number_is_written_with_nine_digits_at_most, 0, G_N_ELEMENTS(numbers));
    tcase_add_loop_test(tables, a_struct_of_zeros_is_encoded_and_copied, 0, G_N_ELEMENTS(codecs));
    suite_add_tcase(suite, tables);

    TCase *decoding = tcase_create("decoding");
    tcase_add_loop_test(decoding, a_wrong_document_is_refused_with_the_place, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(decoding, a_size_over_its_bound_is_too_large);
    tcase_add_test(decoding, too_many_items_are_too_large);
    tcase_add_test(decoding, bytes_are_counted_when_decoded);
    tcase_add_test(decoding, deep_nesting_is_refused_before_it_is_built);
    tcase_add_test(decoding, many_small_values_are_refused_before_they_are_built);
    tcase_add_test(decoding, brackets_in_text_are_text);
    tcase_add_test(decoding, a_message_shows_only_the_start_of_what_a_client_sent);
    tcase_add_test(decoding, null_means_absent);
    tcase_add_test(decoding, the_case_of_a_language_does_not_matter);
    tcase_add_test(decoding, the_store_skips_what_a_later_version_wrote);
    tcase_add_test(decoding, an_execution_request_is_read_whole);
    tcase_add_test(decoding, private_fields_are_neither_shown_to_a_client_nor_taken_from_one);
    tcase_add_test(decoding, what_is_not_json_is_still_encoded);
    tcase_add_test(decoding, the_pointer_begins_where_the_document_stands);
    suite_add_tcase(suite, decoding);
}

static Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    add_codec_tests(suite);
    TCase *words = tcase_create("words");
    tcase_add_test(words, words_and_values_belong_together);
    tcase_add_test(words, a_rule_may_be_called_model);
    tcase_add_loop_test(words, an_amount_is_lognormal_between_and_beyond_the_quantiles, 0, G_N_ELEMENTS(amounts));
    tcase_add_test(words, an_amount_never_falls_as_the_quantile_rises);
    tcase_add_test(words, the_normal_quantile_is_the_inverse_of_its_probability);
    tcase_add_loop_test(words, a_shape_covers_another_with_at_least_as_much_of_each, 0, G_N_ELEMENTS(shapes));
    tcase_add_test(words, a_shape_is_told_in_words);
    tcase_add_test(words, a_timeline_is_bounded);
    tcase_add_test(words, final_states_are_final);
    suite_add_tcase(suite, words);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(model_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
