/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/execution.h"

/* A run, or code that is to run, as the learned model sees it: what it is called, how large it is, and what it used. Pure; any thread. */

/* What is learned, each as the logarithm of its amount plus an offset that keeps zeros apart from minus infinity (target_log). */
enum target { TARGET_CPU, TARGET_VCPUS, TARGET_MEMORY, TARGET_NETWORK, TARGET_DURATION, TARGET_COUNT };

extern const struct codec_words target_words;

/* What it is called. 0: not told. Otherwise a hash of the name, so that a model needs no dictionary and knows no tenant's words. */
enum category {
    CATEGORY_LANGUAGE,
    CATEGORY_FAMILY, /* of languages that cost alike */
    CATEGORY_KIND,   /* how the language's code runs: native, managed or interpreted */
    CATEGORY_ALGORITHM,
    CATEGORY_LIBRARIES,      /* all of them together, but for what comes with the language */
    CATEGORY_LIBRARY,        /* that of them which tells most: library_principal() */
    CATEGORY_LIBRARY_FAMILY, /* of that */
    CATEGORY_ENTRY_POINT,
    CATEGORY_TEMPLATE,
    CATEGORY_TEMPLATES, /* the template's name up to its first point or hyphen: those of a family */
    CATEGORY_TENANT,
    CATEGORY_FUNCTION,   /* of that tenant */
    CATEGORY_CPUS,       /* that it is known to get; 0: not known */
    CATEGORY_SAME_INPUT, /* its exact sizes, and the entry point: mostly the same input */
    CATEGORY_INPUT,      /* how large its input is: steps of its sizes */
    CATEGORY_COUNT
};

/* How large it is: ln(1 + x), except for the hour; NAN: not told. */
enum number {
    NUMBER_CODE, /* bytes after compression; where only the plain size is told, that by PLAIN_TO_COMPRESSED */
    NUMBER_PAYLOAD,
    NUMBER_PAYLOAD_DEPTH,
    NUMBER_PAYLOAD_ITEMS,
    NUMBER_PAYLOAD_KEYS,
    NUMBER_PAYLOAD_NUMBERS,
    NUMBER_PAYLOAD_STRINGS,
    NUMBER_ARGUMENTS,
    NUMBER_ARGUMENT_MAX,
    NUMBER_INPUT, /* bytes */
    NUMBER_LINES, /* and the other traits of the code (struct code_traits) */
    NUMBER_LOOPS,
    NUMBER_LOOP_DEPTH,
    NUMBER_CALLS,
    NUMBER_IMPORTS,
    NUMBER_FUNCTIONS,
    NUMBER_RECURSIVE,
    NUMBER_ALLOCATIONS,
    NUMBER_CONDITIONALS,
    NUMBER_THREADS,
    NUMBER_PARALLELISM,
    NUMBER_LIBRARIES,
    NUMBER_GPU,
    NUMBER_HOUR,       /* UTC, 0 to 24 */
    NUMBER_WEEKDAY,    /* 1 (Monday) to 7 */
    NUMBER_GIVEN_CPUS, /* that it is known to get; only where that is known before */
    NUMBER_GIVEN_MEMORY,
    NUMBER_COUNT
};

extern const struct codec_words number_words;

struct sample {
    guint64 categories[CATEGORY_COUNT];
    double input_octaves; /* log2(1 + size of its input); 0: not told */
    float numbers[NUMBER_COUNT];
    float targets[TARGET_COUNT]; /* NAN: not told */
    guint censored;              /* bit of each target of which "at least" is told */
    gint64 at;
};

/* FNV-1a, 64 bits (Fowler, Noll, Vo, RFC 9923), never 0 for a text; 0 for NULL. */
guint64 category_hash(const char *text);
guint64 category_join(guint64 left, guint64 right);

double target_log(enum target target, double amount);
double target_amount(enum target target, double logarithm);

/* As in the sample. */
double code_input_octaves(const struct code_metadata *code);

/* Runs that ended before they were through: they say "at least". */
gboolean exit_is_cut_short(enum exit_reason reason);

/* Without targets. `at`: when it is to run, microseconds since 1970. */
void sample_of_code(struct sample *ret_sample, const struct code_metadata *code, gint64 at);

/* What it is known to get; 0: not known. */
void sample_give(struct sample *sample, double cpus, double memory_mib);

/* With what it used. FALSE when it teaches nothing (cancelled, lost, refused). The memory of a run that ran out of it counts as what it was let have at
 * least, and a run that was cut short tells "at least" of all. */
gboolean sample_of_observation(struct sample *ret_sample, const struct observation *observation);
