/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-run.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

#define CREDIT_INITIAL (256 * 1024) /* as much as the guest protocol's */
#define FILLER_MAX (32 * 1024)
#define FILLER_PARTS 64
#define NEARLY 1e-6 /* milliseconds and MiB: what rounding to whole microseconds leaves over */
#define AMOUNT_MAX 1e18
#define PIDS_MAX 32768
#define MIB (1024.0 * 1024)

struct sim_output {
    guint stream;
    GBytes *bytes;
};

struct sim_run {
    char *execution_id;
    struct run_limits limits;
    GPtrArray *course;
    gint64 started_at;
    guint phase;
    double progress_ms; /* within the phase */
    double done_ms;     /* of the whole course */
    double crash_after_ms;
    double rate;
    double memory_from_mib; /* at the start of the phase */
    gboolean greeted;       /* the phase's text is written */
    gint64 filler_bytes;    /* of the phase, written */
    gint64 credit;
    GQueue output; /* struct sim_output that waits for credit */
    GBytes *input; /* that nobody reads yet */
    gboolean input_eof;
    enum exit_reason reason;
    guint status;
    gint64 output_bytes;
    double cpu_ms, rx_mbit, tx_mbit, memory_peak_mib, cpu_peak;
    double memory_max_mib; /* that it could have when last looked at */
};

static void sim_output_free(gpointer data)
{
    struct sim_output *output = data;
    g_bytes_unref(output->bytes);
    g_free(output);
}

struct sim_run *sim_run_new(const struct run_spec *spec, GPtrArray *course, double crash_after_ms)
{
    struct sim_run *run = g_new0(struct sim_run, 1);
    run->execution_id = g_strdup(spec->execution_id);
    run->limits = spec->limits;
    run->course = course;
    run->crash_after_ms = crash_after_ms;
    run->credit = CREDIT_INITIAL;
    run->input = spec->program.stdin_bytes != NULL ? g_bytes_ref(spec->program.stdin_bytes) : NULL;
    run->input_eof = !spec->program.stdin_open;
    g_queue_init(&run->output);
    return run;
}

void sim_run_free(struct sim_run *run)
{
    if (run == NULL)
        return;
    g_queue_clear_full(&run->output, sim_output_free);
    g_clear_pointer(&run->input, g_bytes_unref);
    g_ptr_array_unref(run->course);
    g_free(run->execution_id);
    g_free(run);
}

const char *sim_run_id(const struct sim_run *run)
{
    return run->execution_id;
}

gboolean sim_run_is_started(const struct sim_run *run)
{
    return run->started_at != 0;
}

void sim_run_start(struct sim_run *run, gint64 now)
{
    run->started_at = now;
}

/* A program may say that it uses any amount. */
static gint64 sim_round(double amount)
{
    return (gint64)llround(MIN(amount, AMOUNT_MAX));
}

static const struct sim_phase *sim_run_phase(const struct sim_run *run)
{
    return g_ptr_array_index(run->course, run->phase);
}

static gboolean sim_run_is_through_phase(const struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    return !phase->hang && run->progress_ms >= phase->duration_ms - NEARLY;
}

/* It computes: it waits neither for a reader of its output nor for input. */
static gboolean sim_run_is_active(const struct sim_run *run)
{
    return run->started_at != 0 && run->output.length == 0 && !sim_run_is_through_phase(run);
}

static double sim_run_memory_wanted_mib(const struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    if (phase->ramp_ms <= 0)
        return phase->memory_mib;
    const double part = MIN(1, run->progress_ms / phase->ramp_ms);
    return run->memory_from_mib + (phase->memory_mib - run->memory_from_mib) * part;
}

static double sim_run_memory_mib(const struct sim_run *run)
{
    if (run->started_at == 0)
        return 0;
    const double wanted_mib = sim_run_memory_wanted_mib(run);
    return sim_run_phase(run)->paced ? MIN(wanted_mib, run->memory_max_mib) : wanted_mib;
}

double sim_runs_memory_mib(const GPtrArray *runs)
{
    double memory_mib = 0;
    for (guint i = 0; i < runs->len; i++)
        memory_mib += sim_run_memory_mib(g_ptr_array_index(runs, i));
    return memory_mib;
}

/* How fast it goes through its phase. */
static double sim_run_pace(const struct sim_run *run)
{
    return sim_run_phase(run)->paced ? 1 : run->rate;
}

