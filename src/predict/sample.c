/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/sample.h"

#include "predict/library.h"

#include <math.h>
#include <string.h>

#define PLAIN_TO_COMPRESSED 0.4 /* of source text of some KiB, by deflate */

CODEC_WORDS_DEFINE(target_words, "cpu", "vcpus", "memory", "network", "duration");
CODEC_WORDS_DEFINE(number_words, "code size", "payload size", "payload depth", "payload items", "payload keys",
                   "payload numbers", "payload strings", "arguments", "largest argument", "input size", "lines of code",
                   "loops", "depth of loops", "calls", "imports", "functions", "recursive functions", "allocations",
                   "conditionals", "threads", "parallelism", "libraries", "gpu", "hour", "weekday", "CPUs given",
                   "memory given");

/* Least amount that is told from nothing, and offset. */
static const struct {
    double least, offset;
} target_table[TARGET_COUNT] = {
    [TARGET_CPU] = {1e-3, 0},    [TARGET_VCPUS] = {1e-2, 0}, [TARGET_MEMORY] = {1e-3, 0},
    [TARGET_NETWORK] = {0, 0.1}, [TARGET_DURATION] = {1, 0},
};

/* Languages whose implementations cost alike, and how those run code. */
static const struct {
    const char *family, *kind;
    const char *languages[12];
} family_table[] = {
    {"systems", "native", {"c", "c++", "rust", "zig", "d", "nim", "gcc", "gpp", "clang", "icc", "icx"}},
    {"go", "native", {"go", "crystal"}},
    {"fortran", "native", {"fortran", "gfortran", "ifc"}},
    {"pascal", "native", {"pascal", "ada", "fpascal", "gnat"}},
    {"swift", "native", {"swift"}},
    {"chapel", "native", {"chapel"}},
    {"ml", "native", {"ocaml", "haskell", "ghc"}},
    {"dart", "native", {"dartexe"}},
    {"dart", "managed", {"dart", "dartjit"}},
    {"jvm", "managed", {"java", "kotlin", "scala", "clojure", "groovy"}},
    {"clr", "managed", {"csharp", "fsharp", "dotnet", "csharpcore", "csharppgo", "fsharpcore"}},
    {"javascript", "managed", {"javascript", "typescript"}},
    {"julia", "managed", {"julia"}},
    {"erlang", "managed", {"erlang", "elixir"}},
    {"lisp", "managed", {"lisp", "sbcl", "racket", "scheme"}},
    {"image", "managed", {"smalltalk", "pharo", "vw"}},
    {"ruby", "interpreted", {"ruby", "mri"}},
    {"ruby", "managed", {"truffle"}},
    {"script", "interpreted", {"python", "perl", "php", "lua", "sh", "r", "tcl"}},
};

/* Other names of the same language. */
static const struct {
    const char *name, *language;
} language_names[] = {
    {"python3", "python"}, {"node", "javascript"}, {"nodejs", "javascript"}, {"js", "javascript"},
    {"ts", "typescript"},  {"c#", "csharp"},       {"f#", "fsharp"},         {"cpp", "c++"},
    {"golang", "go"},      {"bash", "sh"},         {"shell", "sh"},
};

static const char *language_canonical(const char *language)
{
    for (guint i = 0; i < G_N_ELEMENTS(language_names); i++)
        if (g_strcmp0(language, language_names[i].name) == 0)
            return language_names[i].language;
    return language;
}

/* Its row in family_table, or -1. */
static int language_row(const char *language)
{
    for (guint i = 0; language != NULL && i < G_N_ELEMENTS(family_table); i++)
        for (guint j = 0; j < G_N_ELEMENTS(family_table[i].languages); j++)
            if (g_strcmp0(language, family_table[i].languages[j]) == 0)
                return (int)i;
    return -1;
}

guint64 category_hash(const char *text)
{
    if (text == NULL)
        return 0;
    guint64 hash = G_GUINT64_CONSTANT(14695981039346656037);
    for (; *text != '\0'; text++)
        hash = (hash ^ (guchar)*text) * G_GUINT64_CONSTANT(1099511628211);
    return MAX(hash, 1);
}

guint64 category_join(guint64 left, guint64 right)
{
    guint64 hash = left;
    for (guint i = 0; i < sizeof right; i++)
        hash = (hash ^ (right >> 8 * i & 0xff)) * G_GUINT64_CONSTANT(1099511628211);
    return MAX(hash, 1);
}

