/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/booster.h"

#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <xgboost/c_api.h>

#define NODES_MAX (4 * 1000 * 1000)
#define PROBES 8

/* A leaf has no children, and its value in `split`. Eight bytes: a prediction after others' work finds nothing of a model in the cache, and waits for each
 * line of it. */
struct node {
    float split;
    guint16 left; /* from the tree's root; the right child follows it; 0: a leaf */
    guint8 column;
    guint8 missing_left;
};
G_STATIC_ASSERT(sizeof(struct node) == 8);

#define TREE_NODES_MAX G_MAXUINT16
#define COLUMN_MAX G_MAXUINT8
#define TOGETHER 16 /* trees that are walked side by side, so that memory looks for the lines of several at a time */

struct booster {
    gatomicrefcount references;
    BoosterHandle handle;
    guint column_count;
    GArray *nodes; /* struct node, each tree's root before what hangs on it */
    GArray *roots; /* guint: index in `nodes` */
    guint depth;   /* of the deepest tree */
    double base;
};

static gboolean xgboost_failed(int status, const char *what, int code, GError **error)
{
    if (status == 0)
        return FALSE;
    hbr_error_set(error, code, "XGBoost cannot %s: %.300s", what, XGBGetLastError());
    return TRUE;
}

struct booster *booster_ref(struct booster *booster)
{
    g_atomic_ref_count_inc(&booster->references);
    return booster;
}

void booster_unref(struct booster *booster)
{
    if (booster == NULL || !g_atomic_ref_count_dec(&booster->references))
        return;
    if (booster->handle != NULL)
        XGBoosterFree(booster->handle);
    g_array_unref(booster->nodes);
    g_array_unref(booster->roots);
    g_free(booster);
}

static struct booster *booster_new(guint column_count)
{
    struct booster *booster = g_new0(struct booster, 1);
    g_atomic_ref_count_init(&booster->references);
    booster->column_count = column_count;
    booster->nodes = g_array_new(FALSE, TRUE, sizeof(struct node));
    booster->roots = g_array_new(FALSE, FALSE, sizeof(guint));
    XGBSetGlobalConfig("{\"verbosity\": 0}"); /* its warnings go to standard output */
    return booster;
}

/* Without a branch that the processor would have to guess. Of a leaf: itself. */
static const struct node *node_next(const struct node *root, const struct node *node, const float *row)
{
    const float value = row[node->column];
    const guint is_left = isnan(value) ? node->missing_left : value < node->split;
    return node->left != 0 ? root + node->left + 1 - is_left : node;
}

static double booster_walk(const struct booster *booster, const guint *roots, guint count, const float *row)
{
    const struct node *nodes = (const struct node *)(const void *)booster->nodes->data, *places[TOGETHER];
    double sum = 0;
    for (guint i = 0; i < count; i++)
        places[i] = &nodes[roots[i]];
    for (guint level = 0; level < booster->depth; level++)
        for (guint i = 0; i < count; i++)
            places[i] = node_next(&nodes[roots[i]], places[i], row);
    for (guint i = 0; i < count; i++)
        sum += places[i]->split;
    return sum;
}

double booster_predict(const struct booster *booster, const float *row)
{
    double sum = booster->base;
    for (guint i = 0; i < booster->roots->len; i += TOGETHER)
        sum += booster_walk(booster, &g_array_index(booster->roots, guint, i), MIN(TOGETHER, booster->roots->len - i),
                            row);
    return sum;
}

/* --- The trees laid flat --- */

/* The arrays of one tree in XGBoost's JSON. */
struct tree_arrays {
    json_t *left, *right, *column, *split, *missing_left;
    gsize count;
};

static gboolean tree_arrays_get(json_t *tree, struct tree_arrays *ret_arrays)
{
    *ret_arrays = (struct tree_arrays){
        .left = json_object_get(tree, "left_children"),
        .right = json_object_get(tree, "right_children"),
        .column = json_object_get(tree, "split_indices"),
        .split = json_object_get(tree, "split_conditions"),
        .missing_left = json_object_get(tree, "default_left"),
    };
    const gsize count = ret_arrays->count = json_array_size(ret_arrays->left);
    return count > 0 && json_array_size(ret_arrays->right) == count && json_array_size(ret_arrays->column) == count &&
           json_array_size(ret_arrays->split) == count && json_array_size(ret_arrays->missing_left) == count;
}

/* What is still to be copied: which node of the tree, and where it goes. */
struct pending {
    gsize from;
    guint to, level;
};