static void sim_run_advance(struct sim_run *run, double elapsed_ms, struct sim_usage *usage)
{
    if (!sim_run_is_active(run))
        return;
    const struct sim_phase *phase = sim_run_phase(run);
    const double work_ms = elapsed_ms * run->rate;
    run->progress_ms += elapsed_ms * sim_run_pace(run);
    run->done_ms += elapsed_ms * sim_run_pace(run);
    run->cpu_ms += phase->cpu * work_ms;
    run->rx_mbit += phase->rx_mbps * work_ms / 1000;
    run->tx_mbit += phase->tx_mbps * work_ms / 1000;
    run->memory_peak_mib = MAX(run->memory_peak_mib, sim_run_memory_mib(run));
    run->cpu_peak = MAX(run->cpu_peak, phase->cpu);
    usage->cpu_ms += phase->cpu * work_ms;
    usage->wanted_ms += phase->cpu * elapsed_ms;
    usage->rx_mbit += phase->rx_mbps * work_ms / 1000;
    usage->tx_mbit += phase->tx_mbps * work_ms / 1000;
}

void sim_runs_advance(GPtrArray *runs, gint64 elapsed_us, struct sim_usage *usage)
{
    for (guint i = 0; i < runs->len; i++)
        sim_run_advance(g_ptr_array_index(runs, i), (double)elapsed_us / 1000, usage);
}

double sim_shape_cpus(const struct vm_shape *shape)
{
    return shape->cpu_percent == 0 ? shape->vcpus : MIN(shape->vcpus, shape->cpu_percent / 100.0);
}

/* How much of what is wanted there is, at most all. */
static double sim_share(double there, double wanted)
{
    return wanted > there ? there / wanted : 1;
}

double sim_runs_cpu(const GPtrArray *runs)
{
    double cpu = 0;
    for (guint i = 0; i < runs->len; i++) {
        const struct sim_run *run = g_ptr_array_index(runs, i);
        cpu += sim_run_is_active(run) ? sim_run_phase(run)->cpu : 0;
    }
    return cpu;
}

static gboolean sim_run_wants_memory(const struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    return phase->memory_mib > run->memory_from_mib && run->progress_ms < phase->ramp_ms;
}

void sim_runs_balance(GPtrArray *runs, const struct vm_shape *shape, gboolean is_held)
{
    const double cpu = sim_runs_cpu(runs);
    double rx_mbps = 0, tx_mbps = 0;
    for (guint i = 0; i < runs->len; i++) {
        const struct sim_run *run = g_ptr_array_index(runs, i);
        if (!sim_run_is_active(run))
            continue;
        rx_mbps += sim_run_phase(run)->rx_mbps;
        tx_mbps += sim_run_phase(run)->tx_mbps;
    }
    const double network_mbps = shape->network_mbps == 0 ? INFINITY : shape->network_mbps;
    for (guint i = 0; i < runs->len; i++) {
        struct sim_run *run = g_ptr_array_index(runs, i);
        const struct sim_phase *phase = sim_run_phase(run);
        run->rate = is_held && sim_run_wants_memory(run) ? 0 : 1;
        if (phase->cpu > 0)
            run->rate = MIN(run->rate, sim_share(sim_shape_cpus(shape), cpu));
        if (phase->rx_mbps > 0)
            run->rate = MIN(run->rate, sim_share(network_mbps, rx_mbps));
        if (phase->tx_mbps > 0)
            run->rate = MIN(run->rate, sim_share(network_mbps, tx_mbps));
    }
}

static double sim_run_memory_max_mib(const struct sim_run *run, const GPtrArray *runs, const struct vm_shape *shape)
{
    const double left = shape->memory_mib - (sim_runs_memory_mib(runs) - sim_run_memory_mib(run));
    return run->limits.memory_mib > 0 ? MIN(left, run->limits.memory_mib) : left;
}

/* Progress in the phase at which it passes `max_mib`; INFINITY when it does not. */
static double sim_run_memory_passes_ms(const struct sim_run *run, double max_mib)
{
    const struct sim_phase *phase = sim_run_phase(run);
    const double grows_mib = phase->memory_mib - run->memory_from_mib;
    if (phase->memory_mib <= max_mib || phase->ramp_ms <= 0 || grows_mib <= 0)
        return INFINITY;
    return phase->ramp_ms * (max_mib - run->memory_from_mib + 2 * NEARLY) / grows_mib;
}

static gint64 sim_phase_filler_part(const struct sim_phase *phase)
{
    return CLAMP(phase->output_bytes / FILLER_PARTS, 1, FILLER_MAX);
}

/* Progress at which the next part of the filler is written; INFINITY when all is. */
static double sim_run_filler_due_ms(const struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    if (run->filler_bytes >= phase->output_bytes)
        return INFINITY;
    const gint64 next = MIN(run->filler_bytes + sim_phase_filler_part(phase), phase->output_bytes);
    return phase->duration_ms * (double)next / (double)phase->output_bytes;
}

