/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"
#include "wire/message.h"

/* A guest that has just booted runs its first program many times slower than the next ones: nothing on the way from the agent to the
 * interpreter is in its caches, or, under emulation, translated. So while an instance stands ready, it runs lines of our own, one after
 * another: in the shell, and in the interpreter of the code that is expected; in a pool, where nobody knows that, in all that it has. */

#define WARM_AFTER_MS 20 /* a program that was waited for comes at once, and must not wait for this */
#define WARM_WALL_MS 10000

static const struct warm_program {
    const char *languages[3], *id, *interpreter, *source;
    guint64 capability;
} programs[] = {
    {{"shell"}, "warm-up-sh", "sh", "echo\n", WIRE_CAN_RUN_SH},
    {{"python", "python3"}, "warm-up-python", "python3", "print()\n", WIRE_CAN_RUN_PYTHON},
    {{"perl"}, "warm-up-perl", "perl", "print \"\\n\";\n", WIRE_CAN_RUN_PERL},
    {{"lua"}, "warm-up-lua", "lua", "print()\n", WIRE_CAN_RUN_LUA},
    {{"node", "javascript"}, "warm-up-node", "node", "console.log()\n", WIRE_CAN_RUN_NODE},
};

static gboolean is_wanted(const struct vm *vm, const struct warm_program *program)
{
    if (program->capability == WIRE_CAN_RUN_SH)
        return TRUE;
    if (vm->boot.pool != NULL && (vm->capabilities & program->capability) != 0)
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(program->languages) && program->languages[i] != NULL; i++) {
        if (vm->boot.language != NULL && g_ascii_strcasecmp(vm->boot.language, program->languages[i]) == 0)
            return TRUE;
    }
    return FALSE;
}

static void warm_run(struct vm *vm, const struct warm_program *program)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup(program->id);
    run->program.interpreter = g_strdup(program->interpreter);
    run->program.source = g_strdup(program->source);
    run->limits.wall_ms = WARM_WALL_MS;
    vm->warm_running = program->id;
    guest_run(vm->guest, run);
}

static void warm_next(struct vm *vm)
{
    while (vm->warm_step < G_N_ELEMENTS(programs)) {
        const struct warm_program *program = &programs[vm->warm_step++];
        if (!is_wanted(vm, program))
            continue;
        warm_run(vm, program);
        return;
    }
    vm_grant_wish(vm);
}

static gboolean vm_on_warm(gpointer data)
{
    struct vm *vm = data;
    timer_cancel(&vm->warm_timer);
    warm_next(vm);
    return G_SOURCE_REMOVE;
}

gboolean vm_is_warming(const struct vm *vm)
{
    return vm->warm_timer != NULL || vm->warm_running != NULL;
}

void vm_warm_up(struct vm *vm)
{
    vm->warm_step = 0;
    if (vm->agent == TEMPLATE_AGENT_HARBINGER)
        vm->warm_timer = host_timer(vm->host, WARM_AFTER_MS, vm_on_warm, vm);
}

void vm_warm_stop(struct vm *vm)
{
    const char *running = vm->warm_running;
    timer_cancel(&vm->warm_timer);
    vm->warm_running = NULL;
    vm->warm_step = G_N_ELEMENTS(programs);
    vm_refuse_wish(vm, "it is to be used");
    if (running != NULL)
        guest_cancel(vm->guest, running);
}

void vm_on_warm_exit(gpointer owner, const char *execution_id, struct run_result *result)
{
    struct vm *vm = owner;
    if (g_strcmp0(vm->warm_running, execution_id) != 0) {
        vm_on_run_exit(vm, execution_id, result);
        return;
    }
    vm->warm_running = NULL;
    run_result_free(result);
    if (vm->state == VM_READY)
        warm_next(vm);
}
