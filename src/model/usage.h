/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"
#include "model/shape.h"

/* Why the guest speaks up by itself, between the looks; bits of usage_sample.pressure. */
enum pressure {
    PRESSURE_MEMORY = 1 << 0,       /* its executions passed the mark of guest_alarm: the kernel holds them back */
    PRESSURE_MEMORY_STALL = 1 << 1, /* tasks stood still for want of it (pressure stall information) */
    PRESSURE_CPU_STALL = 1 << 2,
    PRESSURE_IO_STALL = 1 << 3,
    PRESSURE_OOM = 1 << 4, /* the kernel killed for memory */
};

/* What the agent of an instance is to speak up about. All zero: nothing. */
struct guest_alarm {
    double memory_share;   /* of what executions may use */
    guint memory_most_mib; /* that the instance may come to have; 0: no more than now */
    gint64 cpu_stall_us, memory_stall_us, io_stall_us, window_us;
};

/* One look at a running instance, libvirt's and the agent's figures merged; or, with `pressure`, what the agent said in between, of which only its
 * own figures are set. Rates and shares are over the time since the look before. */
struct usage_sample {
    gint64 at;
    guint pressure;     /* enum pressure; 0: the look of each interval */
    gboolean has_guest; /* the agent's figures are in */
    double cpu_used;    /* CPUs kept busy, from outside */
    double cpu_waited;  /* CPUs that were runnable and waited for one of the host, from outside: steal */
    guint rss_mib;      /* what its QEMU holds of the host's memory; 0: not known */
    double disk_read_mbps, disk_write_mbps; /* MB/s */
    guint memory_limit_mib;                 /* what executions may use in the guest; 0: not known */
    guint swap_mib;
    double cpu_stalled, memory_stalled, io_stalled; /* share of the time that some task stood still for want of it */
    gint64 oom_kills;                               /* of the execution so far */
    double runnable;        /* tasks running or waiting for a CPU in the guest, mean since the last look */
    guint memory_used_mib;  /* used by executions, in the guest */
    guint memory_total_mib; /* what the guest has */
    guint vcpus_online;
    double network_rx_mbps, network_tx_mbps;
};

CODEC_DECLARE(usage_sample)

/* Why an execution ended. */
enum exit_reason {
    EXIT_EXITED,
    EXIT_SIGNALLED,
    EXIT_WALL_CLOCK, /* its wall-clock limit */
    EXIT_OUT_OF_MEMORY,
    EXIT_OUTPUT_LIMIT,
    EXIT_CANCELLED,
    EXIT_LOST,    /* the VM died, or stopped answering */
    EXIT_REFUSED, /* the agent could not start it; `message` says why */
};

extern const struct codec_words exit_reason_words;

/* What an execution used, as the guest reported it at the end. Sizes in bytes, times in microseconds; -1 for what the guest could not
 * tell. */
struct run_result {
    enum exit_reason reason;
    guint status; /* exit status when it exited, number of the signal when signalled */
    char *message;
    gint64 wall_us, cpu_user_us, cpu_system_us;
    gint64 memory_peak_bytes;
    gint64 io_read_bytes, io_write_bytes;
    gint64 network_rx_bytes, network_tx_bytes;
    guint pids_peak;
};

CODEC_DECLARE(run_result)

/* Of a GPU nothing is measured or predicted: it is changed by hand alone. */
enum resource {
    RESOURCE_CPU,
    RESOURCE_MEMORY,
    RESOURCE_NETWORK,
    RESOURCE_DISK,
    RESOURCE_COUNT, /* of those that are measured */
    RESOURCE_GPU = RESOURCE_COUNT,
    RESOURCE_ALL,
};

extern const struct codec_words resource_words;

/* Why a shape was changed. */
enum adjustment_reason {
    ADJUSTMENT_EXCESS, /* usage is steadily above the prediction, or passed the simple rule's threshold */
    ADJUSTMENT_NEED, /* usage and prediction make a larger amount the cheapest: the course goes up, or its spread does */
    ADJUSTMENT_PRESSURE, /* the guest is short of it now */
    ADJUSTMENT_SLACK,    /* less was wanted for the whole of the dwell time */
    ADJUSTMENT_ROOM,     /* it had more than it wants, and another one on the full host needs it */
    ADJUSTMENT_HAND,     /* somebody asked for it */
};

extern const struct codec_words adjustment_reason_words;

/* One change of a running instance's shape. */
struct adjustment {
    gint64 signalled_at;  /* when the guest or the look told it; 0: by hand */
    gint64 at;            /* when it was decided, and booked on the host */
    gint64 hypervisor_at; /* when libvirt had done its part; 0: not told */
    gint64 confirmed_at;  /* when the guest confirmed; 0: it has not */
    enum resource resource;
    enum adjustment_reason reason;
    char *cause; /* "3.0 CPUs wanted, 0.9 expected" */
    double predicted, actual;
    struct vm_shape before, after;
    struct vm_shape confirmed;   /* what the instance has since: all of `after`, or what came of it */
    struct usage_sample *sample; /* the signals that it was decided on; NULL: none */
    char *error;                 /* why it failed; NULL when it did not */
};

CODEC_DECLARE(adjustment)

/* One thing that happened to a reservation, instance or execution. */
struct timeline_entry {
    gint64 at;
    char *what;
    char *detail;
};

CODEC_DECLARE(timeline_entry)

/* Appends to `*timeline` (made when NULL) unless it holds MODEL_TIMELINE_MAX entries; `detail` is taken over and may be NULL. */
void timeline_add(GPtrArray **timeline, gint64 at, const char *what, char *detail);