double target_log(enum target target, double amount)
{
    if (!isfinite(amount) || amount < 0)
        return NAN;
    return log(CLAMP(amount, target_table[target].least, 1e12) + target_table[target].offset);
}

double target_amount(enum target target, double logarithm)
{
    return CLAMP(exp(MIN(logarithm, 27)) - target_table[target].offset, 0, 1e12);
}

/* NAN for what is not told: 0, for metadata. */
static float number_log(double value)
{
    return value > 0 ? (float)log1p(value) : NAN;
}

/* Small counts as they are, larger ones by half-octaves. */
static guint64 size_step(double value)
{
    if (value <= 0)
        return 0;
    return value <= 32 ? (guint64)value : 32 + (guint64)lround(2 * log2(value / 32));
}

static void sample_set_libraries(struct sample *sample, char **libraries)
{
    guint count = 0;
    guint64 all = 0;
    for (guint i = 0; libraries != NULL && libraries[i] != NULL; i++) {
        if (library_is_standard(libraries[i]))
            continue;
        all += category_hash(libraries[i]); /* in whatever order they are told */
        count++;
    }
    const char *principal = library_principal(libraries);
    sample->categories[CATEGORY_LIBRARIES] = all;
    sample->categories[CATEGORY_LIBRARY] = category_hash(principal);
    sample->categories[CATEGORY_LIBRARY_FAMILY] = principal != NULL ? category_hash(library_family(principal)) : 0;
    sample->numbers[NUMBER_LIBRARIES] = (float)log1p(count);
}

/* What it works on: the bytes that it reads; where no size is told its payload's items, or its largest argument. */
static double code_input(const struct code_metadata *code)
{
    const double bytes = (double)code->input_bytes + (double)code->payload_bytes;
    if (bytes > 0)
        return bytes;
    return code->payload_items > 0 ? (double)code->payload_items : MAX(code->argument_max, 0);
}

double code_input_octaves(const struct code_metadata *code)
{
    return log2(1 + code_input(code));
}

static guint64 sample_input(const struct code_metadata *code)
{
    return size_step((double)code->input_bytes + (double)code->payload_bytes) << 32 |
           size_step((double)code->payload_items) << 16 | size_step(code->argument_max);
}

static guint64 sample_same_input(const struct code_metadata *code)
{
    guint64 same = category_join((guint64)code->input_bytes, (guint64)code->payload_bytes);
    same = category_join(same, (guint64)code->payload_items);
    same = category_join(same, (guint64)(code->argument_max * 1000));
    return category_join(same, category_hash(code->entry_point));
}

static void sample_set_time(struct sample *sample, gint64 at)
{
    g_autoptr(GDateTime) when = at > 0 ? g_date_time_new_from_unix_utc(at / G_USEC_PER_SEC) : NULL;
    sample->at = at;
    sample->numbers[NUMBER_HOUR] =
        when != NULL ? (float)(g_date_time_get_hour(when) + g_date_time_get_minute(when) / 60.0) : NAN;
    sample->numbers[NUMBER_WEEKDAY] = when != NULL ? (float)g_date_time_get_day_of_week(when) : NAN;
}

/* Of code that was looked at, no loop is told as 0, and not as unknown. */
static void sample_set_traits(struct sample *sample, const struct code_metadata *code)
{
    static const struct code_traits untold;
    const struct code_traits *traits = code->traits != NULL ? code->traits : &untold;
    const double compressed = (double)traits->compressed_bytes;
    const guint counts[] = {
        traits->lines,     traits->loops,     traits->loop_depth,  traits->calls,        traits->imports,
        traits->functions, traits->recursive, traits->allocations, traits->conditionals, traits->threads,
    };
    G_STATIC_ASSERT(G_N_ELEMENTS(counts) == NUMBER_THREADS - NUMBER_LINES + 1);
    sample->numbers[NUMBER_CODE] =
        number_log(compressed > 0 ? compressed : (double)code->code_bytes * PLAIN_TO_COMPRESSED);
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
        sample->numbers[NUMBER_LINES + i] = traits->lines > 0 ? (float)log1p(counts[i]) : NAN;
}

static guint64 template_family(const char *template)
{
    g_autofree char *family = template != NULL ? g_strndup(template, strcspn(template, ".-")) : NULL;
    return category_hash(family);
}

