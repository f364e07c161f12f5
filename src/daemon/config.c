/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "model/limits.h"

#include <string.h>
#include <unistd.h>

#define CONFIG_SIZE_MAX ((double)(G_GUINT64_CONSTANT(1) << 50))
#define SAMPLES_MIN 1000
#define CODE_CACHE (G_GUINT64_CONSTANT(1) << 30)

enum config_kind { CONFIG_STRING, CONFIG_LIST, CONFIG_UINT, CONFIG_DOUBLE, CONFIG_SIZE };

struct config_key {
    const char *name;
    enum config_kind kind;
    gsize offset;
    double min, max;
};

#define DAEMON_FROM(name, kind, member, min, max)                    \
    {                                                                \
        name, kind, G_STRUCT_OFFSET(struct config, member), min, max \
    }
#define DAEMON(name, kind, member, max) DAEMON_FROM(name, kind, member, 0, max)
#define HOST(name, kind, member, max)                                 \
    {                                                                 \
        name, kind, G_STRUCT_OFFSET(struct host_spec, member), 0, max \
    }

static const struct config_key daemon_keys[] = {
    DAEMON("socket", CONFIG_STRING, socket, 0),
    DAEMON("listen", CONFIG_STRING, listen, 0),
    DAEMON("state-dir", CONFIG_STRING, state_dir, 0),
    DAEMON("image-dir", CONFIG_STRING, image_dir, 0),
    DAEMON("template-dir", CONFIG_STRING, template_dir, 0),
    DAEMON("policy", CONFIG_STRING, policy, 0),
    DAEMON("acceleration", CONFIG_STRING, acceleration, 0),
    DAEMON("unplug-vcpus", CONFIG_UINT, unplug_vcpus, 1),
    DAEMON("log-level", CONFIG_STRING, log_level, 0),
    DAEMON("connections-max", CONFIG_UINT, connections_max, 100000),
    DAEMON("request-timeout-s", CONFIG_UINT, request_timeout_s, 86400),
    DAEMON("code-cache", CONFIG_SIZE, code_cache, CONFIG_SIZE_MAX),
    DAEMON("models", CONFIG_UINT, models, 1),
    DAEMON("prior", CONFIG_STRING, prior, 0),
    DAEMON_FROM("model-samples-max", CONFIG_UINT, model_samples_max, SAMPLES_MIN, 100000),
    DAEMON("model-train-runs", CONFIG_UINT, model_train_runs, 1000000),
    DAEMON("model-half-life-days", CONFIG_DOUBLE, model_half_life_days, 36500),
    DAEMON("keep-days", CONFIG_UINT, keep_days, 36500),
};

static const struct config_key host_keys[] = {
    HOST("uri", CONFIG_STRING, uri, 0),
    HOST("labels", CONFIG_LIST, labels, 0),
    HOST("cpu-overcommit", CONFIG_DOUBLE, cpu_overcommit, 1000),
    HOST("memory-overcommit", CONFIG_DOUBLE, memory_overcommit, 1000),
    HOST("memory-reserve-mib", CONFIG_UINT, memory_reserve_mib, MODEL_MEMORY_MIB_MAX),
    HOST("network", CONFIG_STRING, network, 0),
    HOST("images", CONFIG_STRING, images, 0),
    HOST("gpus", CONFIG_LIST, gpus, 0),
};

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    g_free(config->socket);
    g_free(config->listen);
    g_free(config->state_dir);
    g_free(config->image_dir);
    g_free(config->template_dir);
    g_free(config->policy);
    g_free(config->acceleration);
    g_free(config->log_level);
    g_free(config->prior);
    g_ptr_array_unref(config->hosts);
    g_free(config);
}

