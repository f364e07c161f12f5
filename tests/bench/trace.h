/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"
#include "model/usage.h"

/* Real usage courses of VMs, from recorded data (data.h): a data point each five minutes. Cut into
 * trials: a stretch of one VM's course, and what was known before it. */

struct trace_vm {
    char *name;
    GArray *used[RESOURCE_COUNT]; /* of double: CPUs, MiB, Mbit/s; of one length; NULL: was not measured */
};

struct trial {
    const struct trace_vm *vm;
    guint begin, end;              /* the stretch; what is before it is the VM's history */
    GArray *known[RESOURCE_COUNT]; /* that history in ascending order; of a VM that has none, of all VMs */
};

struct trace_set {
    const char *name;
    GPtrArray *vms;    /* struct trace_vm */
    GPtrArray *trials; /* struct trial */
};

#define TRACE_DAY 288 /* data points */

/* CPU in five days of 2011; names of VMs recur. A trial is one day of a VM, and what was known its days before. */
struct trace_set *trace_planetlab(GError **error);

/* CPU, memory, network of 20 VMs from July to September 2013. A trial is a half of August or September. */
struct trace_set *trace_bitbrains(GError **error);

void trace_set_free(struct trace_set *set);

/* What is predicted of a trial: the quantiles of what was known. */
struct quantiles trial_quantiles(const struct trial *trial, enum resource resource);

/* Of its most in a day; zeros: of fewer than a day. */
struct quantiles trial_peaks(const struct trial *trial, enum resource resource);