void sample_of_code(struct sample *ret_sample, const struct code_metadata *code, gint64 at)
{
    struct sample *sample = ret_sample;
    *sample = (struct sample){0};
    const int language = language_row(language_canonical(code->language));
    const guint64 tenant = category_hash(code->tenant != NULL ? code->tenant : "default");
    sample->categories[CATEGORY_LANGUAGE] = category_hash(language_canonical(code->language));
    sample->categories[CATEGORY_FAMILY] = language < 0 ? 0 : category_hash(family_table[language].family);
    sample->categories[CATEGORY_KIND] = language < 0 ? 0 : category_hash(family_table[language].kind);
    sample->categories[CATEGORY_ALGORITHM] = category_hash(code->algorithm);
    sample->categories[CATEGORY_ENTRY_POINT] = category_hash(code->entry_point);
    sample->categories[CATEGORY_TEMPLATE] = category_hash(code->template);
    sample->categories[CATEGORY_TEMPLATES] = template_family(code->template);
    sample->categories[CATEGORY_TENANT] = tenant;
    sample->categories[CATEGORY_FUNCTION] = category_join(tenant, category_hash(code->function));
    sample->categories[CATEGORY_INPUT] = sample_input(code);
    sample->categories[CATEGORY_SAME_INPUT] = sample_same_input(code);
    for (guint i = 0; i < TARGET_COUNT; i++)
        sample->targets[i] = NAN;
    sample_set_traits(sample, code);
    sample->numbers[NUMBER_PAYLOAD] = number_log((double)code->payload_bytes);
    sample->numbers[NUMBER_PAYLOAD_DEPTH] = number_log(code->payload_depth);
    sample->numbers[NUMBER_PAYLOAD_ITEMS] = number_log((double)code->payload_items);
    sample->numbers[NUMBER_PAYLOAD_KEYS] = number_log((double)code->payload_keys);
    sample->numbers[NUMBER_PAYLOAD_NUMBERS] = number_log((double)code->payload_numbers);
    sample->numbers[NUMBER_PAYLOAD_STRINGS] = number_log((double)code->payload_strings);
    sample->numbers[NUMBER_ARGUMENTS] = number_log(code->argument_count);
    sample->numbers[NUMBER_ARGUMENT_MAX] = number_log(code->argument_max);
    sample->numbers[NUMBER_INPUT] = number_log((double)code->input_bytes);
    sample->input_octaves = code_input_octaves(code);
    sample->numbers[NUMBER_PARALLELISM] = number_log(code->parallelism);
    sample->numbers[NUMBER_GPU] = code->gpu;
    sample->numbers[NUMBER_GIVEN_CPUS] = sample->numbers[NUMBER_GIVEN_MEMORY] = NAN;
    sample_set_libraries(sample, code->libraries);
    sample_set_time(sample, at);
}

void sample_give(struct sample *sample, double cpus, double memory_mib)
{
    sample->numbers[NUMBER_GIVEN_CPUS] = number_log(cpus);
    sample->numbers[NUMBER_GIVEN_MEMORY] = number_log(memory_mib);
    sample->categories[CATEGORY_CPUS] = cpus > 0 ? (guint64)lround(1000 * cpus) + 1 : 0;
}

gboolean exit_is_cut_short(enum exit_reason reason)
{
    return reason == EXIT_SIGNALLED || reason == EXIT_WALL_CLOCK || reason == EXIT_OUT_OF_MEMORY ||
           reason == EXIT_OUTPUT_LIMIT;
}

gboolean sample_of_observation(struct sample *ret_sample, const struct observation *observation)
{
    const gboolean is_cut_short = exit_is_cut_short(observation->reason);
    if (observation->reason != EXIT_EXITED && !is_cut_short)
        return FALSE;
    const double seconds = observation->duration_ms / 1000;
    const double mean_vcpus = seconds > 0 ? observation->cpu_seconds / seconds : 0;
    const double amounts[TARGET_COUNT] = {
        [TARGET_CPU] = observation->cpu_seconds,
        [TARGET_VCPUS] = MAX(observation->vcpus, mean_vcpus),
        [TARGET_MEMORY] = observation_memory_mib(observation),
        [TARGET_NETWORK] = observation->network_mbps,
        [TARGET_DURATION] = observation->duration_ms,
    };
    sample_of_code(ret_sample, &observation->code, observation->ended_at);
    for (guint i = 0; i < TARGET_COUNT; i++)
        /* nothing but the network can truly be nothing */
        if (amounts[i] > 0 || i == TARGET_NETWORK)
            ret_sample->targets[i] = (float)target_log(i, amounts[i]);
    ret_sample->censored = is_cut_short ? (1U << TARGET_COUNT) - 1 : 0;
    return TRUE;
}