static const struct config_key *config_find_key(const struct config_key *keys, guint count, const char *name)
{
    for (guint i = 0; i < count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static char *config_key_names(const struct config_key *keys, guint count)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < count; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", keys[i].name);
    return g_string_free(text, FALSE);
}

static gboolean config_read_number(GKeyFile *file, const char *group, const struct config_key *key, gpointer slot,
                                   GError **error)
{
    g_autoptr(GError) problem = NULL;
    const double value = g_key_file_get_double(file, group, key->name, &problem);
    const gboolean is_whole = key->kind == CONFIG_UINT;
    if (problem != NULL || !(value >= key->min && value <= key->max) || (is_whole && value != (double)(guint)value)) {
        g_autofree char *text = g_key_file_get_value(file, group, key->name, NULL);
        hbr_error_set(error, HBR_ERROR_INVALID, "[%s] %s: \"%s\" is not a %snumber from %.0f to %.0f", group, key->name,
                      text, is_whole ? "whole " : "", key->min, key->max);
        return FALSE;
    }
    if (key->kind == CONFIG_UINT)
        *(guint *)slot = (guint)value;
    else
        *(double *)slot = value;
    return TRUE;
}

/* "4096", "512K", "64M", "1.5G", "1T", each with or without "iB": powers of 1024. */
static gboolean config_parse_size(const char *text, double max, guint64 *ret_size)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    double value = text != NULL && g_ascii_isdigit(text[0]) ? g_ascii_strtod(text, &end) : -1;
    if (value < 0)
        return FALSE;
    const char *unit = *end != '\0' ? strchr(units, g_ascii_toupper(*end)) : NULL;
    for (const char *step = units; unit != NULL && step <= unit; step++)
        value *= 1024;
    const char *rest = unit != NULL ? end + 1 : end;
    if (!(value <= max) || (*rest != '\0' && (unit == NULL || strcmp(rest, "iB") != 0)))
        return FALSE;
    *ret_size = (guint64)value;
    return TRUE;
}

static gboolean config_read_size(GKeyFile *file, const char *group, const struct config_key *key, gpointer slot,
                                 GError **error)
{
    g_autofree char *text = g_key_file_get_value(file, group, key->name, NULL);
    if (config_parse_size(text, key->max, slot))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "[%s] %s: \"%s\" is not a size; right would be 512M or 1G, at most %.0fT",
                  group, key->name, text, key->max / (double)(G_GUINT64_CONSTANT(1) << 40));
    return FALSE;
}

static gboolean config_read_key(GKeyFile *file, const char *group, const struct config_key *key, gpointer object,
                                GError **error)
{
    gpointer slot = (char *)object + key->offset;
    if (key->kind == CONFIG_UINT || key->kind == CONFIG_DOUBLE)
        return config_read_number(file, group, key, slot, error);
    if (key->kind == CONFIG_SIZE)
        return config_read_size(file, group, key, slot, error);
    g_autoptr(GError) problem = NULL;
    if (key->kind == CONFIG_LIST) {
        g_strfreev(*(char ***)slot);
        *(char ***)slot = g_key_file_get_string_list(file, group, key->name, NULL, &problem);
    } else {
        g_free(*(char **)slot);
        *(char **)slot = g_key_file_get_string(file, group, key->name, &problem);
    }
    if (problem != NULL)
        hbr_error_set(error, HBR_ERROR_INVALID, "[%s] %s: %s", group, key->name, problem->message);
    return problem == NULL;
}