static gint64 sim_run_next_at(const struct sim_run *run, const GPtrArray *runs, const struct vm_shape *shape,
                              double mark_mib, gint64 now)
{
    if (run->started_at == 0)
        return CLOCK_NEVER;
    const gint64 wall_at = run->limits.wall_ms > 0 ? run->started_at + run->limits.wall_ms * CLOCK_MS : CLOCK_NEVER;
    if (!sim_run_is_active(run) || sim_run_pace(run) <= 0)
        return wall_at;
    const struct sim_phase *phase = sim_run_phase(run);
    double due_ms = phase->hang ? INFINITY : phase->duration_ms;
    due_ms = MIN(due_ms, sim_run_memory_passes_ms(run, sim_run_memory_max_mib(run, runs, shape)));
    if (isfinite(mark_mib))
        due_ms =
            MIN(due_ms, sim_run_memory_passes_ms(run, mark_mib - sim_runs_memory_mib(runs) + sim_run_memory_mib(run)));
    due_ms = MIN(due_ms, sim_run_filler_due_ms(run));
    if (run->crash_after_ms >= 0)
        due_ms = MIN(due_ms, run->progress_ms + run->crash_after_ms - run->done_ms);
    if (!isfinite(due_ms))
        return wall_at;
    const double wait_us = ceil((due_ms - run->progress_ms) / sim_run_pace(run) * 1000);
    return MIN(wall_at, now + MAX(1, sim_round(wait_us)));
}

gint64 sim_runs_next_at(const GPtrArray *runs, const struct vm_shape *shape, double mark_mib, gint64 now)
{
    gint64 next_at = CLOCK_NEVER;
    for (guint i = 0; i < runs->len; i++)
        next_at = MIN(next_at, sim_run_next_at(g_ptr_array_index(runs, i), runs, shape, mark_mib, now));
    return next_at;
}

/* Queues output, cut at the limit. */
static void sim_run_write(struct sim_run *run, guint stream, GBytes *bytes)
{
    g_autoptr(GBytes) owned = bytes;
    const gint64 size = (gint64)g_bytes_get_size(owned);
    const gint64 room = run->limits.output_bytes > 0 ? run->limits.output_bytes - run->output_bytes : G_MAXINT64;
    run->output_bytes += size;
    if (size == 0 || room <= 0)
        return;
    struct sim_output *output = g_new0(struct sim_output, 1);
    output->stream = stream;
    output->bytes = g_bytes_new_from_bytes(owned, 0, (gsize)MIN(size, room));
    g_queue_push_tail(&run->output, output);
}

static void sim_run_write_line(struct sim_run *run, guint stream, const char *text)
{
    if (text == NULL)
        return;
    char *line = g_strconcat(text, "\n", NULL);
    sim_run_write(run, stream, g_bytes_new_take(line, strlen(line)));
}

static void sim_run_write_filler(struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    while (sim_run_filler_due_ms(run) <= run->progress_ms + NEARLY && run->output.length == 0) {
        const gint64 size = MIN(sim_phase_filler_part(phase), phase->output_bytes - run->filler_bytes);
        char *filler = g_strnfill((gsize)size, '.');
        run->filler_bytes += size;
        sim_run_write(run, 1, g_bytes_new_take(filler, (gsize)size));
    }
}

static void sim_run_write_due(struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    if (!run->greeted) {
        run->greeted = TRUE;
        sim_run_write_line(run, 1, phase->output);
        sim_run_write_line(run, 2, phase->error);
    }
    if (phase->echo && run->input != NULL)
        sim_run_write(run, 1, g_steal_pointer(&run->input));
    sim_run_write_filler(run);
}

/* Hands over what there is credit for. TRUE when it handed over anything. */
static gboolean sim_run_flush(struct sim_run *run, sim_output_sink sink, gpointer sink_data)
{
    gboolean flushed = FALSE;
    while (run->output.length > 0 && run->credit > 0) {
        struct sim_output *output = run->output.head->data;
        const gsize size = g_bytes_get_size(output->bytes), part = MIN(size, (gsize)run->credit);
        g_autoptr(GBytes) bytes = g_bytes_new_from_bytes(output->bytes, 0, part);
        sink(run, output->stream, bytes, sink_data);
        run->credit -= (gint64)part;
        flushed = TRUE;
        if (part == size) {
            sim_output_free(g_queue_pop_head(&run->output));
            continue;
        }
        GBytes *rest = g_bytes_new_from_bytes(output->bytes, part, size - part);
        g_bytes_unref(output->bytes);
        output->bytes = rest;
    }
    return flushed;
}

