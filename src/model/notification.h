/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/program.h"

/* What the text of code looks like: counted by predict/lexer.h, or told by a sender that does not send its code. Part of code_metadata. */
struct code_traits {
    gint64 compressed_bytes; /* size after deflate: what of the code is not repetition */
    guint lines;             /* that hold more than blanks and comments */
    guint loops;
    guint loop_depth; /* of the deepest nesting; 1: no loop in another */
    guint calls;
    guint imports;
    guint functions; /* defined */
    guint recursive; /* of these, called in their own body by name */
    guint allocations;
    guint conditionals;
    guint threads; /* places that start a thread, process or task */
};

CODEC_DECLARE(code_traits)

/* What is known of code before it runs; part of a notification and of an execution request alike. Everything but `function` may be
 * absent: NULL, or 0. */
struct code_metadata {
    char *function;
    char *tenant;   /* "default" when absent */
    char *language; /* "python"; case does not matter, and is lower from the decoding on */
    char **libraries;
    char *algorithm; /* kind: "sort", "matrix", "web", ... */
    char *entry_point;
    gint64 code_bytes;
    gint64 payload_bytes;
    guint payload_depth;
    gint64 payload_items;                    /* longest array, or rows */
    gint64 payload_keys;                     /* members of all its objects */
    gint64 payload_numbers, payload_strings; /* scalars in it */
    guint argument_count;
    double argument_max; /* the largest number among the arguments */
    gint64 input_bytes;
    guint parallelism; /* threads or processes that the code says it will use */
    gboolean gpu;
    char *template; /* template wanted; NULL: the profile's */
    char **labels;  /* labels that the host must carry */
    struct code_traits *traits;
};

CODEC_DECLARE(code_metadata)

/* The pre-trigger: code will run soon. */
struct notification {
    char *id;              /* ours: "not-..." */
    char *idempotency_key; /* the same key of the same tenant is the same notification */
    struct code_metadata code;
    gint64 arrival_at;    /* when the request is expected; 0: now */
    gint64 arrival_in_ms; /* instead of arrival_at, from receipt, for senders without a trusted clock */
    gint64 deadline_at;   /* latest end of the execution; 0: none */
    struct program *
        program; /* the code itself, or its digest, to be put in place before the request; NULL: it comes with the request */
    gint64 received_at; /* ours */
};

CODEC_DECLARE(notification)