static gboolean config_read_group(GKeyFile *file, const char *group, const struct config_key *keys, guint count,
                                  gpointer object, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, NULL);
    for (char **name = names; name != NULL && *name != NULL; name++) {
        const struct config_key *key = config_find_key(keys, count, *name);
        if (key == NULL) {
            g_autofree char *known = config_key_names(keys, count);
            hbr_error_set(error, HBR_ERROR_INVALID, "[%s] %s: there is no such key; right would be one of %s", group,
                          *name, known);
            return FALSE;
        }
        if (!config_read_key(file, group, key, object, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean config_read_host(GKeyFile *file, const char *group, struct config *config, GError **error)
{
    struct host_spec *spec = g_new0(struct host_spec, 1);
    g_ptr_array_add(config->hosts, spec);
    spec->name = g_strstrip(g_strdup(group + strlen("host ")));
    if (!id_is_valid_name(spec->name, MODEL_NAME_MAX)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "[%s]: \"%s\" is not a name; right would be letters, digits and ._:/@+-", group, spec->name);
        return FALSE;
    }
    if (!config_read_group(file, group, host_keys, G_N_ELEMENTS(host_keys), spec, error))
        return FALSE;
    if (spec->uri == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID, "[%s]: uri is missing; right would be uri=qemu:///system", group);
        return FALSE;
    }
    return TRUE;
}

static gboolean config_read(GKeyFile *file, struct config *config, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group != NULL; group++) {
        gboolean is_read;
        if (strcmp(*group, "daemon") == 0) {
            is_read = config_read_group(file, *group, daemon_keys, G_N_ELEMENTS(daemon_keys), config, error);
        } else if (g_str_has_prefix(*group, "host ")) {
            is_read = config_read_host(file, *group, config, error);
        } else {
            hbr_error_set(error, HBR_ERROR_INVALID,
                          "[%s]: there is no such group; right would be [daemon] or [host NAME]", *group);
            is_read = FALSE;
        }
        if (!is_read)
            return FALSE;
    }
    return TRUE;
}

static char *config_default_socket(void)
{
    return geteuid() == 0 ? g_build_filename(HBR_RUNDIR, "harbinger.sock", NULL)
                          : g_build_filename(g_get_user_runtime_dir(), "harbinger", "harbinger.sock", NULL);
}

static struct config *config_new(void)
{
    const gboolean is_root = geteuid() == 0;
    struct config *config = g_new0(struct config, 1);
    config->socket = config_default_socket();
    config->state_dir = is_root ? g_strdup(HBR_STATEDIR) : g_build_filename(g_get_user_state_dir(), "harbinger", NULL);
    config->image_dir = is_root ? g_build_filename(HBR_STATEDIR, "images", NULL)
                                : g_build_filename(g_get_user_cache_dir(), "harbinger", "images", NULL);
    config->template_dir = g_build_filename(HBR_DATADIR, "templates", NULL);
    config->policy = g_build_filename(HBR_DATADIR, "policies", "default.yaml", NULL);
    config->acceleration = g_strdup("auto");
    config->log_level = g_strdup("info");
    config->connections_max = 1024;
    config->request_timeout_s = 60;
    config->keep_days = 30;
    config->models = 1;
    config->prior = g_build_filename(HBR_DATADIR, "prior.model", NULL);
    config->model_samples_max = 20000;
    config->model_train_runs = 50;
    config->model_half_life_days = 14;
    config->code_cache = CODE_CACHE;
    config->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)host_spec_free);
    return config;
}

static gboolean config_check(const struct config *config, GError **error)
{
    static const char *const accelerations[] = {"auto", "kvm", "tcg", NULL};
    enum log_level level;
    if (!g_strv_contains(accelerations, config->acceleration)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "[daemon] acceleration: \"%s\" is not one of auto, kvm, tcg",
                      config->acceleration);
        return FALSE;
    }
    if (!log_level_from_string(config->log_level, &level, error)) {
        g_prefix_error(error, "[daemon] log-level: ");
        return FALSE;
    }
    return TRUE;
}

static gboolean config_parse(GKeyFile *file, const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    const char *end;
    g_autoptr(GError) problem = NULL;
    if (!g_file_get_contents(path, &text, &length, &problem)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: %s", path, problem->message);
        return FALSE;
    }
    if (!g_utf8_validate(text, (gssize)length, &end)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: byte %td is not text in UTF-8", path, end - text);
        return FALSE;
    }
    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &problem)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: %s", path, problem->message);
        return FALSE;
    }
    return TRUE;
}

struct config *config_load(const char *path, GError **error)
{
    g_autoptr(config_auto) config = config_new();
    g_autoptr(GKeyFile) file = g_key_file_new();
    if (path != NULL && !config_parse(file, path, error))
        return NULL;
    if (!config_read(file, config, error) || !config_check(config, error)) {
        g_prefix_error(error, "%s: ", path != NULL ? path : "defaults");
        return NULL;
    }
    return g_steal_pointer(&config);
}