/* FALSE when its indices lead out of the tree, or round in it. */
static gboolean booster_add_node(struct booster *booster, const struct tree_arrays *tree, guint root,
                                 const struct pending *pending, GArray *queue)
{
    const json_int_t left = json_integer_value(json_array_get(tree->left, pending->from));
    const json_int_t right = json_integer_value(json_array_get(tree->right, pending->from));
    const json_int_t column = json_integer_value(json_array_get(tree->column, pending->from));
    const json_t *missing_left = json_array_get(tree->missing_left, pending->from);
    struct node node = {.split = (float)json_number_value(json_array_get(tree->split, pending->from))};
    if (left != -1) {
        if (left <= 0 || right <= 0 || left >= (json_int_t)tree->count || right >= (json_int_t)tree->count ||
            column < 0 || column >= booster->column_count || column > COLUMN_MAX ||
            booster->nodes->len + 2 > NODES_MAX || booster->nodes->len - root > TREE_NODES_MAX)
            return FALSE;
        const guint children_at = booster->nodes->len;
        node.left = (guint16)(children_at - root);
        node.column = (guint8)column;
        node.missing_left = json_is_true(missing_left) || json_integer_value(missing_left) != 0;
        g_array_set_size(booster->nodes, booster->nodes->len + 2);
        const guint level = pending->level + 1;
        booster->depth = MAX(booster->depth, level);
        const struct pending children[] = {{(gsize)left, children_at, level}, {(gsize)right, children_at + 1, level}};
        g_array_append_vals(queue, children, 2);
    }
    g_array_index(booster->nodes, struct node, pending->to) = node;
    return TRUE;
}

static gboolean booster_add_tree(struct booster *booster, json_t *tree)
{
    struct tree_arrays arrays;
    if (!tree_arrays_get(tree, &arrays))
        return FALSE;
    const struct pending root = {0, booster->nodes->len, 0};
    g_array_append_val(booster->roots, root.to);
    g_array_set_size(booster->nodes, booster->nodes->len + 1);
    g_autoptr(GArray) queue = g_array_new(FALSE, FALSE, sizeof root);
    g_array_append_val(queue, root);
    for (guint i = 0; i < queue->len && i < arrays.count; i++) {
        const struct pending pending = g_array_index(queue, struct pending, i);
        if (!booster_add_node(booster, &arrays, root.to, &pending, queue))
            return FALSE;
    }
    return queue->len <= arrays.count;
}

static json_t *json_at(json_t *json, const char *const *path)
{
    for (; *path != NULL; path++)
        json = json_object_get(json, *path);
    return json;
}

static gboolean booster_add_trees(struct booster *booster, json_t *document)
{
    static const char *const trees_path[] = {"learner", "gradient_booster", "model", "trees", NULL};
    json_t *trees = json_at(document, trees_path);
    for (gsize i = 0; i < json_array_size(trees); i++)
        if (!booster_add_tree(booster, json_array_get(trees, i)))
            return FALSE;
    return json_is_array(trees);
}

/* XGBoost's word for one row, or its contributions (one more than there are columns). */
static gboolean booster_ask(const struct booster *booster, const float *row, gboolean contributions, float *ret_values,
                            GError **error)
{
    DMatrixHandle matrix = NULL;
    bst_ulong length = 0;
    const float *values = NULL;
    if (xgboost_failed(XGDMatrixCreateFromMat_omp(row, 1, booster->column_count, NAN, &matrix, 1), "take a row",
                       HBR_ERROR_INTERNAL, error))
        return FALSE;
    const int status = XGBoosterPredict(booster->handle, matrix, contributions ? 4 : 0, 0, 0, &length, &values);
    const gsize wanted = contributions ? booster->column_count + 1 : 1;
    const gboolean is_told = !xgboost_failed(status, "predict", HBR_ERROR_INTERNAL, error);
    if (is_told && length == wanted)
        memcpy(ret_values, values, wanted * sizeof *values);
    else if (is_told)
        hbr_error_set(error, HBR_ERROR_INTERNAL, "XGBoost gives %lu values for a row, not %lu", (gulong)length,
                      (gulong)wanted);
    XGDMatrixFree(matrix);
    return is_told && length == wanted;
}

gboolean booster_explain(const struct booster *booster, const float *row, float *ret_contributions, GError **error)
{
    return booster_ask(booster, row, TRUE, ret_contributions, error);
}