static enum sim_turn sim_run_end(struct sim_run *run, enum exit_reason reason, guint status)
{
    run->reason = reason;
    run->status = status;
    return SIM_ENDED;
}

/* After the last word of a phase. */
static enum sim_turn sim_run_next_phase(struct sim_run *run)
{
    const struct sim_phase *phase = sim_run_phase(run);
    if (phase->crash)
        return SIM_CRASHED;
    if (phase->signal > 0)
        return sim_run_end(run, EXIT_SIGNALLED, phase->signal);
    if (phase->ends || run->phase + 1 == run->course->len)
        return sim_run_end(run, EXIT_EXITED, phase->exit);
    run->memory_from_mib = phase->memory_mib;
    run->progress_ms = 0;
    run->greeted = FALSE;
    run->filler_bytes = 0;
    run->phase++;
    return SIM_GOES_ON;
}

static enum sim_turn sim_run_check_limits(struct sim_run *run, const GPtrArray *runs, const struct vm_shape *shape,
                                          gint64 now)
{
    if (run->crash_after_ms >= 0 && run->done_ms >= run->crash_after_ms - NEARLY)
        return SIM_CRASHED;
    run->memory_max_mib = sim_run_memory_max_mib(run, runs, shape);
    if (sim_run_memory_mib(run) > run->memory_max_mib + NEARLY)
        return sim_run_end(run, EXIT_OUT_OF_MEMORY, 9);
    if (run->limits.output_bytes > 0 && run->output_bytes > run->limits.output_bytes)
        return sim_run_end(run, EXIT_OUTPUT_LIMIT, 9);
    if (run->limits.wall_ms > 0 && now >= run->started_at + run->limits.wall_ms * CLOCK_MS)
        return sim_run_end(run, EXIT_WALL_CLOCK, 9);
    return SIM_GOES_ON;
}

enum sim_turn sim_run_settle(struct sim_run *run, const GPtrArray *runs, const struct vm_shape *shape, gint64 now,
                             sim_output_sink sink, gpointer sink_data)
{
    for (;;) {
        sim_run_write_due(run);
        const gboolean flushed = sim_run_flush(run, sink, sink_data);
        enum sim_turn turn = sim_run_check_limits(run, runs, shape, now);
        if (turn != SIM_GOES_ON)
            return turn;
        if (run->output.length > 0)
            return SIM_GOES_ON;
        const gboolean waits_for_input = sim_run_phase(run)->echo && !run->input_eof;
        if (sim_run_is_through_phase(run) && !waits_for_input && !flushed) {
            turn = sim_run_next_phase(run);
            if (turn != SIM_GOES_ON)
                return turn;
        } else if (!flushed) {
            return SIM_GOES_ON;
        }
    }
}

struct run_result *sim_run_result(const struct sim_run *run, gint64 now, enum exit_reason reason, const char *message)
{
    const double peak_mib = MIN(MAX(run->memory_peak_mib, sim_run_memory_mib(run)), run->memory_max_mib);
    struct run_result *result = g_new0(struct run_result, 1);
    result->reason = reason;
    result->status = reason == run->reason ? run->status : 0;
    result->message = g_strdup(message);
    result->wall_us = run->started_at != 0 ? now - run->started_at : 0;
    result->cpu_user_us = sim_round(run->cpu_ms * 1000);
    result->memory_peak_bytes = sim_round(peak_mib * MIB);
    result->network_rx_bytes = sim_round(run->rx_mbit * 1e6 / 8);
    result->network_tx_bytes = sim_round(run->tx_mbit * 1e6 / 8);
    result->pids_peak = (guint)CLAMP(ceil(run->cpu_peak), 1, PIDS_MAX);
    return result;
}

struct run_result *sim_run_own_result(const struct sim_run *run, gint64 now)
{
    return sim_run_result(run, now, run->reason, NULL);
}

gboolean sim_run_input(struct sim_run *run, GBytes *bytes, gboolean eof)
{
    if (run->input_eof)
        return FALSE;
    run->input_eof = eof;
    if (bytes == NULL || !sim_run_phase(run)->echo) /* nobody will read it */
        return TRUE;
    if (run->input == NULL) {
        run->input = g_bytes_ref(bytes);
        return TRUE;
    }
    GByteArray *both = g_bytes_unref_to_array(run->input);
    g_byte_array_append(both, g_bytes_get_data(bytes, NULL), (guint)g_bytes_get_size(bytes));
    run->input = g_byte_array_free_to_bytes(both);
    return TRUE;
}

void sim_run_credit(struct sim_run *run, gint64 count)
{
    if (count > 0)
        run->credit += MIN(count, G_MAXINT64 - run->credit);
}
