/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"

#include "data.h"
#include "numbers.h"

#include <math.h>

#define CPUS_OF_MHZ (1 / 2600.0)  /* bitbrains: one core of the smaller kind of its hosts */
#define MBPS_OF_KBPS (8 / 1000.0) /* bitbrains: kilobytes, in spite of the column's name */
#define ROWS_APART_MIN 150 /* seconds: VM 20 has rows of two collectors from August on; what comes sooner is left out */
#define AUGUST G_GINT64_CONSTANT(1375315200)
#define DAY G_GINT64_CONSTANT(86400)

static void vm_free(gpointer data)
{
    struct trace_vm *vm = data;
    for (guint i = 0; i < RESOURCE_COUNT; i++)
        g_clear_pointer(&vm->used[i], g_array_unref);
    g_free(vm->name);
    g_free(vm);
}

static void trial_free(gpointer data)
{
    struct trial *trial = data;
    for (guint i = 0; i < RESOURCE_COUNT; i++)
        g_clear_pointer(&trial->known[i], g_array_unref);
    g_free(trial);
}

static struct trace_set *set_new(const char *name)
{
    struct trace_set *set = g_new0(struct trace_set, 1);
    set->name = name;
    set->vms = g_ptr_array_new_with_free_func(vm_free);
    set->trials = g_ptr_array_new_with_free_func(trial_free);
    return set;
}

void trace_set_free(struct trace_set *set)
{
    if (set == NULL)
        return;
    g_ptr_array_unref(set->trials);
    g_ptr_array_unref(set->vms);
    g_free(set);
}

static struct trace_vm *set_add_vm(struct trace_set *set, const char *name, guint resources)
{
    struct trace_vm *vm = g_new0(struct trace_vm, 1);
    vm->name = g_strdup(name);
    for (guint i = 0; i < resources; i++)
        vm->used[i] = g_array_new(FALSE, FALSE, sizeof(double));
    g_ptr_array_add(set->vms, vm);
    return vm;
}

static struct trial *set_add_trial(struct trace_set *set, const struct trace_vm *vm, guint begin, guint end)
{
    struct trial *trial = g_new0(struct trial, 1);
    *trial = (struct trial){.vm = vm, .begin = begin, .end = end};
    for (guint i = 0; i < RESOURCE_COUNT && begin > 0; i++)
        if (vm->used[i] != NULL)
            trial->known[i] = ascending_new((const double *)(gpointer)vm->used[i]->data, begin);
    g_ptr_array_add(set->trials, trial);
    return trial;
}

struct quantiles trial_quantiles(const struct trial *trial, enum resource resource)
{
    const GArray *known = trial->known[resource];
    return (struct quantiles){ascending_quantile(known, 0.5), ascending_quantile(known, 0.9),
                              ascending_quantile(known, 0.99)};
}

struct quantiles trial_peaks(const struct trial *trial, enum resource resource)
{
    const GArray *used = trial->vm->used[resource];
    g_autoptr(GArray) peaks = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint day = 0; (day + 1) * TRACE_DAY <= trial->begin; day++) {
        double peak = 0;
        for (guint i = 0; i < TRACE_DAY; i++)
            peak = MAX(peak, g_array_index(used, double, day *TRACE_DAY + i));
        g_array_append_val(peaks, peak);
    }
    if (peaks->len == 0)
        return (struct quantiles){0};
    g_autoptr(GArray) known = ascending_new((const double *)(gpointer)peaks->data, peaks->len);
    return (struct quantiles){ascending_quantile(known, 0.5), ascending_quantile(known, 0.9),
                              ascending_quantile(known, 0.99)};
}

/* Reads `count` numbers, each after a comma. */
static gboolean numbers_read(const char *text, double *ret_numbers, guint count)
{
    for (guint i = 0; i < count; i++) {
        char *end;
        if (*text != ',')
            return FALSE;
        ret_numbers[i] = g_ascii_strtod(text + 1, &end);
        if (end == text + 1 || !isfinite(ret_numbers[i]) || ret_numbers[i] < 0)
            return FALSE;
        text = end;
    }
    return TRUE;
}

static gboolean bad_line(const char *name, guint number, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s:%u: not a name and numbers", name, number);
    return FALSE;
}

static struct trace_vm *planetlab_vm(struct trace_set *set, GHashTable *by_name, const char *name)
{
    struct trace_vm *vm = g_hash_table_lookup(by_name, name);
    if (vm == NULL) {
        vm = set_add_vm(set, name, 1);
        g_hash_table_insert(by_name, vm->name, vm);
    }
    return vm;
}

static gboolean planetlab_add_line(struct trace_set *set, GHashTable *by_name, char *line, GArray *ret_day)
{
    double percents[TRACE_DAY];
    char *comma = strchr(line, ',');
    if (comma == NULL || !numbers_read(comma, percents, TRACE_DAY))
        return FALSE;
    *comma = '\0';
    struct trace_vm *vm = planetlab_vm(set, by_name, line);
    const guint begin = vm->used[RESOURCE_CPU]->len;
    for (guint i = 0; i < TRACE_DAY; i++)
        percents[i] /= 100;
    g_array_append_vals(vm->used[RESOURCE_CPU], percents, TRACE_DAY);
    g_array_append_vals(ret_day, percents, TRACE_DAY);
    set_add_trial(set, vm, begin, begin + TRACE_DAY);
    return TRUE;
}