/* The base is what XGBoost adds to the trees; then its predictions have to be ours, for rows of all kinds. */
static gboolean booster_prove(struct booster *booster, GError **error)
{
    g_autofree float *row = g_new(float, booster->column_count);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint probe = 0; probe < PROBES; probe++) {
        for (guint i = 0; i < booster->column_count; i++)
            row[i] =
                probe == 0 || g_rand_int_range(random, 0, 4) == 0 ? NAN : (float)g_rand_double_range(random, -5, 15);
        float told;
        if (!booster_ask(booster, row, FALSE, &told, error))
            return FALSE;
        if (probe == 0)
            booster->base = told - booster_predict(booster, row);
        const double ours = booster_predict(booster, row);
        if (!isfinite(told) || fabs(ours - told) > 1e-3 * (1 + fabs(ours))) {
            hbr_error_set(error, HBR_ERROR_INVALID, "the trees say %g where XGBoost says %g", ours, told);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean booster_flatten(struct booster *booster, GError **error)
{
    bst_ulong length = 0, columns = 0;
    const char *text = NULL;
    if (xgboost_failed(XGBoosterGetNumFeature(booster->handle, &columns), "tell a model's columns", HBR_ERROR_INVALID,
                       error) ||
        xgboost_failed(XGBoosterSaveModelToBuffer(booster->handle, "{\"format\": \"json\"}", &length, &text),
                       "write a model", HBR_ERROR_INVALID, error))
        return FALSE;
    json_t *document = json_loadb(text, length, 0, NULL);
    const gboolean is_whole = columns == booster->column_count && booster_add_trees(booster, document);
    json_decref(document);
    if (!is_whole) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the model is not one of trees over %u columns", booster->column_count);
        return FALSE;
    }
    return booster_prove(booster, error);
}

/* --- Training --- */

/* One of XGBoost's parameters. */
struct parameter {
    const char *name;
    double value;
};

static gboolean booster_set(struct booster *booster, const struct booster_settings *settings, GError **error)
{
    const gboolean is_forest = settings->trees_per_round > 1;
    const struct parameter parameters[] = {
        {"nthread", 1},
        {"seed", settings->seed},
        {"max_bin", settings->bins},
        {"max_depth", settings->depth},
        {"eta", settings->step},
        {"subsample", settings->rows},
        {is_forest ? "colsample_bynode" : "colsample_bytree", settings->columns},
        {"min_child_weight", settings->child_weight_min},
        {"lambda", settings->regularisation},
        {"num_parallel_tree", settings->trees_per_round},
        {"huber_slope", settings->huber_slope},
        {"max_delta_step", settings->leaf_max},
        {"base_score", 0},
    };
    int status = XGBoosterSetParam(booster->handle, "tree_method", "hist");
    if (status == 0)
        status = XGBoosterSetParam(booster->handle, "objective", "reg:pseudohubererror");
    for (guint i = 0; i < G_N_ELEMENTS(parameters) && status == 0; i++) {
        char value[G_ASCII_DTOSTR_BUF_SIZE];
        status = XGBoosterSetParam(booster->handle, parameters[i].name,
                                   g_ascii_formatd(value, sizeof value, "%.9g", parameters[i].value));
    }
    return !xgboost_failed(status, "take its parameters", HBR_ERROR_INTERNAL, error);
}

static gboolean booster_fit(struct booster *booster, const struct booster_settings *settings, DMatrixHandle matrix,
                            GCancellable *cancellable, GError **error)
{
    if (xgboost_failed(XGBoosterCreate(&matrix, 1, &booster->handle), "make a model", HBR_ERROR_INTERNAL, error) ||
        !booster_set(booster, settings, error))
        return FALSE;
    for (guint round = 0; round < settings->rounds; round++) {
        if (g_cancellable_is_cancelled(cancellable)) {
            hbr_error_set(error, HBR_ERROR_CANCELLED, "the training was stopped after %u of %u rounds", round,
                          settings->rounds);
            return FALSE;
        }
        if (xgboost_failed(XGBoosterUpdateOneIter(booster->handle, (int)round, matrix), "train", HBR_ERROR_INTERNAL,
                           error))
            return FALSE;
    }
    return TRUE;
}

struct booster *booster_train(const struct booster_settings *settings, const float *rows, const float *labels,
                              const float *weights, guint row_count, guint column_count, GCancellable *cancellable,
                              GError **error)
{
    g_autoptr(booster_auto) booster = booster_new(column_count);
    DMatrixHandle matrix = NULL;
    if (xgboost_failed(XGDMatrixCreateFromMat_omp(rows, row_count, column_count, NAN, &matrix, 1), "take the rows",
                       HBR_ERROR_INTERNAL, error))
        return NULL;
    int status = XGDMatrixSetFloatInfo(matrix, "label", labels, row_count);
    if (status == 0 && weights != NULL)
        status = XGDMatrixSetFloatInfo(matrix, "weight", weights, row_count);
    const gboolean is_fitted = !xgboost_failed(status, "take the labels", HBR_ERROR_INTERNAL, error) &&
                               booster_fit(booster, settings, matrix, cancellable, error);
    XGDMatrixFree(matrix);
    if (!is_fitted || !booster_flatten(booster, error))
        return NULL;
    return g_steal_pointer(&booster);
}

GBytes *booster_save(const struct booster *booster, GError **error)
{
    bst_ulong length = 0;
    const char *content = NULL;
    if (xgboost_failed(XGBoosterSaveModelToBuffer(booster->handle, "{\"format\": \"ubj\"}", &length, &content),
                       "write a model", HBR_ERROR_INTERNAL, error))
        return NULL;
    return g_bytes_new(content, length);
}

struct booster *booster_load(GBytes *saved, guint column_count, GError **error)
{
    g_autoptr(booster_auto) booster = booster_new(column_count);
    gsize size;
    gconstpointer content = g_bytes_get_data(saved, &size);
    if (xgboost_failed(XGBoosterCreate(NULL, 0, &booster->handle), "make a model", HBR_ERROR_INTERNAL, error) ||
        xgboost_failed(XGBoosterSetParam(booster->handle, "nthread", "1"), "take its parameters", HBR_ERROR_INTERNAL,
                       error) ||
        xgboost_failed(XGBoosterLoadModelFromBuffer(booster->handle, content, size), "read a model", HBR_ERROR_INVALID,
                       error) ||
        !booster_flatten(booster, error))
        return NULL;
    return g_steal_pointer(&booster);
}
