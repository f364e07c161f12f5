/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/host.h"

/* The daemon's own configuration, a GKeyFile: [daemon] and one [host NAME] for each host. One table of keys drives reading, checking and the
 * defaults. What the operator wants of VMs is policy and lives elsewhere. */

struct config {
    char *socket; /* path of the API's UNIX socket */
    char *listen; /* "ADDRESS:PORT" for TCP; NULL: none */
    char *state_dir, *image_dir, *template_dir;
    char *policy;       /* file or directory loaded when the policy database is empty */
    char *acceleration; /* auto, kvm, tcg */
    guint unplug_vcpus; /* 1: take vCPUs that a guest gave back out of it */
    char *log_level;
    guint connections_max;
    guint request_timeout_s;
    guint64 code_cache;                        /* bytes of code that are kept by digest */
    guint models;                              /* 1: models are learned */
    char *prior;                               /* file of the shipped model; it need not exist */
    guint model_samples_max, model_train_runs; /* runs to train with; new ones that it takes to train again */
    double model_half_life_days;               /* of a run's weight; 0: age does not count */
    guint keep_days;                           /* final objects and observations; 0: for ever */
    GPtrArray *hosts;                          /* struct host_spec */
};

/* The file's settings over the defaults; `path` NULL: the defaults alone. Relative to root's or to the user's own directories, as the effective
 * user is. NULL with HBR_ERROR_INVALID that names file, group, key and what would be right. */
struct config *config_load(const char *path, GError **error);
void config_free(struct config *config);
typedef struct config config_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(config_auto, config_free)
