/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/exec-child.h"
#include "guest/exec-private.h"
#include "guest/exec.h"
#include "guest/hold.h"
#include "guest/path.h"
#include "guest/system.h"
#include "guest/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER_SHARED 1000u
#define USER_OWN_FIRST 20000u
#define PIDS_LIMIT_DEFAULT 512u

static const struct interpreter {
    const char *name;
    const char *programs[3];
    const char *code_file;
    uint64_t capability;
} interpreters[] = {
    {"python3", {"python3"}, "main.py", WIRE_CAN_RUN_PYTHON},
    {"python", {"python3"}, "main.py", WIRE_CAN_RUN_PYTHON},
    {"perl", {"perl"}, "main.pl", WIRE_CAN_RUN_PERL},
    {"lua", {"lua5.4", "lua"}, "main.lua", WIRE_CAN_RUN_LUA},
    {"node", {"node", "nodejs"}, "main.js", WIRE_CAN_RUN_NODE},
    {"sh", {"sh"}, "main.sh", WIRE_CAN_RUN_SH},
    {"bash", {"bash", "sh"}, "main.sh", 0},
};

#define N_INTERPRETERS (sizeof(interpreters) / sizeof(interpreters[0]))

static bool program_exists(const char *program)
{
    static const char *const directories[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    char path[320];
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directories[i], program);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* The first of an interpreter's programs that is installed; the first of all when none is, for the error's sake. */
static const char *interpreter_program(const struct interpreter *interpreter)
{
    for (size_t i = 0; i < 3 && interpreter->programs[i]; i++) {
        if (program_exists(interpreter->programs[i]))
            return interpreter->programs[i];
    }
    return interpreter->programs[0];
}

uint64_t exec_interpreter_capabilities(void)
{
    uint64_t capabilities = 0;
    for (size_t i = 0; i < N_INTERPRETERS; i++) {
        if (program_exists(interpreter_program(&interpreters[i])))
            capabilities |= interpreters[i].capability;
    }
    return capabilities;
}

static const struct interpreter *find_interpreter(struct wire_slice name)
{
    for (size_t i = 0; i < N_INTERPRETERS; i++) {
        if (strlen(interpreters[i].name) == name.size && memcmp(interpreters[i].name, name.data, name.size) == 0)
            return &interpreters[i];
    }
    return NULL;
}

static const char *code_file_name(struct wire_slice interpreter)
{
    const struct interpreter *known = find_interpreter(interpreter);
    return known ? known->code_file : "main";
}

/* NULL: that program is not held with its interpreter started, or not held. */
static const struct hold_hook *find_hook(const struct wire_exec *request)
{
    const struct interpreter *known = request->hold ? find_interpreter(request->interpreter) : NULL;
    return known ? hold_find(known->programs[0]) : NULL;
}

static bool make_work_directory(struct execution *execution)
{
    struct agent *agent = execution->agent;
    if (mkdirat(agent->work_fd, execution->directory, 0700) != 0)
        return false;
    execution->work_fd = openat(agent->work_fd, execution->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (execution->work_fd < 0)
        return false;
    return execution->user == 0 || fchown(execution->work_fd, execution->user, execution->user) == 0;
}

static bool write_files(struct execution *execution, const struct wire_exec *request)
{
    for (uint32_t i = 0; i < request->n_files; i++) {
        const struct wire_file *file = &request->files[i];
        mode_t mode = file->mode ? file->mode : 0644;
        if (path_write_file(execution->work_fd, file->path, file->content, mode, execution->user) != 0) {
            exec_refuse(execution, "file %.*s: %s", (int)file->path.size, (const char *)file->path.data,
                        strerror(errno));
            return false;
        }
    }
    return true;
}

static bool write_code(struct execution *execution, const struct wire_exec *request)
{
    const char *name = code_file_name(request->interpreter);
    if (request->interpreter.size == 0)
        return true;
    if (path_write_file(execution->work_fd, wire_text(name), request->code, 0755, execution->user) != 0) {
        exec_refuse(execution, "code file %s: %s", name, strerror(errno));
        return false;
    }
    execution->code_bytes = request->code.size;
    execution->code_fd = openat(execution->work_fd, name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    return true;
}

static bool request_makes_sense(struct execution *execution, const struct wire_exec *request)
{
    if (request->interpreter.size == 0 && request->n_args == 0) {
        exec_refuse(execution, "neither an interpreter nor arguments: nothing to run");
        return false;
    }
    if (request->interpreter.size && memchr(request->interpreter.data, '/', request->interpreter.size)) {
        exec_refuse(execution, "an interpreter is a plain name; use arguments for a path");
        return false;
    }
    for (uint32_t i = 0; i < request->n_preload; i++) {
        if (request->preload[i].size > WIRE_MODULE_NAME_MAX ||
            (request->preload[i].size && memchr(request->preload[i].data, '\n', request->preload[i].size))) {
            exec_refuse(execution, "no module has the name that entry %u of preload is", i);
            return false;
        }
    }
    if (request->user > WIRE_USER_SHARED) {
        exec_refuse(execution, "unknown user policy %u", request->user);
        return false;
    }
    return true;
}

static void choose_user(struct execution *execution, const struct wire_exec *request, uint32_t slot)
{
    if (!execution->agent->options.may_drop_user)
        return;
    execution->user = request->user == WIRE_USER_SHARED ? USER_SHARED : USER_OWN_FIRST + slot % 40000;
}

bool exec_setup_directory(struct execution *execution, const struct wire_exec *request)
{
    uint32_t slot = execution->agent->next_slot++;
    if (!request_makes_sense(execution, request))
        return false;
    choose_user(execution, request, slot);
    snprintf(execution->directory, sizeof(execution->directory), "%u", slot);
    if (!make_work_directory(execution)) {
        exec_refuse(execution, "working directory %s: %s", execution->directory, strerror(errno));
        return false;
    }
    return write_files(execution, request) && write_code(execution, request);
}

bool exec_setup_limits(struct execution *execution, const struct wire_limits *limits)
{
    struct cgroup_root *root = &execution->agent->cgroups;
    struct cgroup_limits applied = {
        .memory_mib = limits->memory_limit_mib,
        .pids = limits->pids_limit || !root->has_pids ? limits->pids_limit : PIDS_LIMIT_DEFAULT,
        .cpu_permille = limits->cpu_permille,
    };
    return cgroup_limit(root, &execution->group, &applied);
}

static bool apply_limits(struct execution *execution, const struct wire_exec *request)
{
    char name[48];
    struct wire_limits limits = {
        .memory_limit_mib = request->memory_limit_mib,
        .pids_limit = request->pids_limit,
        .cpu_permille = request->cpu_permille,
    };
    snprintf(name, sizeof(name), "exec-%s", execution->directory);
    cgroup_create(&execution->agent->cgroups, &execution->group, name);
    if (exec_setup_limits(execution, &limits))
        return true;
    exec_refuse(execution, "limits: %s", strerror(errno));
    return false;
}

/* Memory for one start: strings copied out of the request, ended with NUL. */
struct arena {
    char *memory;
    size_t used;
};

static char *arena_text(struct arena *arena, struct wire_slice text)
{
    char *copy = arena->memory + arena->used;
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    arena->used += text.size + 1u;
    return copy;
}

struct command {
    struct arena arena;
    const struct hold_hook *hook;
    char *argv[WIRE_ARGS_MAX + 3];
    char *envp[WIRE_ENV_MAX + 8];
    char hook_assignment[WIRE_TEXT_MAX];
    char home[320];
    char code_path[400];
    const char *cwd;
};

static void command_fill_argv(struct command *command, const struct wire_exec *request)
{
    size_t n = 0;
    if (request->interpreter.size) {
        const struct interpreter *known = find_interpreter(request->interpreter);
        command->argv[n++] =
            known ? (char *)interpreter_program(known) : arena_text(&command->arena, request->interpreter);
        command->argv[n++] = command->code_path;
    }
    for (uint32_t i = 0; i < request->n_args; i++)
        command->argv[n++] = arena_text(&command->arena, request->args[i]);
    command->argv[n] = NULL;
}

static bool has_name(struct wire_slice assignment, const char *name)
{
    size_t length = strlen(name);
    const char *text = assignment.data;
    return assignment.size > length && memcmp(text, name, length) == 0 && text[length] == '=';
}

/* Its value; no data when it is not given. */
static struct wire_slice env_value(const struct wire_exec *request, const char *name)
{
    for (uint32_t i = 0; i < request->n_env; i++) {
        size_t skip = strlen(name) + 1;
        if (has_name(request->env[i], name))
            return wire_slice((const char *)request->env[i].data + skip, request->env[i].size - skip);
    }
    return (struct wire_slice){0};
}

static bool env_is_given(const struct wire_exec *request, const char *name)
{
    return env_value(request, name).data != NULL;
}

static void command_fill_env(struct command *command, const struct wire_exec *request)
{
    static const struct {
        const char *name;
        const char *assignment;
    } defaults[] = {
        {"PATH", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"LANG", "LANG=C.UTF-8"},
        {"USER", "USER=harbinger"},
        {"TMPDIR", "TMPDIR=/tmp"},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (!env_is_given(request, defaults[i].name))
            command->envp[n++] = (char *)defaults[i].assignment;
    }
    if (!env_is_given(request, "HOME"))
        command->envp[n++] = command->home;
    if (command->hook)
        command->envp[n++] = command->hook_assignment;
    for (uint32_t i = 0; i < request->n_env; i++) {
        if (!command->hook || !has_name(request->env[i], command->hook->variable))
            command->envp[n++] = arena_text(&command->arena, request->env[i]);
    }
    command->envp[n] = NULL;
}

/* An interpreter whose hook cannot be had waits before it is started, as others do. */
static void command_choose_hook(struct command *command, struct execution *execution, const struct wire_exec *request)
{
    const struct hold_hook *hook = find_hook(request);
    command->hook = NULL;
    if (!hook || !hold_prepare(execution->agent) ||
        !hold_assignment(execution->agent, hook, env_value(request, hook->variable), command->hook_assignment,
                         sizeof(command->hook_assignment)))
        return;
    command->hook = hook;
    execution->has_hook = true;
    execution->hides_code = hook->hides_code && execution->code_fd >= 0 && fchmod(execution->code_fd, 0) == 0;
}

static bool command_init(struct command *command, struct execution *execution, const struct wire_exec *request)
{
    command->arena = (struct arena){.memory = malloc(execution->request_size + WIRE_ARGS_MAX + WIRE_ENV_MAX + 128u)};
    if (!command->arena.memory)
        return false;
    snprintf(command->home, sizeof(command->home), "HOME=%s/%s", execution->agent->options.work_dir,
             execution->directory);
    /* Relative when that works: it is what a traceback shows. */
    const char *directory = request->cwd.size ? command->home + strlen("HOME=") : "";
    snprintf(command->code_path, sizeof(command->code_path), "%s%s%s", directory, *directory ? "/" : "",
             code_file_name(request->interpreter));
    command_choose_hook(command, execution, request);
    command_fill_argv(command, request);
    command_fill_env(command, request);
    command->cwd = arena_text(&command->arena, request->cwd);
    return true;
}

/* What a hook is to load, and where the program's own files are. */
static void send_order(const struct execution *execution, const struct command *command,
                       const struct wire_exec *request)
{
    static char order[sizeof(command->home) + WIRE_PRELOAD_MAX * (WIRE_MODULE_NAME_MAX + 1)];
    size_t size = (size_t)snprintf(order, sizeof(order), "%s", command->home + strlen("HOME="));
    for (uint32_t i = 0; i < request->n_preload; i++) {
        order[size++] = '\n';
        if (request->preload[i].size)
            memcpy(order + size, request->preload[i].data, request->preload[i].size);
        size += request->preload[i].size;
    }
    send(execution->line.fd, order, size, MSG_NOSIGNAL);
}

static bool spawn(struct execution *execution, const struct command *command)
{
    int child_fds[3], line_fd = -1;
    if (!exec_stream_open(execution, child_fds)) {
        exec_refuse(execution, "pipes: %s", strerror(errno));
        return false;
    }
    struct exec_child child = {
        .argv = (char **)command->argv,
        .envp = (char **)command->envp,
        .cwd = command->cwd,
        .work_fd = execution->work_fd,
        .cgroup_fd = execution->group.fd,
        .stdin_fd = child_fds[0],
        .stdout_fd = child_fds[1],
        .stderr_fd = child_fds[2],
        .drop_user = execution->agent->options.may_drop_user,
        .user = execution->user,
        .waits = execution->holds && !command->hook,
        .hands_line = command->hook != NULL,
    };
    execution->pid = exec_child_spawn(&child, &line_fd);
    int error = errno;
    for (int i = 0; i < 3; i++)
        close(child_fds[i]);
    if (execution->pid < 0) {
        exec_refuse(execution, "process: %s", strerror(error));
        return false;
    }
    fcntl(line_fd, F_SETFL, O_NONBLOCK);
    loop_watch(&execution->agent->loop, &execution->line, line_fd, EPOLLIN);
    return true;
}

static void close_code(struct execution *execution)
{
    if (execution->code_fd >= 0)
        close(execution->code_fd);
    execution->code_fd = -1;
}

bool exec_setup_start(struct execution *execution)
{
    static struct wire_exec request;
    static struct command command;
    struct wire_frame frame = {.type = WIRE_TYPE_EXEC, .payload = execution->request, .size = execution->request_size};
    wire_exec_read(&frame, &request, NULL);

    usage_read_network(&execution->net_rx_start, &execution->net_tx_start);
    if (!apply_limits(execution, &request))
        return false;
    if (!command_init(&command, execution, &request)) {
        exec_refuse(execution, "out of memory");
        return false;
    }
    if (!execution->hides_code)
        close_code(execution);
    bool ok = spawn(execution, &command);
    if (ok && command.hook)
        send_order(execution, &command, &request);
    free(command.arena.memory);
    free(execution->request);
    execution->request = NULL;
    return ok;
}

/* Without a cgroup, the kernel's word for the process itself. */
static void read_process_cpu(pid_t pid, struct cgroup_usage *usage)
{
    char path[48], text[512];
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const char *fields = system_read(path, text, sizeof(text)) > 0 ? strrchr(text, ')') : NULL;
    if (!fields || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return;
    uint64_t tick_us = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    usage->cpu_user_us = user * tick_us;
    usage->cpu_system_us = system * tick_us;
    usage->cpu_us = usage->cpu_user_us + usage->cpu_system_us;
}

bool exec_setup_release(struct execution *execution)
{
    const char go = execution->is_without_stdin ? HOLD_GO_WITHOUT_STDIN : HOLD_GO;
    if (execution->hides_code)
        fchmod(execution->code_fd, 0755);
    close_code(execution);
    if (execution->is_without_stdin)
        exec_stream_end_stdin(execution);
    usage_read_network(&execution->net_rx_start, &execution->net_tx_start);
    if (execution->group.fd >= 0)
        cgroup_read_cpu(&execution->group, &execution->before);
    else
        read_process_cpu(execution->pid, &execution->before);
    return send(execution->line.fd, &go, 1, MSG_NOSIGNAL) == 1;
}
