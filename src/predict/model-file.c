/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/model-private.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* A model's file: a line of text, "harbinger model FORMAT SHA-256\n", then a GVariant in little-endian, whose digest that is. The format's number
 * changes with whatever changes the meaning of what is kept: the effects' table, the columns, this type. */

#define FORMAT 4
#define HEAD_BYTES 90 /* more than the line ever has */
#define CONTENT_MAX (256 * 1024 * 1024)

#define SCORE_TYPE "(uddd)"
#define KIN_TYPE "(a(tdd)a(tttdd))"
#define EFFECTS_TYPE "(da(utd))"
#define KNOWLEDGE_TYPE "(udd" EFFECTS_TYPE KIN_TYPE "dm" EFFECTS_TYPE "ay)"
#define MODEL_TYPE "(usxuuda" SCORE_TYPE "a" KNOWLEDGE_TYPE "a(tdd)a(tuuad))"

static char *head_of(GBytes *body)
{
    g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, body);
    return g_strdup_printf("harbinger model %d %s\n", FORMAT, digest);
}

static gboolean save_knowledge(GVariantBuilder *builder, const struct knowledge *knowledge, guint target,
                               GError **error)
{
    g_autoptr(GBytes) trees = booster_save(knowledge->trees, error);
    if (trees == NULL)
        return FALSE;
    g_variant_builder_add(
        builder, "(udd@" EFFECTS_TYPE "@" KIN_TYPE "d@m" EFFECTS_TYPE "@ay)", target, knowledge->trust,
        knowledge->missing, effects_save(knowledge->effects), kin_save(knowledge->kin), knowledge->record,
        g_variant_new_maybe(G_VARIANT_TYPE(EFFECTS_TYPE),
                            knowledge->unmeasured != NULL ? effects_save(knowledge->unmeasured) : NULL),
        g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, trees, TRUE));
    return TRUE;
}

GBytes *model_save(const struct model *model, GError **error)
{
    const struct model_info *info = &model->info;
    GVariantBuilder scores, knowledge;
    g_variant_builder_init(&scores, G_VARIANT_TYPE("a" SCORE_TYPE));
    g_variant_builder_init(&knowledge, G_VARIANT_TYPE("a" KNOWLEDGE_TYPE));
    for (guint i = 0; i < TARGET_COUNT; i++) {
        const struct model_score *score = &info->scores[i];
        g_variant_builder_add(&scores, SCORE_TYPE, score->run_count, score->error, score->within2, score->pinball);
        if (model->knowledge[i].effects != NULL && !save_knowledge(&knowledge, &model->knowledge[i], i, error)) {
            g_variant_builder_clear(&scores);
            g_variant_builder_clear(&knowledge);
            return NULL;
        }
    }
    g_autoptr(GVariant) whole = g_variant_ref_sink(
        g_variant_new("(usxuud@a" SCORE_TYPE "@a" KNOWLEDGE_TYPE "@a(tdd)@a(tuuad))", info->version,
                      info->origin != NULL ? info->origin : "", info->made_at, info->run_count, info->function_count,
                      info->speed, g_variant_builder_end(&scores), g_variant_builder_end(&knowledge),
                      ranks_save(model->ranks), calibration_save(model->calibration)));
    g_autoptr(GVariant) body = G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_variant_ref(whole) : g_variant_byteswap(whole);
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(body);
    g_autofree char *head = head_of(bytes);
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_byte_array_append(content, (const guint8 *)head, (guint)strlen(head));
    g_byte_array_append(content, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
    return g_byte_array_free_to_bytes(g_steal_pointer(&content));
}

/* What follows the first line, once that has been found to be right for it. */
static GBytes *content_check(GBytes *content, GError **error)
{
    gsize size;
    const char *text = g_bytes_get_data(content, &size);
    const char *end = size > 0 ? memchr(text, '\n', MIN(size, HEAD_BYTES)) : NULL;
    g_autofree char *line = end != NULL ? g_strndup(text, (gsize)(end - text) + 1) : NULL;
    if (line == NULL || !g_str_has_prefix(line, "harbinger model ")) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "it does not begin with \"harbinger model\"; right would be what model-export wrote");
        return NULL;
    }
    const gint64 format = g_ascii_strtoll(line + strlen("harbinger model "), NULL, 10);
    if (format != FORMAT) {
        hbr_error_set(error, HBR_ERROR_INVALID, "it has format %" G_GINT64_FORMAT ", this Harbinger reads %d", format,
                      FORMAT);
        return NULL;
    }
    const gsize head = strlen(line);
    GBytes *body = g_bytes_new_from_bytes(content, head, size - head);
    g_autofree char *right = head_of(body);
    if (g_str_equal(line, right))
        return body;
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "it is damaged: its %" G_GSIZE_FORMAT " bytes do not have the digest of its first line", size);
    g_bytes_unref(body);
    return NULL;
}

gboolean model_check(GBytes *content, GError **error)
{
    g_autoptr(GBytes) body = content_check(content, error);
    return body != NULL;
}

