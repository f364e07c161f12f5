/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

/* A guest that has just booted runs its first program many times slower than the next ones: nothing on the way from the agent to the
 * interpreter is in its caches, or, under emulation, translated. So while an instance stands ready, it runs a line of our own. Which code comes, and
 * whose it is, this does not depend on, but for the interpreter. */

#define WARM_AFTER_MS 20 /* a program that was waited for comes at once, and must not wait for this */
#define WARM_WALL_MS 10000

static const struct warm_program {
    const char *language, *id, *interpreter, *source;
} shell = {NULL, "warm-up-sh", "sh", "echo\n"},
  programs[] = {
      {"python", "warm-up-python", "python3", "print()\n"}, {"python3", "warm-up-python", "python3", "print()\n"},
      {"perl", "warm-up-perl", "perl", "print \"\\n\";\n"}, {"lua", "warm-up-lua", "lua", "print()\n"},
      {"node", "warm-up-node", "node", "console.log()\n"},  {"javascript", "warm-up-node", "node", "console.log()\n"},
};

static const struct warm_program *warm_program_of(const struct vm *vm)
{
    for (gsize i = 0; i < G_N_ELEMENTS(programs); i++)
        if (vm->boot.language != NULL && g_ascii_strcasecmp(vm->boot.language, programs[i].language) == 0)
            return &programs[i];
    return NULL;
}

static void warm_run(struct vm *vm, const struct warm_program *program)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup(program->id);
    run->program.interpreter = g_strdup(program->interpreter);
    run->program.source = g_strdup(program->source);
    run->limits.wall_ms = WARM_WALL_MS;
    guest_run(vm->guest, run);
}

static gboolean vm_on_warm(gpointer data)
{
    struct vm *vm = data;
    const struct warm_program *program = warm_program_of(vm);
    timer_cancel(&vm->warm_timer);
    warm_run(vm, &shell);
    if (program != NULL && vm->state == VM_READY)
        warm_run(vm, program);
    return G_SOURCE_REMOVE;
}

void vm_warm_up(struct vm *vm)
{
    if (vm->agent == TEMPLATE_AGENT_HARBINGER)
        vm->warm_timer = host_timer(vm->host, WARM_AFTER_MS, vm_on_warm, vm);
}

void vm_warm_stop(struct vm *vm)
{
    const struct warm_program *program = warm_program_of(vm);
    timer_cancel(&vm->warm_timer);
    if (vm->agent != TEMPLATE_AGENT_HARBINGER)
        return;
    guest_cancel(vm->guest, shell.id);
    if (program != NULL)
        guest_cancel(vm->guest, program->id);
}