/* One day. `everyone` has the days before, and gets this one. */
static gboolean planetlab_read_day(struct trace_set *set, GHashTable *by_name, const char *name, GArray *everyone,
                                   GError **error)
{
    g_autoptr(GDataInputStream) stream = data_open(name, error);
    g_autoptr(GArray) day = g_array_new(FALSE, FALSE, sizeof(double));
    g_autoptr(GArray) before = ascending_new((const double *)(gpointer)everyone->data, everyone->len);
    const guint first = set->trials->len;
    for (guint number = 1; stream != NULL; number++) {
        g_autofree char *line = g_data_input_stream_read_line(stream, NULL, NULL, error);
        if (line == NULL)
            break;
        if (!planetlab_add_line(set, by_name, line, day))
            return bad_line(name, number, error);
    }
    if (day->len == 0)
        return FALSE;
    g_array_append_vals(everyone, day->data, day->len);
    for (guint i = first; i < set->trials->len; i++) {
        struct trial *trial = set->trials->pdata[i];
        if (trial->begin == 0)
            trial->known[RESOURCE_CPU] = g_array_ref(before);
    }
    if (before->len == 0)
        g_ptr_array_set_size(set->trials, 0);
    return TRUE;
}

struct trace_set *trace_planetlab(GError **error)
{
    static const char *const days[] = {"planetlab/20110303.csv.gz", "planetlab/20110309.csv.gz",
                                       "planetlab/20110325.csv.gz", "planetlab/20110409.csv.gz",
                                       "planetlab/20110412.csv.gz"};
    struct trace_set *set = set_new("planetlab");
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GArray) everyone = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < G_N_ELEMENTS(days); i++)
        if (!planetlab_read_day(set, by_name, days[i], everyone, error)) {
            trace_set_free(set);
            return NULL;
        }
    return set;
}

/* In days since the first of August: those without gaps. */
static const struct {
    guint begin, end;
} halves[] = {{0, 15}, {15, 30}, {31, 45}, {45, 59}};

struct bitbrains {
    struct trace_set *set;
    struct trace_vm *vm;
    double at;
    guint begins[G_N_ELEMENTS(halves)], ends[G_N_ELEMENTS(halves)]; /* of the VM's halves; 0: none yet */
};

static void bitbrains_end_vm(struct bitbrains *bitbrains)
{
    for (guint i = 0; i < G_N_ELEMENTS(halves) && bitbrains->vm != NULL; i++)
        if (bitbrains->begins[i] > 0 && bitbrains->ends[i] > bitbrains->begins[i])
            set_add_trial(bitbrains->set, bitbrains->vm, bitbrains->begins[i], bitbrains->ends[i]);
    memset(bitbrains->begins, 0, sizeof bitbrains->begins);
    bitbrains->at = 0;
}

static gboolean bitbrains_add_line(struct bitbrains *bitbrains, char *line)
{
    enum { AT, MHZ, PERCENT, MEMORY, RECEIVED, SENT, COLUMNS };
    double row[COLUMNS];
    char *comma = strchr(line, ',');
    if (comma == NULL || !numbers_read(comma, row, COLUMNS))
        return FALSE;
    *comma = '\0';
    if (bitbrains->vm == NULL || g_strcmp0(bitbrains->vm->name, line) != 0) {
        bitbrains_end_vm(bitbrains);
        bitbrains->vm = set_add_vm(bitbrains->set, line, RESOURCE_COUNT);
    }
    if (row[AT] - bitbrains->at < ROWS_APART_MIN)
        return TRUE;
    bitbrains->at = row[AT];
    const double used[RESOURCE_COUNT] = {row[MHZ] * CPUS_OF_MHZ, row[MEMORY],
                                         (row[RECEIVED] + row[SENT]) * MBPS_OF_KBPS};
    for (guint i = 0; i < RESOURCE_COUNT; i++)
        g_array_append_val(bitbrains->vm->used[i], used[i]);
    const guint count = bitbrains->vm->used[RESOURCE_CPU]->len;
    for (guint i = 0; i < G_N_ELEMENTS(halves); i++) {
        if (row[AT] < (double)(AUGUST + halves[i].begin * DAY) || row[AT] >= (double)(AUGUST + halves[i].end * DAY))
            continue;
        if (bitbrains->begins[i] == 0)
            bitbrains->begins[i] = count - 1;
        bitbrains->ends[i] = count;
    }
    return TRUE;
}

struct trace_set *trace_bitbrains(GError **error)
{
    static const char name[] = "bitbrains/vm_5min_1-20.csv.gz";
    g_autoptr(GDataInputStream) stream = data_open(name, error);
    g_autofree char *head = stream != NULL ? g_data_input_stream_read_line(stream, NULL, NULL, error) : NULL;
    if (head == NULL)
        return NULL;
    struct bitbrains bitbrains = {.set = set_new("bitbrains")};
    for (guint number = 2;; number++) {
        g_autofree char *line = g_data_input_stream_read_line(stream, NULL, NULL, NULL);
        if (line == NULL)
            break;
        if (bitbrains_add_line(&bitbrains, line))
            continue;
        trace_set_free(bitbrains.set);
        bad_line(name, number, error);
        return NULL;
    }
    bitbrains_end_vm(&bitbrains);
    return bitbrains.set;
}
