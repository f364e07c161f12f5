/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/output.h"

/* As many digits as a double has for sure: 0.6 stays 0.6. */
#define OUTPUT_JSON_DIGITS 15

static void output_json_dump(struct output *output, const json_t *document)
{
    json_dumpf(document, output->stream, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(OUTPUT_JSON_DIGITS));
    fputc('\n', output->stream);
}

static void output_json_list(struct output *output, const struct view *view, const json_t *document)
{
    (void)view;
    output_json_dump(output, document);
}

static void output_json_object(struct output *output, const struct view *view, const json_t *object)
{
    (void)view;
    output_json_dump(output, object);
}

static void output_json_result(struct output *output, const json_t *document, const char *key, const char *text)
{
    (void)key;
    (void)text;
    output_json_dump(output, document);
}

static void output_json_report(struct output *output, const json_t *document,
                               void (*render)(struct output *output, const json_t *document))
{
    (void)render;
    output_json_dump(output, document);
}

const struct output_ops output_json_ops = {
    output_json_list,
    output_json_object,
    output_json_result,
    output_json_report,
};