static gboolean load_knowledge(struct model *model, GVariant *entry, GError **error)
{
    guint32 target;
    double trust, missing, record;
    g_autoptr(GVariant) effects = NULL, kin = NULL, unmeasured = NULL, trees = NULL;
    g_variant_get(entry, "(udd@" EFFECTS_TYPE "@" KIN_TYPE "dm@" EFFECTS_TYPE "@ay)", &target, &trust, &missing,
                  &effects, &kin, &record, &unmeasured, &trees);
    if (target >= TARGET_COUNT || model->knowledge[target].effects != NULL || !(trust >= 0 && trust <= 1) ||
        !(missing >= 0 && missing < 1000)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "its targets are not those of this Harbinger");
        return FALSE;
    }
    struct knowledge *knowledge = &model->knowledge[target];
    knowledge->trust = trust;
    knowledge->missing = missing;
    knowledge->effects = effects_load(effects);
    knowledge->kin = kin_load(kin);
    knowledge->record = record;
    knowledge->unmeasured = unmeasured != NULL ? effects_load(unmeasured) : NULL;
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(trees);
    knowledge->trees = booster_load(bytes, model_column_count(), error);
    if (knowledge->trees == NULL)
        return FALSE;
    const gboolean is_sound = knowledge->effects != NULL && knowledge->kin != NULL && isfinite(record) &&
                              fabs(record) < 100 && (unmeasured == NULL || knowledge->unmeasured != NULL);
    if (!is_sound)
        hbr_error_set(error, HBR_ERROR_INVALID, "its effects are not finite, or of another Harbinger");
    return is_sound;
}

static gboolean load_score(GVariant *entry, struct model_score *ret_score)
{
    struct model_score score;
    g_variant_get(entry, SCORE_TYPE, &score.run_count, &score.error, &score.within2, &score.pinball);
    *ret_score = score;
    return isfinite(score.error) && isfinite(score.within2) && isfinite(score.pinball);
}

static gboolean load_parts(struct model *model, GVariant *scores, GVariant *knowledge, GVariant *calibration,
                           GError **error)
{
    gboolean is_sound = g_variant_n_children(scores) == TARGET_COUNT && g_variant_n_children(knowledge) > 0;
    for (gsize i = 0; is_sound && i < TARGET_COUNT; i++) {
        g_autoptr(GVariant) score = g_variant_get_child_value(scores, i);
        is_sound = load_score(score, &model->info.scores[i]);
    }
    model->calibration = is_sound ? calibration_load(calibration) : NULL;
    if (model->calibration == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID, "its scores or its calibration are not sound");
        return FALSE;
    }
    for (gsize i = 0; i < g_variant_n_children(knowledge); i++) {
        g_autoptr(GVariant) entry = g_variant_get_child_value(knowledge, i);
        if (!load_knowledge(model, entry, error))
            return FALSE;
    }
    return TRUE;
}

struct model *model_load(GBytes *content, GError **error)
{
    if (g_bytes_get_size(content) > CONTENT_MAX) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE, "a model of %" G_GSIZE_FORMAT " bytes; right would be at most %d",
                      g_bytes_get_size(content), CONTENT_MAX);
        return NULL;
    }
    g_autoptr(GBytes) body = content_check(content, error);
    if (body == NULL)
        return NULL;
    g_autoptr(GBytes) aligned = g_bytes_new(g_bytes_get_data(body, NULL), g_bytes_get_size(body));
    g_autoptr(GVariant) told = g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(MODEL_TYPE), aligned, FALSE));
    if (!g_variant_is_normal_form(told)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "what it holds is not a model");
        return NULL;
    }
    g_autoptr(GVariant) whole = G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_variant_ref(told) : g_variant_byteswap(told);
    struct model_info info = {0};
    g_autofree char *origin = NULL;
    g_autoptr(GVariant) scores = NULL, knowledge = NULL, ranks = NULL, calibration = NULL;
    g_variant_get(whole, "(usxuud@a" SCORE_TYPE "@a" KNOWLEDGE_TYPE "@a(tdd)@a(tuuad))", &info.version, &origin,
                  &info.made_at, &info.run_count, &info.function_count, &info.speed, &scores, &knowledge, &ranks,
                  &calibration);
    info.origin = origin;
    g_autoptr(model_auto) model = model_new(&info);
    model->ranks = ranks_load(ranks);
    return load_parts(model, scores, knowledge, calibration, error) ? g_steal_pointer(&model) : NULL;
}

struct model *model_rename(struct model *model, guint version, const char *origin)
{
    struct model_info info = model->info;
    info.version = version;
    info.origin = (char *)origin;
    struct model *renamed = model_new(&info);
    for (guint i = 0; i < TARGET_COUNT; i++)
        renamed->knowledge[i] = model->knowledge[i];
    renamed->ranks = model->ranks;
    renamed->calibration = model->calibration;
    renamed->original = model_ref(model->original != NULL ? model->original : model);
    return renamed;
}
