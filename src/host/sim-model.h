/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a simulated host is like: read from its URI, "sim:NAME?boot_ms=1000&seed=7". Times are medians of a log-normal distribution with the
 * sigma beside them (0: always the median); faults are probabilities. */

struct sim_model {
    guint seed;

    guint vcpus, memory_mib; /* of the machine */

    double connect_ms;
    double boot_ms, boot_sigma;
    double clone_ms; /* of a boot from a saved state */
    double pause_ms, save_ms;
    double resume_ms, claim_ms; /* a paused instance is claimed in the sum of both; what its shape takes comes to it */
    double stage_ms;
    double migrate_ms;
    double go_ms;      /* in place of run_overhead_ms, for a program that was staged */
    double warm_sigma; /* of all these, from clone_ms on */
    double saved_mib;  /* size of a saved state */
    gboolean saves;    /* it can save at all */
    /* Beside k boots, clones and saves on c CPUs, what begins in a VM takes (k + 1) / c times as long. */
    gboolean contention;
    double shape_cpu_ms; /* for each vCPU added */
    double shape_memory_ms, shape_other_ms, shape_sigma;
    double destroy_ms;
    double run_overhead_ms; /* from the command to the start of the program; to kill it takes as long */
    double inventory_s;     /* between inventories, at least a second; 0: only after connecting */

    /* A program that does not say what it does. */
    double run_ms, run_sigma, run_cpu, run_memory_mib;

    double fail_boot, hang_boot;                           /* of a boot: it fails; it never answers */
    double fail_clone, hang_clone, fail_claim, hang_claim; /* the same of a clone, of a claim */
    double fail_pause, fail_save, fail_stage, fail_shape;
    double fail_migrate, hang_migrate; /* it stays where it is; it gets no further before its time is up */
    double refuse_shrink, hang_shrink,
        lie_shrink;    /* of a guest that is asked to have less: it refuses; it never answers; it says that it has */
    double hold_ms;    /* at the mark of COMMAND_ALARM a program waits for memory so long at most */
    double damage;     /* of a clone: the saved state that it is made from is found damaged, and is lost */
    double crash;      /* of a run: its VM dies under it */
    double lose_event; /* of EVENT_INSTANCE_GONE and EVENT_INSTANCE_DESTROYED: the next inventory tells it */

    double down_at_s, up_at_s; /* since the first connect: the connection is lost, and back; 0: never */
    gboolean down_kills;       /* the VMs are lost with it */
};

/* FALSE with HBR_ERROR_INVALID: not "sim:", an unknown key, or a value out of its bounds. */
gboolean sim_model_parse(const char *uri, struct sim_model *ret_model, GError **error);

/* One draw around `median_ms`, in microseconds; never negative. */
gint64 sim_draw_us(GRand *random, double median_ms, double sigma);

/* TRUE with this probability. Draws one number in any case, so that changing one fault leaves the rest of a run as it was. */
gboolean sim_draw_fault(GRand *random, double probability);
