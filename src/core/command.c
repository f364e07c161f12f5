/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/command.h"

CODEC_WORDS_DEFINE(command_kind_words, "reply", "stream", "persist", "code-fetch", "code-keep", "learn", "learn-speed",
                   "model-train", "model-serve", "model-import", "host-connect", "host-disconnect", "boot", "adopt",
                   "shape", "alarm", "run", "stdin", "output-credit", "cancel-run", "pause", "claim", "save",
                   "forget-saved", "stage", "migrate", "destroy");

G_STATIC_ASSERT(G_N_ELEMENTS(command_kind_words_list) == COMMAND_KIND_COUNT);

struct command *command_new(enum command_kind kind)
{
    struct command *command = g_new0(struct command, 1);
    command->kind = kind;
    return command;
}

void record_free(struct record *record)
{
    if (record == NULL)
        return;
    g_free(record->id);
    g_free(record->function);
    g_free(record->tenant);
    g_clear_pointer(&record->body, g_bytes_unref);
    observation_free(record->observation);
    g_clear_pointer(&record->policy_sources, g_ptr_array_unref);
    g_free(record);
}

void boot_spec_free(struct boot_spec *boot)
{
    if (boot == NULL)
        return;
    g_free(boot->instance_id);
    g_free(boot->uuid);
    g_free(boot->owner);
    g_free(boot->template);
    g_free(boot->reservation_id);
    g_free(boot->profile);
    g_free(boot->language);
    g_free(boot->pool);
    g_free(boot->saved);
    g_free(boot);
}

void run_spec_free(struct run_spec *run)
{
    if (run == NULL)
        return;
    g_free(run->execution_id);
    codec_clear(&program_codec, &run->program);
    g_strfreev(run->preload);
    g_free(run);
}

void code_ref_free(struct code_ref *code)
{
    if (code == NULL)
        return;
    g_free(code->tenant);
    g_free(code->sha256);
    g_free(code->url);
    g_free(code);
}

void command_free(struct command *command)
{
    if (command == NULL)
        return;
    g_free(command->host);
    g_free(command->id);
    g_free(command->execution_id);
    g_clear_pointer(&command->body, g_bytes_unref);
    g_clear_pointer(&command->bytes, g_bytes_unref);
    g_clear_error(&command->error);
    g_clear_pointer(&command->records, g_ptr_array_unref);
    host_spec_free(command->host_spec);
    boot_spec_free(command->boot);
    run_spec_free(command->run);
    saved_state_free(command->saved);
    code_ref_free(command->code);
    g_free(command->sample);
    g_free(command);
}
